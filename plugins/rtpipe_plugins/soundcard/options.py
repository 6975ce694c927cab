"""What a stage with a device needs to know of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from rtpipe import Options

OnLost = Literal["wait", "fallback", "fail"]


class DeviceOptions(Options):
    """What a stage with a device needs to know of it."""

    main: ClassVar[str | None] = "device"

    device: str = Field("default", coerce_numbers_to_str=True)
    """default, a name or a part of one, an index, or pulse: and PulseAudio's name, index,
    description or @DEFAULT_SOURCE@; see `rtpipe devices`. Action `use` takes another."""
    sample_rate: int = Field(48_000, ge=8000, le=192_000)
    """Hz."""
    mute: bool = False
    """Start muted."""
