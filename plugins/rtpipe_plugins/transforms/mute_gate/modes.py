"""When a mute gate is open: what its modes go by."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rtpipe import StageError, audio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe import AudioFrame, Event

Piece: TypeAlias = tuple[int, bool]
"""So many samples, and whether the gate is open for them."""


class GateMode(Protocol):
    """Decides for which samples the gate is open."""

    def pieces(self, pts: int, count: int, sample_rate: int) -> Iterator[Piece]:
        """Yield pieces that make up the next `count` samples; called once for each sample."""
        raise NotImplementedError


class Talk:
    """Push-to-talk: open while a button is pressed; or always."""

    def __init__(self) -> None:
        self.talking = False
        self.always = True

    def pieces(self, pts: int, count: int, sample_rate: int) -> Iterator[Piece]:  # noqa: ARG002
        """Yield one piece: it changes between frames."""
        yield count, self.always or self.talking


class Echo:
    """Half-duplex: closed while a loudspeaker is heard, and a little longer (hang-over).

    A peer says when it gives out an answer, a speaker when it plays: whatever is there counts.
    """

    LISTENS_TO = (
        "turn.answer_started",
        "turn.answer_stopped",
        "playback.started",
        "playback.stopped",
        "realtime.disconnected",
        "stage.status_changed",
    )

    def __init__(self) -> None:
        self.tail_ms = 0.0
        self._sounding: set[tuple[str, str]] = set()
        self._tail_begins = False
        self._tail_left = 0

    def hear(self, event: Event) -> None:
        """Take what a peer or a speaker says."""
        said_by = {sound for sound in self._sounding if sound[0] == event.source}
        response = event.payload().get("response_id")
        match event.type:
            case "turn.answer_started":
                self._sounding.add((event.source, str(response)))
            case "turn.answer_stopped":
                self._end({(event.source, str(response))} if response else said_by)
            case "playback.started":
                self._sounding.add((event.source, "playback"))
            case "playback.stopped" | "realtime.disconnected":
                self._end(said_by)
            case "stage.status_changed" if event.payload().get("status") != "ok":
                self._end(said_by)  # whoever fails in mid-sentence does not say that it is over

    def _end(self, sounds: set[tuple[str, str]]) -> None:
        if sounds & self._sounding:
            self._sounding -= sounds
            self._tail_begins = True

    def pieces(self, pts: int, count: int, sample_rate: int) -> Iterator[Piece]:  # noqa: ARG002
        """Yield the rest of the tail and what comes after it."""
        if self._sounding:
            yield count, False
            return
        if self._tail_begins:
            self._tail_begins = False
            self._tail_left = round(self.tail_ms * sample_rate / 1000)
        closed = min(count, self._tail_left)
        self._tail_left -= closed
        if closed:
            yield closed, False
        if closed < count:
            yield count - closed, True


class VoiceMode:
    """Voice-activated: open from a preroll before detected speech until its hang-over is up."""

    def __init__(self) -> None:
        self.preroll_ms = 0.0
        self.reset()

    def preroll(self, sample_rate: int) -> int:
        """Return the preroll in samples: what is so old is decided."""
        return round(self.preroll_ms * sample_rate / 1000)

    def reset(self) -> None:
        """Forget the voice."""
        self._speaking = False
        self._is_open = False
        self._changes: deque[Piece] = deque()  # (pts, open), in turn

    def hear(self, frame: AudioFrame) -> None:
        """Take a frame's verdicts."""
        verdicts = audio.meta(frame).speech
        if verdicts is None:
            raise StageError(
                "mode vad needs to be told what is speech",
                help="put a `vad` before the mute_gate, with nothing between that makes new frames",
            )
        slices, rate = audio.slice_numbers(frame), frame.sample_rate
        if len(verdicts) != len(slices):  # the frame was cut since: they no longer say which slice
            verdicts = (any(verdicts),) * len(slices) if verdicts else ()
        at = 0
        while (changed := not self._speaking) in verdicts[at:]:
            at = verdicts.index(changed, at)
            self._speaking = changed
            self._schedule(-(-slices[at] * rate // 50), self.preroll(rate))

    def _schedule(self, pts: int, preroll: int) -> None:
        if not self._speaking:
            self._changes.append((pts, False))
        elif self._changes and self._changes[-1][0] >= pts - preroll:
            self._changes.pop()  # it would have closed within the preroll: it stays open
        else:
            self._changes.append((pts - preroll, True))

    def pieces(self, pts: int, count: int, sample_rate: int) -> Iterator[Piece]:  # noqa: ARG002
        """Yield what lies between two changes."""
        end = pts + count
        while self._changes and self._changes[0][0] < end:
            at, is_open = self._changes.popleft()
            if at > pts:
                yield at - pts, self._is_open
                pts = at
            self._is_open = is_open
        yield end - pts, self._is_open
