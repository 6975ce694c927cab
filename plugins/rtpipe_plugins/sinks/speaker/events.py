"""What the loudspeaker tells of itself, beside what is played (`playback`) and its device."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class SpeakerUnderran(Event):
    """The device ran out of audio in the middle of a sound; `count` since the start.

    Told at once, then once a second.
    """

    importance = Importance.WARNING
    type: str = "speaker.underran"
    count: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"ran out of audio in the middle of a sound, {self.count} times so far"


@dataclass(frozen=True, kw_only=True)
class SpeakerMuted(Event):
    """The loudspeaker has been muted: what it gets is played unheard."""

    importance = Importance.NOTICE
    type: str = "speaker.muted"

    def line(self) -> str:
        """See `Event.line`."""
        return "is muted"


@dataclass(frozen=True, kw_only=True)
class SpeakerUnmuted(Event):
    """The loudspeaker is no longer muted."""

    importance = Importance.NOTICE
    type: str = "speaker.unmuted"

    def line(self) -> str:
        """See `Event.line`."""
        return "is no longer muted"


@dataclass(frozen=True, kw_only=True)
class SpeakerVolumeChanged(Event):
    """The volume is another: a factor, 1 as it comes."""

    importance = Importance.NOTICE
    type: str = "speaker.volume_changed"
    volume: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"plays at volume {self.volume:g}"


SPEAKER_EVENTS = (SpeakerUnderran, SpeakerMuted, SpeakerUnmuted, SpeakerVolumeChanged)
"""What the stage itself publishes."""
