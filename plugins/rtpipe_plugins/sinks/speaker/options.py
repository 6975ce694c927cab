"""The options of `speaker`."""

from __future__ import annotations

from pydantic import Field

from rtpipe_plugins.soundcard.options import DeviceOptions, OnLost

MOST_VOLUME = 4.0


class SpeakerOptions(DeviceOptions):
    """An output device."""

    volume: float = Field(1.0, ge=0, le=MOST_VOLUME)
    """Factor: 0 is silence, 1 as it comes."""
    prebuffer_ms: int = Field(60, ge=10, le=2000)
    """How much waits for the device (ms): more bears more jitter, and is heard later."""
    fade_ms: int = Field(12, ge=0, le=200)
    """How fast a flush fades out (ms): without it, one hears a click."""
    on_lost: OnLost = "wait"
    """What to do when the device is gone: wait for it, letting the time pass unheard, let the
    `fallback:` take over, or fail."""
