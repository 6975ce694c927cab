"""What a running stage looks like from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe.stage import Peer, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.audio import AudioFrame
    from rtpipe.link import Link, LinkStatistics
    from rtpipe.running.supervisor import Slot, Status


@dataclass(frozen=True, slots=True)
class StageState:
    """One stage of a running pipeline, as it is now.

    Attributes:
        id: The stage.
        kind: What stands there now; a fallback's kind where one took over.
        status: See `Status`.
        gives_stream: Whether a stream begins here: a source or a peer.
        last: The newest frame it gave out or took, for a level.
        links: Its inlets' statistics.
        lost_frames: Frames lost because it failed on them or was not there.
        gauge: How it says that it is doing, in a few words; "" where it says nothing.
    """

    id: str
    kind: str
    status: Status
    gives_stream: bool
    last: AudioFrame | None
    links: tuple[LinkStatistics, ...]
    lost_frames: int
    gauge: str


def state_of(slot: Slot, inlets: Iterable[Link]) -> StageState:
    """Return what the stage in `slot`, which reads `inlets`, looks like now."""
    return StageState(
        slot.spec.id,
        slot.used.kind,
        slot.status,
        issubclass(slot.used.stage_type, (Source, Peer)),
        slot.last,
        tuple(link.snapshot() for link in inlets),
        slot.lost_frames,
        slot.gauge(),
    )
