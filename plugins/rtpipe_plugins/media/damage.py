"""Damaged media: what was lost of a stream on its way in, counted and told."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance

_AUDIBLE_S = 0.05
"""Less is not worth the words."""


@dataclass(frozen=True, kw_only=True)
class MediaDamaged(Event):
    """What came in is damaged, and was played around; the figures count since the start.

    Attributes:
        packets: How many could not be read or decoded.
        lost_s: How much audio is missing (s), what a demuxer left out by itself included.
        jumps: How many jumps of its time stamps were not believed.
    """

    importance = Importance.WARNING
    type: str = "media.damaged"
    packets: int
    lost_s: float
    jumps: int

    def line(self) -> str:
        """See `Event.line`."""
        packets = f"{self.packets} damaged packet{'s'[: self.packets != 1]} skipped"
        jumps = f"{self.jumps} impossible jump{'s'[: self.jumps != 1]} in time ignored"
        lost = f"{self.lost_s:.1f} s of damaged audio lost"
        told = (self.packets, packets), (self.lost_s >= _AUDIBLE_S, lost), (self.jumps, jumps)
        return ", ".join(words for number, words in told if number)


@dataclass(slots=True)
class Damage:
    """What a stream has lost so far; the attributes are those of `MediaDamaged`."""

    packets: int = 0
    lost_s: float = 0.0
    jumps: int = 0
    _told: MediaDamaged | None = None

    def news(self) -> MediaDamaged | None:
        """Return what there is to tell that was not told yet."""
        lost_s = round(self.lost_s, 3)
        event = MediaDamaged(packets=self.packets, lost_s=lost_s, jumps=self.jumps)
        if event == self._told or not (self.packets or lost_s or self.jumps):
            return None
        self._told = event
        return event
