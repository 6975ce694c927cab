"""The options of `mic`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rtpipe_plugins.soundcard.options import DeviceOptions, OnLost


class MicOptions(DeviceOptions):
    """An input device."""

    channel: int | None = Field(None, ge=1)
    """Which of the device's own channels, from 1; by default all of them, mixed."""
    block_ms: int = Field(20, ge=5, le=200)
    """How much the device hands over at once (ms)."""
    latency: Literal["low", "high"] = "low"
    """high, where low makes the sound crackle."""
    on_lost: OnLost = "wait"
    """What to do when the device is gone: wait for it in silence, let the `fallback:` take over, or
    fail."""
