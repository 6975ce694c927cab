"""OpenAI's Realtime protocol (GA) as a state machine without input or output.

JSON in, facts and commands out. The channel is ordered, but `output_audio_buffer.*` and the
transcription come from other machines than the rest, so nothing here depends on their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import NotConnected
from rtpipe_plugins.peers.realtime.dialects.dialect import (
    AnswerBegins,
    AnswerEnds,
    Ended,
    Output,
    UserSpeaks,
)
from rtpipe_plugins.peers.realtime.dialects.openai.messages import (
    number_of,
    object_of,
    objects_of,
    parsed,
    place_of,
    text_of,
)
from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
from rtpipe_plugins.peers.realtime.dialects.openai.session_check import SessionCheck
from rtpipe_plugins.peers.realtime.errors import FATAL_CODES, CallRefused
from rtpipe_plugins.peers.realtime.events import SERVER_NAMESPACES, UserTranscript, server_event

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Mapping

    from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import FalseInterruptions


class RealtimeProtocol(ResponseRequests):
    """One conversation in OpenAI's Realtime protocol; see `Conversation`.

    Args:
        wanted: The session object that was asked for.
        given: Whether the server has had it with the offer. If so it is sent again only where the
            server's answer differs; if not, all of it is sent once the session is there.
        mask: Takes secrets out of what the server says.
        log: The stage's.
        tools: Names of the functions that are run here.
        false_interruptions: Where the model is to pause at a noise, and not to stop. The session
            must leave both interrupting and answering to us.
    """

    def __init__(
        self,
        wanted: Mapping[str, Any],
        *,
        given: bool,
        mask: Callable[[str], str],
        log: logging.Logger,
        tools: Collection[str] = (),
        false_interruptions: FalseInterruptions | None = None,
    ) -> None:
        super().__init__(wanted, SessionCheck(wanted, given=given), tools, false_interruptions)
        self._mask = mask
        self._log = log
        self.malformed = 0
        """Messages that were no events of the server's."""

    @property
    def announced(self) -> bool:
        """See `Conversation.announced`."""
        return self._opening.announced

    @property
    def established(self) -> bool:
        """See `Conversation.established`."""
        return self._opening.over

    @property
    def idle(self) -> bool:
        """See `Conversation.idle`."""
        waiting = self._turns.open or self._sequencer.pending or self._calls.pending
        return not (waiting or self._responses.busy)

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
            return self._ignored("something that is not an event")
        type = event["type"]
        if type.partition(".")[0] not in SERVER_NAMESPACES:
            return self._ignored(f"`{type}`, which is no event of its own")
        outputs: list[Output] = [server_event(event)]
        react = self._REACTIONS.get(type)
        if react is not None:
            outputs += react(self, event)
        return outputs

    def _ignored(self, what: str) -> list[Output]:
        self.malformed += 1
        if self.malformed == 1:
            self._log.warning("the server sent %s; it was ignored", what)
        return []

    def give_up_waiting(self) -> list[Output]:
        """See `Conversation.give_up_waiting`."""
        self._opening.end()
        return self._next_response()

    def _session_created(self, event: Mapping[str, Any]) -> list[Output]:
        session = object_of(event, "session")
        self._turns.session(session)
        missing = self._opening.shown(session)
        if not missing:
            return [] if self._opening.waiting else self.give_up_waiting()
        update = self._command("session.update", session={**missing, "type": "realtime"})
        self._opening.asked(str(update.data["event_id"]))
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
        if code in FATAL_CODES:
            return [_fatal(code, message)]
        self._turns.refused(cause)
        if self._sequencer.refused(cause, code):
            return self._next_response()
        if self._opening.refused(cause):
            if self._opening.survives:
                return self.give_up_waiting()
            problem = CallRefused(f"the server refuses the session: {message}", code=code or None)
            return [Ended(problem)]
        return []

    def _speech_started(self, event: Mapping[str, Any]) -> list[Output]:
        self._turns.speech_started(number_of(event, "audio_start_ms"))
        begins: list[Output] = [UserSpeaks(speaking=True, item_id=text_of(event, "item_id"))]
        if not self._has_word:
            return begins
        if self._noises is not None:
            self._noises.started(text_of(event, "item_id"), self._turns.hangover_s * 1000)
            return begins
        return [*begins, *(self._hushed(self._audible) if self._turns.interrupts else [])]

    def _speech_stopped(self, event: Mapping[str, Any]) -> list[Output]:
        speech_ms = self._turns.speech_stopped(number_of(event, "audio_end_ms"))
        ends: list[Output] = [UserSpeaks(speaking=False, item_id=text_of(event, "item_id"))]
        if self._noises is None:
            return ends
        ruling = self._noises.stopped(speech_ms, transcribes=self._turns.transcribes)
        return [*ends, *self._ruled(ruling)]

    def _committed(self, event: Mapping[str, Any]) -> list[Output]:
        ours, item_id = self._turns.committing, text_of(event, "item_id")
        ask = self._turns.committed(item_id)
        ends: list[Output] = [UserSpeaks(speaking=False, item_id=item_id)]
        if ask:
            return [*ends, *self.respond({})]
        if self._noises is None or ours:
            return ends
        return [*ends, *self._ruled(self._noises.committed(item_id))]

    def _input_cleared(self, _event: Mapping[str, Any]) -> list[Output]:
        self._turns.cleared()
        return [UserSpeaks(speaking=False)] if self._turns.detected else []

    def _transcribed(self, event: Mapping[str, Any]) -> list[Output]:
        item_id, text = text_of(event, "item_id"), text_of(event, "transcript")
        return [*self._visitor_said(item_id, text), *self._rule_on(item_id, text, whole=True)]

    def _transcribing(self, event: Mapping[str, Any]) -> list[Output]:
        return self._rule_on(text_of(event, "item_id"), text_of(event, "delta"), whole=False)

    def _not_transcribed(self, event: Mapping[str, Any]) -> list[Output]:
        item_id = text_of(event, "item_id")
        self._turns.transcribed(item_id)
        return self._rule_on(item_id, "", whole=True)

    def _rule_on(self, item_id: str, text: str, *, whole: bool) -> list[Output]:
        if self._noises is None:
            return []
        return self._ruled(self._noises.heard(item_id, text, whole=whole))

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
        self._sequencer.created(in_band=in_band)
        if in_band:
            self._turns.answered()
            self._floor.created(text_of(response, "id"))
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
            if code in FATAL_CODES:
                return [*outputs, _fatal(code, message)]
            self._log.warning("the model could not answer: %s", message or code)
        if not self._floor.announces:
            outputs.append(AnswerEnds(text_of(response, "id"), told=False))
        interrupted = self._floor.interrupted(text_of(response, "id"))
        asked = self._calls.asked(response, interrupted=interrupted)
        return [*outputs, *asked, *self._next_response()]

    def _playing(self, event: Mapping[str, Any]) -> list[Output]:
        id = text_of(event, "response_id")
        begins: list[Output] = []
        if self._responses.may_start(id):
            self._floor.started(id)
            begins.append(AnswerBegins(id))
        return [*begins, *self._responses.started(id)]

    def _played(self, event: Mapping[str, Any]) -> list[Output]:
        id = text_of(event, "response_id")
        return [AnswerEnds(id), *self._responses.ended(id, cut_off=False)]

    def _cut_off(self, event: Mapping[str, Any]) -> list[Output]:
        id = text_of(event, "response_id")
        hushed = self._hushed([id]) if id in self._audible else []
        return [*hushed, AnswerEnds(id, cut=True), *self._responses.ended(id, cut_off=True)]

    _REACTIONS: Mapping[str, Callable[..., list[Output]]] = {
        "session.created": _session_created,
        "session.updated": _session_updated,
        "error": _error,
        "input_audio_buffer.speech_started": _speech_started,
        "input_audio_buffer.speech_stopped": _speech_stopped,
        "input_audio_buffer.committed": _committed,
        "input_audio_buffer.cleared": _input_cleared,
        "conversation.item.input_audio_transcription.completed": _transcribed,
        "conversation.item.input_audio_transcription.delta": _transcribing,
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
    return Ended(
        CallRefused(f"the server ends it: {message}", code=code, exit_code=FATAL_CODES[code])
    )
