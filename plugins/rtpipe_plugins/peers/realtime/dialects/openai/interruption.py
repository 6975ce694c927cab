"""Barge-in, carried out: the visitor speaks, and the model is silenced here and at the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe_plugins.peers.realtime.dialects.conversation import AnswerEnds, Interrupted
from rtpipe_plugins.peers.realtime.dialects.openai.barge_in import BargeIn

if TYPE_CHECKING:
    from rtpipe import AudioFrame
    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.commands import Commands
    from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import (
        FalseInterruptions,
        Ruling,
    )
    from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
    from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
    from rtpipe_plugins.peers.realtime.dialects.openai.tool_calls.functions import FunctionCalls
    from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection


class Interruption:
    """Silences the model, at once or after a ruling that a noise was words.

    Args:
        commands: Makes the commands.
        requests: Asks for the answers to what interrupts.
        responses: What the model is saying.
        functions: What it has called.
        judge: Tells false interruptions; None: every noise interrupts, if the server lets it.
        in_flight: See `BargeIn`.
    """

    def __init__(
        self,
        commands: Commands,
        requests: ResponseRequests,
        responses: Responses,
        functions: FunctionCalls,
        judge: FalseInterruptions | None,
        *,
        in_flight: bool,
    ) -> None:
        self._commands = commands
        self._requests = requests
        self._responses = responses
        self._functions = functions
        self._judge = judge
        self.barge_in = BargeIn(in_flight=in_flight)
        """Which responses may be heard."""

    @property
    def audible(self) -> list[str]:
        """The responses that may be heard."""
        return [id for id in self._responses.sounding if not self.barge_in.interrupted(id)]

    def interrupt(self) -> list[Output]:
        """See `Conversation.interrupt`."""
        return self.silence() if self._model_has_word else []

    def silence(self) -> list[Output]:
        """Silence the model here and at the server."""
        stop = [self._commands.make("response.cancel")] if self._responses.generating else []
        clear = self._commands.make("output_audio_buffer.clear")
        return [*self.cut_off(self.audible), *stop, clear]

    def cut_off(self, ids: list[str]) -> list[Output]:
        """Let nothing of these responses be heard any more: the visitor has the word."""
        if ids:
            self.barge_in.interrupt(ids)
        if self._judge is not None:
            self._judge.drop()
        self._functions.interrupted()
        cut = [AnswerEnds(id, cut=True) for id in ids]
        return [Interrupted(), *cut, *self._responses.interrupted(ids)]

    def speech_started(self, item_id: str, detection: TurnDetection) -> list[Output]:
        """The server hears the visitor."""
        if not self._model_has_word:
            return []
        if self._judge is not None:
            self._judge.started(item_id, detection.hangover_s * 1000)
            return []
        return self.cut_off(self.audible) if detection.interrupts else []

    def speech_stopped(self, speech_ms: float, detection: TurnDetection) -> list[Output]:
        """The server has heard the visitor for so long."""
        if self._judge is None:
            return []
        return self._ruled(self._judge.stopped(speech_ms, transcribes=detection.transcribes))

    def committed(self, item_id: str) -> list[Output]:
        """What the server has heard is part of the conversation."""
        return [] if self._judge is None else self._ruled(self._judge.committed(item_id))

    def words(self, item_id: str, text: str, *, whole: bool) -> list[Output]:
        """Some of the visitor's words are known, or the whole of them."""
        if self._judge is None:
            return []
        return self._ruled(self._judge.heard(item_id, text, whole=whole))

    def elapsed(self, ms: float) -> list[Output]:
        """See `Conversation.elapsed`."""
        return [] if self._judge is None else self._ruled(self._judge.elapsed(ms))

    def listen(self, frame: AudioFrame) -> list[AudioFrame]:
        """See `Conversation.listen`."""
        heard = self.barge_in.take(frame)
        return heard if self._judge is None else [self._judge.take(each) for each in heard]

    @property
    def _model_has_word(self) -> bool:
        return bool(self.audible) or (self._judge is not None and self._judge.late)

    def _ruled(self, ruling: Ruling) -> list[Output]:
        """Do what has been ruled about a noise."""
        outputs = self.silence() if ruling.interrupt else []
        if ruling.delete:
            delete = self._commands.make("conversation.item.delete", item_id=ruling.delete)
            outputs.append(delete)
        return [*outputs, *self._requests.want({})] if ruling.answer else outputs
