"""Playback position: how much of an answer has been heard, of what was handed out.

Between the call and the air stand queues, filters and a device. A loudspeaker that reports what it
plays (`playback.started`, `playback.stopped`) makes the difference known; without one, what was
handed out counts as heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtpipe import Event

PLAYBACK_EVENTS = ("playback.started", "playback.stopped")


@dataclass(frozen=True, slots=True)
class Handed:
    """How much of a response was handed out.

    Attributes:
        response_id: Whose audio it is.
        handed_ms: How much of the content part that is being spoken.
        sound_at: Pipeline second at which the first sound of the response was handed out; None
            where all of it was silence.
        sound_from_ms: Where in the content part that sound is; None where it is in another part.
    """

    response_id: str
    handed_ms: float
    sound_at: float | None
    sound_from_ms: float | None


class LoudspeakerPosition:
    """The playback position of the loudspeaker that plays the answers; `take` its events."""

    def __init__(self) -> None:
        self._response_id: str | None = None
        self._began_at = 0.0
        self._played_ms: float | None = None

    def take(self, event: Event) -> None:
        """Take a `playback.started` or a `playback.stopped`."""
        said = event.payload()
        response_id = said.get("response_id")
        if not isinstance(response_id, str):
            return  # a chime, or a loudspeaker that does not know whose audio it plays
        if event.type == "playback.started":
            if response_id != self._response_id:
                heard_at = said.get("heard_at")
                self._began_at = event.at if heard_at is None else float(heard_at)
                self._response_id = response_id
            self._played_ms = None
        elif response_id == self._response_id:
            self._played_ms = float(said["played_ms"])

    @property
    def tells(self) -> bool:
        """Whether one has told anything of an answer."""
        return self._response_id is not None

    def heard_ms(self, handed: Handed) -> float:
        """Return how much of the content part that is being spoken has been heard (ms)."""
        if self._response_id is None:
            return handed.handed_ms
        if self._response_id != handed.response_id or handed.sound_at is None:
            return 0.0
        heard_ms = handed.handed_ms - (self._began_at - handed.sound_at) * 1000
        if self._played_ms is not None and handed.sound_from_ms is not None:
            heard_ms = min(heard_ms, handed.sound_from_ms + self._played_ms)
        return min(max(heard_ms, 0.0), handed.handed_ms)
