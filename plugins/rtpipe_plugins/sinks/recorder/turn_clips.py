"""A file for each turn: what the user said, and what the assistant answered."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtpipe import reason_of
from rtpipe_plugins.sinks.recorder.events import RecorderFailed, RecorderTurnRecorded
from rtpipe_plugins.sinks.recorder.segment import FileFormat, Segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import Event

_BEFORE_S = 0.5
"""A detector tells of a voice when it has heard some of it."""
_AFTER_S = 0.3
"""What was sent last is still on its way when its end is told."""
_HISTORY_S = 3
"""Kept so that a clip can begin before the event that asks for it."""

_BEGINS = {
    "vad.speech_started": "user",
    "turn.user_started": "user",
    "turn.answer_started": "assistant",
}
_ENDS = {
    "vad.speech_stopped": "user",
    "turn.user_stopped": "user",
    "turn.answer_stopped": "assistant",
}
TURN_EVENTS = (*_BEGINS, *_ENDS, "realtime.connected")
TURN_BEGINS = frozenset(_BEGINS)


@dataclass(slots=True)
class _Clip:
    segment: Segment
    role: str
    track: int
    begin: int
    at: int
    by: str
    until: int | None = None


class TurnClips:
    """Cuts turns out of the aligned inputs, in a recording's thread.

    The assistant's voice is the input that the events of its playing come from, or the last one;
    the user's is the first of the others. Where a peer detects the user's turns, a `vad` does not.

    Args:
        inputs: Ids of the inputs.
        format: Of the files; each has one mono track.
        ending: Of their names.
        zero_s: The pipeline second that is 0 in the recording.
        events: Where the event loop puts `TURN_EVENTS`.
        announce: Called with what happens.
    """

    def __init__(
        self,
        inputs: tuple[str, ...],
        format: FileFormat,
        ending: str,
        zero_s: float,
        events: deque[Event],
        announce: Callable[[Event], None],
    ) -> None:
        self._inputs = inputs
        self._format = replace(format, layout="mono", titles=("",))
        self._ending = ending
        self._zero_s = zero_s
        self._events = events
        self._announce = announce
        self._rate = format.sample_rate
        self._history: deque[NDArray[np.int16]] = deque()
        self._history_begin = self._position = 0
        self._outside = 0  # how much of the timeline is before the recording or in its pauses
        self._open: list[_Clip] = []
        self._names: set[Path] = set()
        self._count = 0
        self._peers: set[str] = set()
        self._peer_listens = False

    def write(self, block: NDArray[np.int16], folder: Path) -> None:
        """Take a block of all inputs, shape (samples, inputs); new clips go to `folder`."""
        self._history.append(block)
        self._position += len(block)
        while self._position - self._history_begin - len(self._history[0]) > (
            _HISTORY_S * self._rate
        ):
            self._history_begin += len(self._history.popleft())
        while self._events:
            self._heed(self._events.popleft(), folder)
        for clip in tuple(self._open):
            self._extend(clip)

    def skip(self, samples: int, folder: Path) -> None:
        """Pass over what is not recorded: a turn that it falls into ends there."""
        while self._events and self._sample(self._events[0].at) < self._position:
            self._heed(self._events.popleft(), folder)
        self.close()
        self._history.clear()
        self._position += samples
        self._history_begin = self._position
        self._outside += samples

    def start(self) -> None:
        """Count from 0: another recording begins here."""
        self._outside = self._position

    def close(self) -> None:
        """Complete the clips that are open."""
        for clip in tuple(self._open):
            clip.until = self._position
            self._extend(clip)

    def _heed(self, event: Event, folder: Path) -> None:
        if event.type.startswith(("realtime.", "turn.")):
            self._peers.add(event.source)
        sound_at = event.at - event.payload().get("quiet_s", 0.0)
        at = self._sample(sound_at)
        if role := _ENDS.get(event.type):
            for clip in self._open:
                if clip.role == role and clip.by == _family(event):
                    self._end(clip, at)
        elif role := _BEGINS.get(event.type):
            self._begin(role, _family(event), event.source, at, folder)

    def _sample(self, pipeline_s: float) -> int:
        return round((pipeline_s - self._zero_s) * self._rate)

    def _begin(self, role: str, by: str, source: str, at: int, folder: Path) -> None:
        if by == "vad" and self._peer_listens:
            return
        self._peer_listens = self._peer_listens or (role == "user" and by == "turn")
        speaking = [clip for clip in self._open if clip.role == role and clip.until is None]
        if role == "user" and speaking:
            return  # the other detector hears the same words
        for clip in speaking:  # its end was never told
            self._end(clip, at)
        track = self._track(role, source)
        if track is None:
            return
        begin = max(at - round(_BEFORE_S * self._rate), self._history_begin, 0)
        path = folder / f"{self._count + 1:03}-{role}{self._ending}"
        try:
            segment = Segment(path, self._format, None, 0.0, self._names)
        except OSError as error:
            self._failed(path, error)
            return
        for leftover in segment.leftovers:
            self._announce(leftover)
        self._count += 1
        self._open.append(_Clip(segment, role, track, begin, begin, by))

    def _track(self, role: str, source: str) -> int | None:
        """Return whose voice it is, by the place among the inputs; None if it is not recorded."""
        if role == "user":
            voices = (n for n, id in enumerate(self._inputs) if id not in self._peers)
            return next(voices, None)
        if source in self._inputs:
            return self._inputs.index(source)
        return len(self._inputs) - 1 if len(self._inputs) > 1 else None

    def _end(self, clip: _Clip, at: int) -> None:
        if clip.until is None:
            clip.until = at + round(_AFTER_S * self._rate)

    def _extend(self, clip: _Clip) -> None:
        """Write what of a clip has been recorded; complete it where its end has been."""
        import numpy as np

        end = self._position if clip.until is None else min(clip.until, self._position)
        try:
            if end > clip.at:
                clip.segment.write(
                    [np.ascontiguousarray(self._between(clip.at, end)[:, [clip.track]])]
                )
                clip.at = end
            if clip.until is not None and clip.until <= self._position:
                self._open.remove(clip)
                clip.segment.close()
                self._tell(clip)
        except OSError as error:
            if clip in self._open:
                self._open.remove(clip)
                clip.segment.abandon(empty=clip.at == clip.begin)
            self._failed(clip.segment.path, error)

    def _between(self, begin: int, end: int) -> NDArray[np.int16]:
        import numpy as np

        held = np.concatenate(self._history)
        return held[begin - self._history_begin : end - self._history_begin]

    def _tell(self, clip: _Clip) -> None:
        self._announce(
            RecorderTurnRecorded(
                path=str(clip.segment.path),
                role=clip.role,
                start_s=round((clip.begin - self._outside) / self._rate, 3),
                duration_s=round((clip.at - clip.begin) / self._rate, 3),
            )
        )

    def _failed(self, path: Path, error: OSError) -> None:
        if not self._format.durable:
            raise error
        self._announce(RecorderFailed(path=str(path), error=reason_of(error)))


def _family(event: Event) -> str:
    """Return who said that a turn begins or ends: the end of a turn is told by the same."""
    return event.type.partition(".")[0]
