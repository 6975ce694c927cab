"""The visitor's side of a call: the audio received, the turns in it, the items made of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from rtpipe_realtime_server.media.detector import HOP
from rtpipe_realtime_server.media.resample import RATE
from rtpipe_realtime_server.session.rejection import Rejected
from rtpipe_realtime_server.talk.conversation import ConversationItem, ConversationItems
from rtpipe_realtime_server.talk.outputs import Abandon, Foresee
from rtpipe_realtime_server.talk.turns import TurnDetector, TurnStarted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtpipe_realtime_server.media.detector import IsSpeech
    from rtpipe_realtime_server.session.session import Session
    from rtpipe_realtime_server.talk.outputs import OutputList
    from rtpipe_realtime_server.talk.transcripts import Transcripts

_SAMPLES_PER_MS = RATE // 1000
_LEAST_MS = 100
_KEPT_SAMPLES = 300 * RATE


class InputBuffer:
    """The audio received since the last commit, at most 5 minutes of it."""

    def __init__(self) -> None:
        self._chunks: deque[NDArray[np.int16]] = deque()
        self._end = 0
        self._length = 0

    @property
    def milliseconds(self) -> float:
        """Length of what it holds."""
        return self._length / _SAMPLES_PER_MS

    def append(self, pcm: NDArray[np.int16]) -> None:
        """Add what was received."""
        self._chunks.append(pcm)
        self._end += len(pcm)
        self._length += len(pcm)
        while self._length > _KEPT_SAMPLES:
            self._length -= len(self._chunks.popleft())

    def since(self, from_ms: int = 0) -> NDArray[np.int16]:
        """Return the audio since `from_ms` of the call."""
        pcm = np.concatenate([np.zeros(0, np.int16), *self._chunks])
        return pcm[max(0, from_ms * _SAMPLES_PER_MS - (self._end - self._length)) :]

    def take(self, from_ms: int = 0) -> NDArray[np.int16]:
        """Return the audio since `from_ms` of the call and empty the buffer."""
        pcm = self.since(from_ms)
        self.clear()
        return pcm

    def clear(self) -> None:
        """Drop what it holds; the clock goes on."""
        self._chunks.clear()
        self._length = 0


class Listener:
    """Turns received audio into `input_audio_buffer` events and items of the user.

    Args:
        outbox: Where the events go.
        session: The settings, read anew for each piece of audio.
        conversation: Where the items go.
        transcripts: Asked for the words of each item that the client wants transcribed.
        is_speech: Judges hops.
        on_started: Called when the visitor begins to speak, after the event.
        on_turn: Called when a turn has become an item.
    """

    def __init__(
        self,
        outbox: OutputList,
        session: Session,
        conversation: ConversationItems,
        transcripts: Transcripts,
        is_speech: IsSpeech,
        *,
        on_started: Callable[[], None],
        on_turn: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._session = session
        self._conversation = conversation
        self._transcripts = transcripts
        self._on_started = on_started
        self._on_turn = on_turn
        self._turns = TurnDetector(is_speech)
        self._buffer = InputBuffer()
        self._item_id = ""
        """Id of the item that the turn in progress will become."""
        self._started_ms = 0
        self._quiet_from_ms = 0
        self._foreseen = False
        """The words of a turn that has paused are being looked for."""

    def hear(self, pcm: NDArray[np.int16]) -> None:
        """Take received audio (mono, 16 kHz)."""
        for start in range(0, len(pcm), HOP):
            piece = pcm[start : start + HOP]
            self._buffer.append(piece)
            for change in self._turns.feed(piece, self._session.turn_detection):
                if isinstance(change, TurnStarted):
                    self._start(change.at_ms)
                else:
                    self._stop(change.at_ms)
            if self._turns.paused != self._foreseen:
                self._foresee()

    def watch_quiet(self, *, answering: bool) -> None:
        """Take a turn of silence for the visitor's when `idle_timeout_ms` has passed.

        Args:
            answering: The server generates or plays, or has not said anything yet.
        """
        settings = self._session.turn_detection
        now = self._turns.now_ms
        if answering or self._turns.speaking:
            self._quiet_from_ms = now
        elif settings and settings.idle_timeout_ms:
            since = self._quiet_from_ms
            if now - since >= settings.idle_timeout_ms:
                self._quiet_from_ms = now
                item_id = self._outbox.new_id("item")
                self._outbox.emit(
                    "input_audio_buffer.timeout_triggered",
                    audio_start_ms=since,
                    audio_end_ms=now,
                    item_id=item_id,
                )
                self._end_turn(self._buffer.take(since), item_id, words="")

    def check_commit(self, held_ms: float) -> None:
        """Refuse to make an item of too little.

        Args:
            held_ms: What was received beside what was heard: a resampler holds a little back.

        Raises:
            Rejected: It is less than 100 ms.
        """
        length = self._buffer.milliseconds + held_ms
        if length < _LEAST_MS:
            raise Rejected(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{_LEAST_MS}ms of audio, but buffer only has {length:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )

    def commit(self) -> None:
        """Make an item of what was received, because the client says so.

        Raises:
            Rejected: The conversation has no room for it.
        """
        item_id = self._item_id if self._turns.speaking else self._outbox.new_id("item")
        self._turns.reset()
        self._commit(self._buffer.take(), item_id)

    def clear(self) -> None:
        """Drop what was received, because the client says so."""
        self._buffer.clear()
        self._turns.reset()
        if self._foreseen:
            self._foresee()
        self._outbox.emit("input_audio_buffer.cleared")

    def forget(self) -> None:
        """Let go of what was received."""
        self._buffer.clear()

    def _start(self, at_ms: int) -> None:
        self._item_id = self._outbox.new_id("item")
        self._started_ms = at_ms
        self._outbox.emit(
            "input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._item_id
        )
        self._on_started()

    def _foresee(self) -> None:
        """Have the words looked for while it is not known whether the turn is over.

        A visitor who goes on after a pause makes it vain.
        """
        self._foreseen = self._turns.paused
        if not self._foreseen:
            self._outbox.command(Abandon(self._item_id))
            return
        settings = self._session.turn_detection
        if self._session.transcribes or (settings and settings.create_response):
            self._outbox.command(Foresee(self._item_id, self._buffer.since(self._started_ms)))

    def _stop(self, at_ms: int) -> None:
        self._outbox.emit(
            "input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._item_id
        )
        self._end_turn(self._buffer.take(self._started_ms), self._item_id)

    def _end_turn(self, pcm: NDArray[np.int16], item_id: str, words: str | None = None) -> None:
        try:
            self._commit(pcm, item_id, words)
            self._on_turn()
        except Rejected as rejected:  # nobody's event is to blame for it
            self._outbox.emit("error", error={**rejected.body(), "event_id": None})

    def _commit(self, pcm: NDArray[np.int16], item_id: str, words: str | None = None) -> None:
        self._foreseen = False  # they are wanted now
        body = {
            "id": item_id,
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        item = ConversationItem(body, words=words)
        item.record(pcm)
        self._conversation.check_room(item)
        self._outbox.emit(
            "input_audio_buffer.committed",
            previous_item_id=self._conversation.last_id,
            item_id=item_id,
        )
        previous = self._conversation.add(item)
        for what in ("added", "done"):
            self._outbox.emit(
                f"conversation.item.{what}", previous_item_id=previous, item=item.snapshot()
            )
        if self._session.transcribes:
            self._transcripts.report(item)
