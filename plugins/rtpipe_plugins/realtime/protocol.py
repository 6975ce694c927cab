"""OpenAI's Realtime protocol (GA) as a state machine without input or output.

JSON in, facts and commands out. The channel is ordered, but `output_audio_buffer.*` and the
transcription come from other machines than the rest, so nothing here depends on their place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rtpipe import ExitCode, NotConnected
from rtpipe_plugins.realtime.dialect import Command, Ended, Output
from rtpipe_plugins.realtime.errors import CallRefused
from rtpipe_plugins.realtime.events import ServerEvent, UserTranscript
from rtpipe_plugins.realtime.messages import (
    difference,
    object_of,
    objects_of,
    parsed,
    place_of,
    text_of,
)
from rtpipe_plugins.realtime.responses import Responses
from rtpipe_plugins.realtime.sequencer import ALREADY_ACTIVE, Sequencer
from rtpipe_plugins.realtime.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BENIGN = {
    ALREADY_ACTIVE,
    "response_cancel_not_active",
    "input_audio_buffer_commit_empty",
    "item_truncate_invalid_item_id",
}
"""Races that everybody loses now and then."""

_FATAL = {
    "insufficient_quota": ExitCode.TEMPORARY,
    "billing_hard_limit_reached": ExitCode.TEMPORARY,
    "account_deactivated": ExitCode.NO_PERMISSION,
    "invalid_api_key": ExitCode.NO_PERMISSION,
}


class RealtimeProtocol:
    """One conversation in OpenAI's Realtime protocol; see `Conversation`.

    Args:
        wanted: The session object that was asked for.
        given: Whether the server has had it with the offer. If so it is sent again only where the
            server's answer differs; if not, all of it is sent once the session is there.
        mask: Takes secrets out of what the server says.
        log: The stage's.
    """

    def __init__(
        self,
        wanted: Mapping[str, Any],
        *,
        given: bool,
        mask: Callable[[str], str],
        log: logging.Logger,
    ) -> None:
        self._wanted = {key: value for key, value in wanted.items() if key != "model"}
        self._given = given
        self._mask = mask
        self._log = log
        self._responses = Responses()
        self._sequencer = Sequencer()
        self._turns = Turns(wanted)
        self._sent = 0
        self._opening_update: str | None = None
        self.announced = False
        self.established = False
        self.malformed = 0
        """Messages that were not events."""

    @property
    def idle(self) -> bool:
        """See `Conversation.idle`."""
        return not (self._turns.open or self._sequencer.pending or self._responses.busy)

    @property
    def transcribing(self) -> bool:
        """See `Conversation.transcribing`."""
        return self._turns.transcribing

    @property
    def speaking(self) -> bool:
        """Whether the model is heard, or about to be."""
        return self._responses.speaking

    @property
    def hangover_s(self) -> float:
        """See `Conversation.hangover_s`."""
        return self._turns.hangover_s

    def receive(self, message: str | bytes) -> list[Output]:
        """See `Conversation.receive`."""
        event = parsed(self._mask(message)) if isinstance(message, str) else None
        if event is None:
            self.malformed += 1
            if self.malformed == 1:
                self._log.warning("the server sent something that is not an event; it was ignored")
            return []
        type = event["type"]
        outputs: list[Output] = [ServerEvent(type=type, data=event)]
        react = self._REACTIONS.get(type)
        if react is not None:
            outputs += react(self, event)
        return outputs

    def give_up_waiting(self) -> list[Output]:
        """See `Conversation.give_up_waiting`."""
        self.established = True
        self._opening_update = None
        return self._next_response()

    def say(self, text: str) -> list[Output]:
        """See `Conversation.say`."""
        return self.respond({"instructions": f"Say exactly this and nothing else: {text}"})

    def text(self, text: str) -> list[Output]:
        """See `Conversation.text`."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        return [self._command("conversation.item.create", item=item), *self.respond({})]

    def respond(self, response: Mapping[str, Any]) -> list[Output]:
        """See `Conversation.respond`."""
        self._sequencer.want(response)
        return self._next_response()

    def cancel(self) -> list[Output]:
        """See `Conversation.cancel`."""
        self._sequencer.forget()
        stop = [self._command("response.cancel")] if self._responses.generating else []
        return [*stop, self._command("output_audio_buffer.clear")]

    def clear(self) -> list[Output]:
        """See `Conversation.clear`."""
        return [self._command("input_audio_buffer.clear")]

    def commit(self) -> list[Output]:
        """See `Conversation.commit`."""
        command = self._command("input_audio_buffer.commit")
        self._turns.we_commit(str(command.data["event_id"]))
        return [command]

    def update(self, session: Mapping[str, Any]) -> list[Output]:
        """See `Conversation.update`."""
        return [self._command("session.update", session={**session, "type": "realtime"})]

    def close(self) -> list[Output]:
        """See `Conversation.close`."""
        return list(self._responses.close())

    def _command(self, type: str, **fields: Any) -> Command:
        self._sent += 1
        return Command({"type": type, "event_id": f"rtpipe_{self._sent}", **fields})

    def _next_response(self) -> list[Output]:
        if not self.established:
            return []
        response = self._sequencer.due(f"rtpipe_{self._sent + 1}", busy=self._responses.generating)
        if response is None:
            return []
        return [self._command("response.create", **({"response": response} if response else {}))]

    def _session_created(self, event: Mapping[str, Any]) -> list[Output]:
        session = object_of(event, "session")
        self._turns.session(session)
        self.announced = True
        if self.established or self._opening_update is not None:
            return []
        missing = difference(self._wanted, session) if self._given else self._wanted
        if not missing:
            return self.give_up_waiting()
        update = self._command("session.update", session={**missing, "type": "realtime"})
        self._opening_update = str(update.data["event_id"])
        return [update]

    def _session_updated(self, event: Mapping[str, Any]) -> list[Output]:
        self._turns.session(object_of(event, "session"))
        return [] if self.established else self.give_up_waiting()

    def _error(self, event: Mapping[str, Any]) -> list[Output]:
        error = object_of(event, "error")
        code, message = text_of(error, "code"), text_of(error, "message")
        cause = text_of(error, "event_id")
        if code == "session_expired":
            return [Ended(NotConnected(f"the session has expired: {message}"))]
        if code in _FATAL:
            return [_fatal(code, message)]
        level = logging.DEBUG if code in _BENIGN else logging.WARNING
        self._log.log(level, "the server reports %s: %s", code or "an error", message)
        self._turns.refused(cause)
        if self._sequencer.refused(cause, code):
            return self._next_response()
        if cause and cause == self._opening_update:
            if self._given:  # it has had the session before and took it then
                return self.give_up_waiting()
            problem = CallRefused(f"the server refuses the session: {message}", code=code or None)
            return [Ended(problem)]
        return []

    def _speech_started(self, _event: Mapping[str, Any]) -> list[Output]:
        self._turns.speech_started()
        return []

    def _speech_stopped(self, _event: Mapping[str, Any]) -> list[Output]:
        self._turns.speech_stopped()
        return []

    def _committed(self, event: Mapping[str, Any]) -> list[Output]:
        self._turns.committed(text_of(event, "item_id"))
        return []

    def _input_cleared(self, _event: Mapping[str, Any]) -> list[Output]:
        self._turns.cleared()
        return []

    def _transcribed(self, event: Mapping[str, Any]) -> list[Output]:
        item_id = text_of(event, "item_id")
        return self._visitor_said(item_id, text_of(event, "transcript"))

    def _not_transcribed(self, event: Mapping[str, Any]) -> list[Output]:
        self._turns.transcribed(text_of(event, "item_id"))
        return []

    def _item_done(self, event: Mapping[str, Any]) -> list[Output]:
        item = object_of(event, "item")
        if item.get("role") != "user":
            return []
        parts = objects_of(item, "content")
        typed = [text_of(part, "text") for part in parts if part.get("type") == "input_text"]
        return self._visitor_said(text_of(item, "id"), " ".join(typed)) if typed else []

    def _visitor_said(self, item_id: str, text: str) -> list[Output]:
        fresh = self._turns.transcribed(item_id)
        if not fresh or not text.strip():
            return []
        return [UserTranscript(text=text.strip(), item_id=item_id)]

    def _response_created(self, event: Mapping[str, Any]) -> list[Output]:
        response = object_of(event, "response")
        in_band = response.get("conversation_id", "") is not None
        self._sequencer.created()
        if in_band:
            self._turns.answered()
        return list(self._responses.created(text_of(response, "id"), in_band=in_band))

    def _delta(self, event: Mapping[str, Any]) -> list[Output]:
        self._responses.heard(*place_of(event), text_of(event, "delta"), whole=False)
        return []

    def _words(self, event: Mapping[str, Any]) -> list[Output]:
        words = text_of(event, "transcript") or text_of(event, "text")
        self._responses.heard(*place_of(event), words, whole=True)
        return []

    def _response_done(self, event: Mapping[str, Any]) -> list[Output]:
        response = object_of(event, "response")
        outputs: list[Output] = list(self._responses.done(text_of(response, "id"), response))
        failure = object_of(object_of(response, "status_details"), "error")
        if failure:
            code, message = text_of(failure, "code"), text_of(failure, "message")
            if code in _FATAL:
                return [*outputs, _fatal(code, message)]
            self._log.warning("the model could not answer: %s", message or code)
        return outputs + self._next_response()

    def _playing(self, event: Mapping[str, Any]) -> list[Output]:
        return list(self._responses.started(text_of(event, "response_id")))

    def _played(self, event: Mapping[str, Any]) -> list[Output]:
        return list(self._responses.ended(text_of(event, "response_id"), cut_off=False))

    def _cut_off(self, event: Mapping[str, Any]) -> list[Output]:
        return list(self._responses.ended(text_of(event, "response_id"), cut_off=True))

    _REACTIONS: Mapping[str, Callable[..., list[Output]]] = {
        "session.created": _session_created,
        "session.updated": _session_updated,
        "error": _error,
        "input_audio_buffer.speech_started": _speech_started,
        "input_audio_buffer.speech_stopped": _speech_stopped,
        "input_audio_buffer.committed": _committed,
        "input_audio_buffer.cleared": _input_cleared,
        "conversation.item.input_audio_transcription.completed": _transcribed,
        "conversation.item.input_audio_transcription.failed": _not_transcribed,
        "conversation.item.done": _item_done,
        "response.created": _response_created,
        "response.output_audio_transcript.delta": _delta,
        "response.output_audio_transcript.done": _words,
        "response.output_text.delta": _delta,
        "response.output_text.done": _words,
        "response.done": _response_done,
        "output_audio_buffer.started": _playing,
        "output_audio_buffer.stopped": _played,
        "output_audio_buffer.cleared": _cut_off,
    }


def _fatal(code: str, message: str) -> Ended:
    return Ended(CallRefused(f"the server ends it: {message}", code=code, exit_code=_FATAL[code]))
