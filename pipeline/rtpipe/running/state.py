"""What a running stage looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rtpipe.stage import Peer, Sink, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.audio import AudioFrame
    from rtpipe.link import Link, LinkStatistics
    from rtpipe.running.supervisor import Slot


class Status(StrEnum):
    """Where a stage is in its life."""

    STARTING = "starting"
    OK = "ok"
    RECOVERING = "recovering"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage of a running pipeline, as it is now.

    Attributes:
        id: The stage.
        kind: What stands there now; a fallback's kind where one took over.
        status: See `Status`.
        detail: Why it is recovering or has failed; "" otherwise.
        opening: Whether it is being opened for the first time, at this moment.
        ended: Whether its stream has ended; of a source.
        gives_stream: Whether a stream begins here: a source or a peer.
        takes_stream: Whether a stream ends here: a sink or a peer.
        last: The newest frame it gave out or took, for a level.
        links: Its inlets' statistics.
        lost_frames: Frames lost because it failed on them or was not there.
        gauge: How it says that it is doing, in a few words; "" where it says nothing.
        away: How far the way back is where a fallback is to give its place back; "" elsewhere.
    """

    id: str
    kind: str
    status: Status
    detail: str
    opening: bool
    ended: bool
    gives_stream: bool
    takes_stream: bool
    last: AudioFrame | None
    links: tuple[LinkStatistics, ...]
    lost_frames: int
    gauge: str
    away: str

    @property
    def waiting(self) -> bool:
        """Whether it is an open source that has given no audio yet, and still may."""
        silent = self.gives_stream and not self.takes_stream and self.last is None
        return silent and not self.ended and self.status in {Status.OK, Status.RECOVERING}

    @property
    def took_audio(self) -> bool:
        """Whether a stream ends here and some of it was taken."""
        return self.takes_stream and any(link.frames_out for link in self.links)


def state_of(slot: Slot, inlets: Iterable[Link]) -> StageState:
    """Return what the stage in `slot`, which reads `inlets`, looks like now."""
    return StageState(
        slot.spec.id,
        slot.used.kind,
        slot.status,
        slot.detail,
        slot.opening,
        slot.ended,
        issubclass(slot.used.stage_type, (Source, Peer)),
        issubclass(slot.used.stage_type, (Sink, Peer)),
        slot.last,
        tuple(link.snapshot() for link in inlets),
        slot.lost_frames,
        slot.gauge(),
        _away(slot),
    )


def _away(slot: Slot) -> str:
    """Return how far it is with what is to come back; "" where nothing is."""
    after_s = slot.returns_after_s
    if after_s is None:
        return ""
    return "is back, waits for a pause" if slot.returning else f"away, tried every {after_s:g} s"
