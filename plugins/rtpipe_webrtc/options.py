"""What may be said of the audio of a WebRTC call: its servers, jitter buffer and encoder.

Imports neither av nor numpy: looking at a pipeline file needs these models.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from rtpipe import Options


class IceServer(Options):
    """A STUN or TURN server."""

    urls: str | list[str]
    """`stun:HOST:PORT` or `turn:HOST:PORT?transport=udp`; one or several."""
    username: str | None = None
    """For TURN."""
    credential: SecretStr | None = None
    """For TURN."""


class JitterOptions(Options):
    """How what comes over the network unevenly is evened out."""

    engine: Literal["rtpipe", "aiortc"] = "rtpipe"
    """`rtpipe` adapts to the network and conceals what is lost. `aiortc` is that library's own
    buffer, which keeps 80 ms back, loses five packets with each lost one and stays 200 ms late."""
    target_ms: float | None = Field(default=None, ge=0, le=1000)
    """How long packets are kept back. Default: as long as the network has demanded of late."""
    max_ms: float = Field(default=200.0, ge=20, le=2000)
    """The most that packets are kept back; beyond that the oldest are dropped."""


class OpusOptions(Options):
    """How the visitor's voice is encoded."""

    bitrate: int = Field(default=48_000, ge=6000, le=510_000)
    """Bits a second."""
    complexity: int = Field(default=5, ge=0, le=10)
    """More sounds better and costs CPU."""
    application: Literal["lowdelay", "voip", "audio"] = "lowdelay"
    """As libopus calls them: `voip` sounds better below 32000 bits a second, comes 4 ms later and
    costs three times the CPU."""
    fec: bool = False
    """Send a rough copy of each packet with the next, so that a lost one can be made up: for a
    network that loses packets. Needs `application: voip`."""
    dtx: bool = False
    """Send next to nothing in silence."""

    @model_validator(mode="after")
    def _has_room_for_copies(self) -> Self:
        if self.fec and self.application != "voip":
            raise ValueError("`fec` needs `application: voip`")
        return self
