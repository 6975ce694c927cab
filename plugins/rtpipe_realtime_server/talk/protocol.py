"""The Realtime protocol of one session as a state machine without input or output of its own.

Client events, received audio, ticks of the outgoing audio's clock and the brain's answers go in by
method calls; server events and commands come out of `take()`. No clock, no network, no thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.media.wire import decode, rate_of
from rtpipe_realtime_server.session import client_events
from rtpipe_realtime_server.session.grammar import number, text
from rtpipe_realtime_server.session.ids import NewId, random_id
from rtpipe_realtime_server.session.rejection import INVALID_REQUEST, Rejected
from rtpipe_realtime_server.talk.conversation import ConversationItem, ConversationItems
from rtpipe_realtime_server.talk.deltas import Deltas
from rtpipe_realtime_server.talk.items import make_item
from rtpipe_realtime_server.talk.listener import Listener
from rtpipe_realtime_server.talk.outputs import EndSession, Output, OutputList
from rtpipe_realtime_server.talk.player import Player
from rtpipe_realtime_server.talk.requests import make_response
from rtpipe_realtime_server.talk.responder import Responder
from rtpipe_realtime_server.talk.transcripts import Transcripts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_realtime_server.media.detector import IsSpeech
    from rtpipe_realtime_server.session.session import Session
    from rtpipe_realtime_server.talk.brain import BrainAnswer, Utterance

_EXPIRED = "Your session hit the maximum duration of 60 minutes."
_count = number(0, whole=True)


class Protocol:
    """One call's protocol.

    Args:
        session: The call's settings; `session.update` changes them.
        is_speech: Judges hops of received audio.
        media: The audio travels beside the events (WebRTC), and not in them (WebSocket).
        limits: What its conversation may hold; None: the defaults.
        new_id: Makes ids.
    """

    def __init__(
        self,
        session: Session,
        *,
        is_speech: IsSpeech,
        media: bool = True,
        limits: Limits | None = None,
        new_id: NewId = random_id,
    ) -> None:
        self._session = session
        self._outbox = OutputList(new_id)
        self._conversation = ConversationItems(new_id("conv"), limits or Limits())
        self._transcripts = Transcripts(self._outbox)
        self._media = media
        self._responder = Responder(
            self._outbox,
            self._conversation,
            self._transcripts,
            Player(self._outbox) if media else Deltas(self._outbox),
        )
        self._listener = Listener(
            self._outbox,
            session,
            self._conversation,
            self._transcripts,
            is_speech,
            on_started=self._on_started,
            on_turn=self._on_turn,
        )
        self._appended: Resampler | None = None
        """Takes what `input_audio_buffer.append` brings."""

    @property
    def idle(self) -> bool:
        """Whether ticks change nothing: nothing is being answered or played."""
        return self._responder.idle

    def take(self) -> list[Output]:
        """Return the events and commands put out since the last call, in order."""
        return self._outbox.take()

    def open(self) -> None:
        """Begin: the client can receive events."""
        self._outbox.emit("session.created", session=self._session.snapshot())
        self._list_mcp_tools()

    def receive(self, message: str | bytes) -> None:
        """Take one message of the client; what is wrong with it becomes an `error` event."""
        event_id: str | None = None
        try:
            event = client_events.parse(message)
            if isinstance(event.get("event_id"), str):
                event_id = event["event_id"]
            self._handle(client_events.check(event))
        except Rejected as rejected:
            self._outbox.emit("error", error={**rejected.body(), "event_id": event_id})

    def hear(self, pcm: NDArray[np.int16]) -> None:
        """Take received audio: any number of samples, mono, 16 kHz."""
        self._listener.hear(pcm)
        answering = not (self._responder.spoke and self._responder.idle)
        self._listener.watch_quiet(answering=answering)

    def tick(self) -> NDArray[np.int16]:
        """Let 20 ms of outgoing audio pass; return them: 960 samples, mono, 48 kHz."""
        return self._responder.tick()

    def transcribed(self, item_id: str, words: str) -> None:
        """Take the words of a user's item; "" when none were understood."""
        self._transcripts.found(item_id, words)
        self._responder.ask()

    def transcription_failed(self, item_id: str) -> None:
        """Go on without the words of a user's item."""
        self._transcripts.failed(item_id)
        self._responder.ask()

    def replied(self, response_id: str, answer: BrainAnswer) -> None:
        """Take the brain's answer."""
        self._responder.replied(response_id, answer)

    def spoken(self, response_id: str, utterance: Utterance) -> None:
        """Take the sound of a reply."""
        self._responder.spoken(response_id, utterance)

    def response_failed(self, response_id: str) -> None:
        """End a response that the brain could not give."""
        self._responder.failed(response_id, "The reply could not be generated.")

    def report_failure(self) -> None:
        """Tell the client of a fault of the server's own."""
        self._emit_error("server_error", "server_error",
                         "The server had an error while processing your request.")  # fmt: skip

    def expire(self) -> None:
        """End the session: its time is up."""
        self._emit_error(INVALID_REQUEST, "session_expired", _EXPIRED)
        self._outbox.command(EndSession(_EXPIRED))

    def forget(self) -> None:
        """Let go of what the session holds: it has ended, and nothing will be asked of it.

        The garbage collector would, some day: its parts know one another.
        """
        self._appended = None
        self._listener.forget()
        self._responder.forget()
        self._transcripts.forget()
        self._conversation.forget()

    def _emit_error(self, kind: str, code: str, message: str) -> None:
        error = {"type": kind, "code": code, "message": message, "param": None, "event_id": None}
        self._outbox.emit("error", error=error)

    def _on_started(self) -> None:
        settings = self._session.turn_detection
        if settings and settings.interrupt_response:
            self._responder.interrupt()

    def _on_turn(self) -> None:
        settings = self._session.turn_detection
        # With interrupt_response off an answer may still be on its way: then no other begins.
        if settings and settings.create_response and not self._responder.busy:
            self._create_response(None)

    def _create_response(self, given: Any) -> None:
        if not self._session.answers:
            raise Rejected("A transcription session has no responses.", param="type")
        self._responder.create(
            make_response(
                given,
                self._session,
                self._conversation,
                self._outbox.new_id,
                spoke=self._responder.spoke,
            )
        )

    def _handle(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                self._session.update(event["session"], begun=True, spoke=self._responder.spoke)
                self._outbox.emit("session.updated", session=self._session.snapshot())
                if "tools" in event["session"]:
                    self._list_mcp_tools()
            case "input_audio_buffer.append":
                text(None, event["audio"], "audio")
                audio_format = self._session.input_format
                self._append(decode(event["audio"], audio_format, "audio"), rate_of(audio_format))
            case "input_audio_buffer.commit":
                self._commit()
            case "input_audio_buffer.clear":
                self._flush()
                self._listener.clear()
            case "response.create":
                self._create_response(event.get("response"))
            case "response.cancel":
                self._responder.cancel(event.get("response_id"))
            case "output_audio_buffer.clear" if self._media:
                self._responder.clear()
            case "output_audio_buffer.clear":
                raise Rejected("There is no output audio buffer on a WebSocket.", param="type")
            case _:
                self._handle_item(event)

    def _list_mcp_tools(self) -> None:
        """Tell the tools of the session's MCP servers: none, for this server asks no other."""
        for label in self._session.mcp_servers:
            body = {"type": "mcp_list_tools", "server_label": label, "tools": []}
            item = ConversationItem({"id": self._outbox.new_id("item"), **body}, words="")
            self._conversation.check_room(item)
            self._outbox.emit("mcp_list_tools.in_progress", item_id=item.id)
            self._add(item)
            self._outbox.emit("mcp_list_tools.completed", item_id=item.id)

    def _append(self, samples: NDArray[np.int16], rate: int) -> None:
        if self._appended is None or self._appended.rate != rate:
            self._flush()
            self._appended = Resampler(rate)
        self.hear(self._appended.samples(samples))

    def _commit(self) -> None:
        held_ms = 0.0 if self._appended is None else self._appended.held_ms
        self._listener.check_commit(held_ms)
        self._flush()
        self._listener.commit()

    def _flush(self) -> None:
        """Hear what the resampler holds back: it belongs to what was appended before."""
        resampler, self._appended = self._appended, None
        if resampler is not None:
            self.hear(resampler.rest())

    def _handle_item(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "conversation.item.create":
                self._create_item(event)
            case "conversation.item.retrieve":
                item = self._conversation.find(event["item_id"])
                body = {**item.snapshot(), "object": "realtime.item"}
                self._outbox.emit("conversation.item.retrieved", item=body)
            case "conversation.item.truncate":
                self._truncate(event)
            case "conversation.item.delete":
                self._conversation.delete(event["item_id"])
                self._outbox.emit("conversation.item.deleted", item_id=event["item_id"])

    def _create_item(self, event: dict[str, Any]) -> None:
        item = make_item(event["item"], self._outbox.new_id)
        self._conversation.check_output(item)
        self._conversation.check_room(item)
        self._add(item, event.get("previous_item_id"))

    def _add(self, item: ConversationItem, previous_item_id: str | None = None) -> None:
        previous = self._conversation.add(item, previous_item_id)
        for what in ("added", "done"):
            self._outbox.emit(
                f"conversation.item.{what}", previous_item_id=previous, item=item.snapshot()
            )

    def _truncate(self, event: dict[str, Any]) -> None:
        item = self._conversation.find(event["item_id"], "truncating", "truncate")
        index = _count(None, event["content_index"], "content_index")
        end_ms = _count(None, event["audio_end_ms"], "audio_end_ms")
        content = item.body.get("content")
        if item.role != "assistant" or not content or content[0]["type"] != "output_audio":
            raise Rejected("Only model output audio messages can be truncated", code=None)
        if index != 0:
            raise Rejected("Invalid value: an item has one content part, 0.", param="content_index")
        if end_ms > item.spoken_ms:
            raise Rejected(
                f"Audio content of {item.spoken_ms}ms is already shorter than {end_ms}ms"
            )
        item.spoken_ms = end_ms
        item.forget_transcript()
        self._outbox.emit(
            "conversation.item.truncated", item_id=item.id, content_index=0, audio_end_ms=end_ms
        )
