"""Sound devices: a PulseAudio of the tests' own."""

from devices.pulse import pulse

__all__ = ["pulse"]
