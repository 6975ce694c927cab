"""Voice-to-voice latency: how long a visitor waits for an answer, in parts that sum to the whole.

A turn is a row of moments on one clock, from the visitor's last sound in the air to the answer's
first sound in the air. The parts are the distances between neighbours, so nothing is counted twice
or forgotten. There is no clock in here: frames and events bring their times.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import Event, audio
from rtpipe_plugins.peers.realtime.transports.voices import AUDIBLE_OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame

TURN_EVENTS = ("turn.user_started", "turn.user_stopped", "turn.answer_stopped")
"""What `Latency.take` wants to hear of the stage itself."""

_REMEMBERED_S = 15.0  # no server waits for longer before it takes a turn for finished
_BELOW_PEAK = 32  # what is 30 dB softer than the loudest is the room, and not the voice
_PAUSE_S = 0.1


@dataclass(frozen=True, kw_only=True)
class TurnMeasured(Event):
    """How long the visitor waited for an answer, from his last sound to its first (ms).

    Attributes:
        response_id: The answer.
        total_ms: All of it, the sum of what follows.
        device_ms: From the air to the pipeline: the microphone, its blocks.
        dsp_ms: What stands between the microphone and the call.
        queue_ms: Waiting for the call to take it.
        hangover_ms: The silence by which the server knows that a turn is over.
        network_ms: Encoding, the way there and back, and the server's own block lengths.
        model_ms: From the end of the turn to the beginning of the answer's audio.
        jitter_ms: How long the answer was kept back for packets that come late.
        playout_ms: What stands between the call and the loudspeaker, and its device.
        played: Whether a loudspeaker told when it began; if not, `playout_ms` is 0.
        spoken_at: When the wait began, with the visitor's last sound in the air (pipeline seconds).
    """

    type: str = "latency.turn_measured"
    response_id: str
    total_ms: float
    device_ms: float
    dsp_ms: float
    queue_ms: float
    hangover_ms: float
    network_ms: float
    model_ms: float
    jitter_ms: float
    playout_ms: float
    played: bool
    spoken_at: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """A frame of the visitor's that went to the server, and its loudness (peak) by milliseconds."""

    captured_at: float
    read_at: float
    queued_at: float
    sent_at: float
    peaks: NDArray[np.int32]


@dataclass(slots=True)
class _TurnTimes:
    """One turn: the moments that are known so far (pipeline seconds)."""

    spoken_at: float
    last: _Sent
    """The frame with the visitor's last sound."""
    ended_at: float
    hangover_s: float
    response_id: str | None = None
    started_at: float = 0.0
    arrived_at: float | None = None
    onset_s: float = 0.0
    """Where in its frame the answer's first sound is."""
    kept_s: float = 0.0


class Latency:
    """Follows a conversation's turns.

    A turn is measured as soon as its last moment is known: where a loudspeaker tells, when that has
    begun to play the answer; else when the answer's first sound has arrived.

    Args:
        loudspeaker_tells: Returns whether one that tells when it begins (`playback.started`) stands
            now where the answers go.
    """

    def __init__(self, loudspeaker_tells: Callable[[], bool]) -> None:
        self._loudspeaker_tells = loudspeaker_tells
        self._sent: deque[_Sent] = deque()
        self._turn: _TurnTimes | None = None
        self._model_heard_at = float("-inf")
        self._loudspeaker_told = False

    def sent(self, frame: AudioFrame, now: float) -> None:
        """Take a frame of the visitor's that goes to the server now."""
        import numpy as np

        known = audio.meta(frame)
        captured_at = now if known.captured_at is None else known.captured_at
        queued_at = now if known.queued_at is None else known.queued_at
        read_at = queued_at if known.read_at is None else known.read_at
        pcm = np.abs(audio.pcm(frame)[:, 0].astype(np.int32))
        starts = np.arange(0, len(pcm), max(frame.sample_rate // 1000, 1))
        peaks = np.maximum.reduceat(pcm, starts)  # int32: -32768 has no int16 without its sign
        self._sent.append(_Sent(captured_at, read_at, queued_at, now, peaks))
        while self._sent[0].sent_at < now - _REMEMBERED_S:
            self._sent.popleft()

    def take(self, event: Event, hangover_s: float) -> Iterable[TurnMeasured]:
        """Take one of `TURN_EVENTS`, published by the stage itself.

        Args:
            event: The event.
            hangover_s: The silence after which the server takes a turn for finished.
        """
        match event.type:
            case "turn.answer_stopped":
                return self.finish()
            case "turn.user_started":
                self._turn = None
            case "turn.user_stopped":
                self._turn = self._ended(event.at, hangover_s)
        return []

    def answer_begins(self, response_id: str, now: float) -> Iterable[TurnMeasured]:
        """The server says that it begins to send the sound of an answer."""
        if self._turn is None:
            return []
        self._turn.response_id = response_id
        self._turn.started_at = now
        return self._unless_told()

    def arrived(self, frame: AudioFrame, kept_s: float) -> Iterable[TurnMeasured]:
        """Take a frame of the model's.

        Args:
            frame: The frame, as it left the call.
            kept_s: How long it was kept back for others that might come late.
        """
        import numpy as np

        pcm = audio.pcm(frame)
        loud = np.flatnonzero(np.abs(pcm[:, 0].astype(np.int32)) >= audio.AUDIBLE)
        captured_at = audio.meta(frame).captured_at
        if not len(loud) or captured_at is None:
            return []
        turn = self._turn
        if turn is not None and turn.arrived_at is None and captured_at >= turn.ended_at:
            turn.onset_s = int(loud[0]) / frame.sample_rate
            turn.arrived_at = captured_at + turn.onset_s
            turn.kept_s = kept_s
        self._model_heard_at = captured_at + int(loud[-1]) / frame.sample_rate
        return self._unless_told()

    def played(self, event: Event) -> Iterable[TurnMeasured]:
        """Take a `playback.started`."""
        response_id = event.payload().get("response_id")
        if response_id is None:
            return []  # a chime
        self._loudspeaker_told = True
        turn = self._turn
        if turn is None or turn.response_id != response_id or turn.arrived_at is None:
            return []
        self._turn = None
        heard_at = event.payload().get("heard_at")
        begins_at = event.at if heard_at is None else float(heard_at)  # the frame, as is told
        return [_measured(turn, turn.arrived_at, begins_at + turn.onset_s)]

    def finish(self) -> Iterable[TurnMeasured]:
        """Account for an answer that is over, or the last one."""
        if self._loudspeaker_told:
            return self._unless_told()  # it was too short to be heard yet, or never will be
        return self._unheard()  # it does not know whose sound it plays

    def _unless_told(self) -> Iterable[TurnMeasured]:
        """Account for an answer of which no loudspeaker will tell, since there is none."""
        return [] if self._loudspeaker_tells() else self._unheard()

    def _unheard(self) -> Iterable[TurnMeasured]:
        """Account for an answer without the loudspeaker; nothing, where it has not arrived."""
        turn = self._turn
        if turn is None or turn.response_id is None or turn.arrived_at is None:
            return []
        self._turn = None
        return [_measured(turn, turn.arrived_at, None)]

    def _ended(self, at: float, hangover_s: float) -> _TurnTimes | None:
        """Return the turn that was ended at `at`; None where nothing was heard of it."""
        import numpy as np

        heard = [one for one in self._sent if one.sent_at <= at]
        loudest = max((int(one.peaks.max()) for one in heard), default=0)
        threshold = max(AUDIBLE_OUT, loudest // _BELOW_PEAK)
        for one in reversed(heard):
            loud = np.flatnonzero(one.peaks >= threshold)
            if len(loud):
                spoken_at = one.captured_at + (int(loud[-1]) + 1) / 1000
                if self._model_heard_at > at - _PAUSE_S:
                    return None  # the model still speaks: its next sound is not the answer's
                return _TurnTimes(spoken_at, one, at, hangover_s)
        return None


def _measured(turn: _TurnTimes, arrived_at: float, heard_at: float | None) -> TurnMeasured:
    # A file's frames are read when they begin, and so before their last sound.
    read_at = max(turn.last.read_at, turn.spoken_at)
    queued_at = max(turn.last.queued_at, read_at)
    sent_at = max(turn.last.sent_at, queued_at)
    ended_at = max(turn.ended_at, sent_at)
    started_at = min(max(turn.started_at, ended_at), arrived_at)
    there_s, back_s = ended_at - sent_at, arrived_at - started_at
    hangover_s, kept_s = min(turn.hangover_s, there_s), min(turn.kept_s, back_s)
    parts_s = (
        read_at - turn.spoken_at,
        queued_at - read_at,
        sent_at - queued_at,
        hangover_s,
        there_s - hangover_s + back_s - kept_s,
        started_at - ended_at,
        kept_s,
        0.0 if heard_at is None else heard_at - arrived_at,
    )
    parts_ms = [round(part_s * 1000, 1) for part_s in parts_s]
    device_ms, dsp_ms, queue_ms, hangover_ms, network_ms, model_ms, jitter_ms, playout_ms = parts_ms
    return TurnMeasured(
        response_id=turn.response_id or "",
        total_ms=round(sum(parts_ms), 1),
        device_ms=device_ms,
        dsp_ms=dsp_ms,
        queue_ms=queue_ms,
        hangover_ms=hangover_ms,
        network_ms=network_ms,
        model_ms=model_ms,
        jitter_ms=jitter_ms,
        playout_ms=playout_ms,
        played=heard_at is not None,
        spoken_at=turn.spoken_at,
    )
