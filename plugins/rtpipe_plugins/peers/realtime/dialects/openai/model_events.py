"""What the server says of the model: its responses, generated, played and cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.conversation import AnswerBegins, AnswerEnds, Generated
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, place_of, text_of
from rtpipe_plugins.peers.realtime.dialects.openai.session import fatal
from rtpipe_plugins.peers.realtime.errors import FATAL_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from logging import Logger

    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.function_calls import FunctionCalls
    from rtpipe_plugins.peers.realtime.dialects.openai.interruption import Interruption
    from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
    from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
    from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection


class ModelEvents:
    """Reacts to the events about the model.

    Args:
        responses: What is known of what it says.
        requests: What it is still asked for.
        interruption: What of it may be heard.
        functions: What it calls.
        detection: Whether the visitor awaits an answer.
        log: The stage's.
    """

    def __init__(
        self,
        responses: Responses,
        requests: ResponseRequests,
        interruption: Interruption,
        functions: FunctionCalls,
        detection: TurnDetection,
        log: Logger,
    ) -> None:
        self._responses = responses
        self._requests = requests
        self._interruption = interruption
        self._functions = functions
        self._detection = detection
        self._log = log
        self.reactions: Mapping[str, Callable[[Mapping[str, Any]], list[Output]]] = {
            "response.created": self._created,
            "response.output_audio.delta": self._voiced,
            "response.output_audio.done": self._voiced,
            "response.output_audio_transcript.delta": self._delta,
            "response.output_audio_transcript.done": self._words,
            "response.output_text.delta": self._delta,
            "response.output_text.done": self._words,
            "response.done": self._done,
            "output_audio_buffer.started": self._playing,
            "output_audio_buffer.stopped": self._played,
            "output_audio_buffer.cleared": self._cut_off,
        }
        """By the event's name."""

    def _created(self, event: Mapping[str, Any]) -> list[Output]:
        response = object_of(event, "response")
        in_band = response.get("conversation_id", "") is not None
        self._requests.sequencer.created(in_band=in_band)
        if in_band:
            self._detection.answered()
            self._interruption.barge_in.created(text_of(response, "id"))
        return list(self._responses.created(text_of(response, "id"), in_band=in_band))

    def _delta(self, event: Mapping[str, Any]) -> list[Output]:
        self._responses.heard(*place_of(event), text_of(event, "delta"), whole=False)
        return []

    def _voiced(self, event: Mapping[str, Any]) -> list[Output]:
        self._responses.voiced(text_of(event, "response_id"))
        return []

    def _words(self, event: Mapping[str, Any]) -> list[Output]:
        words = text_of(event, "transcript") or text_of(event, "text")
        self._responses.heard(*place_of(event), words, whole=True)
        return []

    def _done(self, event: Mapping[str, Any]) -> list[Output]:
        response = object_of(event, "response")
        id, tokens = text_of(response, "id"), object_of(response, "usage").get("output_tokens")
        outputs: list[Output] = [Generated(tokens)] if isinstance(tokens, int) else []
        outputs += self._responses.done(id, response)
        failure = object_of(object_of(response, "status_details"), "error")
        if failure:
            code, message = text_of(failure, "code"), text_of(failure, "message")
            if code in FATAL_CODES:
                return [*outputs, fatal(code, message)]
            self._log.warning("the model could not answer: %s", message or code)
        if not self._interruption.barge_in.announces:
            outputs.append(AnswerEnds(id, told=False))
        interrupted = self._interruption.barge_in.interrupted(id)
        outputs += self._functions.asked(response, interrupted=interrupted)
        return [*outputs, *self._requests.due()]

    def _playing(self, event: Mapping[str, Any]) -> list[Output]:
        id = text_of(event, "response_id")
        begins: list[Output] = []
        if self._responses.may_start(id):
            self._interruption.barge_in.started(id)
            begins.append(AnswerBegins(id))
        return [*begins, *self._responses.started(id)]

    def _played(self, event: Mapping[str, Any]) -> list[Output]:
        id = text_of(event, "response_id")
        return [AnswerEnds(id), *self._responses.ended(id, cut_off=False)]

    def _cut_off(self, event: Mapping[str, Any]) -> list[Output]:
        id, audible = text_of(event, "response_id"), self._interruption.audible
        cut_off = self._interruption.cut_off([id]) if id in audible else []
        return [*cut_off, AnswerEnds(id, cut=True), *self._responses.ended(id, cut_off=True)]
