"""A `sounddevice` whose devices a test moves by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

LAPTOP = (
    ("Built-in Audio: ALC (hw:0,0)", 2, 2),
    ("USB Headset: Audio (hw:1,0)", 1, 2),
    ("USB Camera: Audio (hw:2,0)", 1, 0),
    ("pulse", 32, 32),
)
"""Name, inputs, outputs."""


class PortAudioError(Exception):
    """As PortAudio's: a text and a code."""


class Stream:
    """One opened stream: the test is its device."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.latency = 0.02
        self.state = "opened"

    def start(self) -> None:
        self.state = "started"

    def close(self) -> None:
        self.state = "closed"
        self.vanish()

    def vanish(self) -> None:
        self.options.get("finished_callback", lambda: None)()

    def hear(self, data: NDArray[np.int16], *, late_s: float = 0.0, overflow: bool = False) -> None:
        """Hand `data`, shape (samples, channels), to the stage."""
        time = SimpleNamespace(currentTime=100.0, inputBufferAdcTime=100.0 - late_s)
        status = SimpleNamespace(input_overflow=overflow)
        self.options["callback"](memoryview(data.tobytes()), len(data), time, status)

    def play(self, samples: int, *, underflow: bool = False) -> NDArray[np.int16]:
        """Take `samples` from the stage; shape (samples, channels)."""
        out = bytearray(b"\xff" * (samples * 2 * self.options["channels"]))
        status = SimpleNamespace(output_underflow=underflow)
        time = SimpleNamespace(currentTime=100.0, outputBufferDacTime=100.03)
        self.options["callback"](out, samples, time, status)
        return np.frombuffer(out, np.int16).reshape(samples, -1)


class SoundDevice:
    """Stands in for the module."""

    PortAudioError = PortAudioError

    def __init__(self, devices: tuple[tuple[str, int, int], ...], default: tuple[int, int]) -> None:
        self.devices = devices
        self.default = SimpleNamespace(device=list(default))
        self.streams: list[Stream] = []
        self.initialised = 1
        self.refusal: PortAudioError | None = None
        self.when_opened: Callable[[], object] = lambda: None
        self.mono_possible = True

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "max_input_channels": inputs,
                "max_output_channels": outputs,
                "default_samplerate": 44_100.0,
            }
            for name, inputs, outputs in self.devices
        ]

    def check_input_settings(self, device: int, **settings: Any) -> None:
        if not self.mono_possible and settings["channels"] == 1:
            raise PortAudioError("Invalid number of channels", -9998)

    check_output_settings = check_input_settings

    def _opened(self, **options: Any) -> Stream:
        if self.refusal is not None:
            raise self.refusal
        self.when_opened()
        self.streams.append(Stream(**options))
        return self.streams[-1]

    RawInputStream = RawOutputStream = _opened

    def _terminate(self) -> None:
        self.initialised -= 1

    def _initialize(self) -> None:
        self.initialised += 1


def install(
    monkeypatch: pytest.MonkeyPatch,
    devices: tuple[tuple[str, int, int], ...] = LAPTOP,
    default: tuple[int, int] = (0, 0),
) -> SoundDevice:
    """Put a fake in the place of the `sounddevice` module."""
    fake = SoundDevice(devices, default if devices else (-1, -1))
    monkeypatch.setitem(sys.modules, "sounddevice", fake)  # type: ignore[arg-type]
    return fake


def remove_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `import sounddevice` fail as it does without the library."""

    class Finder:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
