"""What the server says of the model: its responses, generated, played and cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.conversation import AnswerBegins, AnswerEnds
from rtpipe_plugins.peers.realtime.dialects.openai.messages import (
    number_of,
    object_of,
    place_of,
    text_of,
)
from rtpipe_plugins.peers.realtime.dialects.openai.responses import how_it_ended
from rtpipe_plugins.peers.realtime.dialects.openai.session import fatal
from rtpipe_plugins.peers.realtime.errors import FATAL_CODES
from rtpipe_plugins.peers.realtime.response_events import (
    RealtimeResponseCancelled,
    RealtimeResponseFailed,
    RealtimeResponseIncomplete,
    RealtimeTokensUsed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe import Event
    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.interruption import Interruption
    from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
    from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
    from rtpipe_plugins.peers.realtime.dialects.openai.tool_calls.functions import FunctionCalls
    from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection


class ModelEvents:
    """Reacts to the events about the model.

    Args:
        responses: What is known of what it says.
        requests: What it is still asked for.
        interruption: What of it may be heard.
        functions: What it calls.
        detection: Whether the visitor awaits an answer.
    """

    def __init__(
        self,
        responses: Responses,
        requests: ResponseRequests,
        interruption: Interruption,
        functions: FunctionCalls,
        detection: TurnDetection,
    ) -> None:
        self._responses = responses
        self._requests = requests
        self._interruption = interruption
        self._functions = functions
        self._detection = detection
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
        id, in_band = text_of(response, "id"), response.get("conversation_id", "") is not None
        id = self._responses.name(id)
        self._requests.sequencer.created(in_band=in_band)
        if in_band:
            self._detection.answered()
            self._interruption.barge_in.created(id)
        return list(self._responses.created(id, in_band=in_band))

    def _delta(self, event: Mapping[str, Any]) -> list[Output]:
        id, place = place_of(event)
        id = self._responses.generated_one(id)
        return list(self._responses.heard(id, place, text_of(event, "delta"), whole=False))

    def _voiced(self, event: Mapping[str, Any]) -> list[Output]:
        self._responses.voiced(text_of(event, "response_id"), number_of(event, "audio_ms"))
        return []

    def _words(self, event: Mapping[str, Any]) -> list[Output]:
        id, place = place_of(event)
        words = text_of(event, "transcript") or text_of(event, "text")
        id = self._responses.generated_one(id)
        return list(self._responses.heard(id, place, words, whole=True))

    def _done(self, event: Mapping[str, Any]) -> list[Output]:
        response = object_of(event, "response")
        id = self._responses.generated_one(text_of(response, "id"))
        if not self._responses.begun_before(id):  # news of its beginning was lost
            in_band = response.get("conversation_id", "") is not None
            self._requests.sequencer.created(in_band=in_band)
        outputs: list[Output] = [*_used(id, object_of(response, "usage"))]
        outputs += self._responses.done(id, response)
        status, reason = how_it_ended(response)
        outputs += _told(id, status, reason, response)
        if status == "failed" and reason in FATAL_CODES:
            failure = object_of(object_of(response, "status_details"), "error")
            return [*outputs, fatal(reason, text_of(failure, "message"))]
        if not self._interruption.barge_in.announces:
            outputs.append(AnswerEnds(id, told=False))
        if status == "completed":
            interrupted = self._interruption.barge_in.interrupted(id)
            outputs += self._functions.asked(response, interrupted=interrupted)
        return [*outputs, *self._requests.due()]

    def _playing(self, event: Mapping[str, Any]) -> list[Output]:
        id = self._responses.played_one(text_of(event, "response_id"))
        begins: list[Output] = []
        if self._responses.may_start(id):
            self._interruption.barge_in.started(id)
            begins.append(AnswerBegins(id))
        return [*begins, *self._responses.started(id)]

    def _played(self, event: Mapping[str, Any]) -> list[Output]:
        id = self._responses.played_one(text_of(event, "response_id"))
        return [AnswerEnds(id), *self._responses.ended(id, cut_off=False)]

    def _cut_off(self, event: Mapping[str, Any]) -> list[Output]:
        id = self._responses.played_one(text_of(event, "response_id"))
        cut_off = self._interruption.cut_off([id]) if id in self._interruption.audible else []
        return [*cut_off, AnswerEnds(id, cut=True), *self._responses.ended(id, cut_off=True)]


def _used(id: str, usage: Mapping[str, Any]) -> list[Event]:
    """Return what an answer cost; nothing where the server does not count it."""
    taken, given = object_of(usage, "input_token_details"), object_of(usage, "output_token_details")
    if not isinstance(usage.get("output_tokens"), int):
        return []
    return [
        RealtimeTokensUsed(
            response_id=id,
            input_tokens=_count(usage, "input_tokens"),
            output_tokens=_count(usage, "output_tokens"),
            cached_tokens=_count(taken, "cached_tokens"),
            input_audio_tokens=_count(taken, "audio_tokens"),
            output_audio_tokens=_count(given, "audio_tokens"),
        )
    ]


def _count(counts: Mapping[str, Any], name: str) -> int:
    count = counts.get(name)
    return count if isinstance(count, int) else 0


def _told(id: str, status: str, reason: str, response: Mapping[str, Any]) -> list[Event]:
    """Return what there is to tell of an answer that did not reach its end."""
    match status:
        case "cancelled":
            return [RealtimeResponseCancelled(response_id=id, reason=reason)]
        case "incomplete":
            return [RealtimeResponseIncomplete(response_id=id, reason=reason)]
        case "failed":
            error = object_of(object_of(response, "status_details"), "error")
            message = text_of(error, "message")
            return [RealtimeResponseFailed(response_id=id, code=reason, message=message)]
    return []
