"""OpenAI's Realtime protocol (GA) as a state machine without input or output.

JSON in, facts and commands out. The channel is ordered, but `output_audio_buffer.*` and the
transcription come from other machines than the rest, so nothing here depends on their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.conversation import UserSpeaks
from rtpipe_plugins.peers.realtime.dialects.openai.boundary.boundary import Boundary
from rtpipe_plugins.peers.realtime.dialects.openai.commands import (
    Commands,
    OpenRequests,
    OwnItems,
)
from rtpipe_plugins.peers.realtime.dialects.openai.interruption import Interruption
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of
from rtpipe_plugins.peers.realtime.dialects.openai.model_events import ModelEvents
from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
from rtpipe_plugins.peers.realtime.dialects.openai.session import SessionCheck, SessionEvents
from rtpipe_plugins.peers.realtime.dialects.openai.tool_calls.functions import FunctionCalls
from rtpipe_plugins.peers.realtime.dialects.openai.tool_calls.mcp import McpTools
from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection
from rtpipe_plugins.peers.realtime.dialects.openai.visitor_events import VisitorEvents
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import server_event
from rtpipe_plugins.peers.realtime.dialects.openai.wire.beta import ga_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from logging import Logger

    from rtpipe import AudioFrame
    from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Item, Output
    from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import FalseInterruptions


class RealtimeProtocol:
    """One conversation in OpenAI's Realtime protocol; see `Conversation`.

    Args:
        wanted: The session object that was asked for.
        given: Says, once the call is placed, whether the server has had it with the offer. If so
            it is sent again only where the server's answer differs; if not, all of it is sent once
            the session is there.
        mask: Takes secrets out of what the server says.
        log: The stage's.
        tools: Names of the functions that are answered here.
        approvals: What requests of MCP servers for approval are answered at once, by their labels.
        false_interruptions: Where the model is to pause at a noise, and not to stop. The session
            must leave both interrupting and answering to us.
        audio_in_events: Whether the audio travels in the events, and not beside them: then it is in
            the session's format, and what was thrown away is no longer under way.
    """

    def __init__(
        self,
        wanted: Mapping[str, Any],
        *,
        given: Callable[[], bool],
        mask: Callable[[str], str],
        log: Logger,
        tools: Collection[str] = (),
        approvals: Mapping[str, bool] | None = None,
        false_interruptions: FalseInterruptions | None = None,
        audio_in_events: bool = False,
    ) -> None:
        self._log = log
        self._boundary = Boundary(mask)
        self._commands = Commands()
        self._session = SessionCheck(wanted, given=given)
        self._items = OwnItems()
        self._open_requests = OpenRequests()
        self._detection = TurnDetection(wanted)
        self._responses = Responses()
        self._functions = FunctionCalls(tools)
        self._functions.declared(wanted)
        self._mcp = McpTools(self._commands, approvals or {})
        self._requests = ResponseRequests(self._commands, self._session, self._responses)
        self._interruption = Interruption(
            self._commands,
            self._requests,
            self._responses,
            self._functions,
            false_interruptions,
            in_flight=not audio_in_events,
        )
        self._session_events = SessionEvents(
            self._commands,
            self._session,
            self._detection,
            self._requests,
            self._items,
            self._open_requests,
            reads_audio=audio_in_events,
        )
        visitor = VisitorEvents(self._detection, self._interruption, self._requests)
        model = ModelEvents(
            self._responses,
            self._requests,
            self._interruption,
            self._functions,
            self._detection,
        )
        self._reactions: dict[str, list[Callable[[Mapping[str, Any]], list[Output]]]] = {}
        for part in (self._session_events, visitor, model, self._mcp):
            for type, react in part.reactions.items():
                self._reactions.setdefault(type, []).append(react)

    @property
    def announced(self) -> bool:
        """See `Conversation.announced`."""
        return self._session.announced

    @property
    def established(self) -> bool:
        """See `Conversation.established`."""
        return self._session.over

    @property
    def expires_at(self) -> float | None:
        """See `Conversation.expires_at`."""
        return self._session.expires_at

    @property
    def idle(self) -> bool:
        """See `Conversation.idle`."""
        owed = self._detection.open or self._requests.sequencer.pending or self._functions.pending
        return not (owed or self._responses.busy)

    @property
    def answering(self) -> bool:
        """See `Conversation.answering`."""
        return self._detection.answer_owed or self._responses.busy

    @property
    def awaits_us(self) -> bool:
        """See `Conversation.awaits_us`."""
        return self._functions.pending

    @property
    def pressed(self) -> bool:
        """See `Conversation.pressed`."""
        return self._detection.down

    @property
    def awaits_decision(self) -> bool:
        """See `Conversation.awaits_decision`."""
        return self._mcp.awaits_decision

    @property
    def transcribing(self) -> bool:
        """See `Conversation.transcribing`."""
        return self._detection.transcribing

    @property
    def speaking(self) -> bool:
        """Whether the model is heard, or about to be."""
        return self._responses.speaking

    @property
    def hangover_s(self) -> float:
        """See `Conversation.hangover_s`."""
        return self._detection.hangover_s

    @property
    def invalid_events(self) -> int:
        """See `Conversation.invalid_events`."""
        return self._boundary.invalid.count

    @property
    def unconfirmed(self) -> list[Item]:
        """See `Conversation.unconfirmed`."""
        return self._items.unconfirmed

    # -- what the server says ----------------------------------------------------------------------

    def receive(self, message: str | bytes) -> list[Output]:
        """See `Conversation.receive`."""
        event, told = self._boundary.admit(message)
        if event is None:
            return [*told]
        outputs: list[Output] = [server_event(event.data, event.usable), *told]
        self._functions.declared(object_of(event.usable, "session"))
        for react in self._reactions.get(ga_name(event.type), ()):
            try:
                outputs += react(event.usable)
            except Exception as error:  # noqa: BLE001 - no event of a server's may end a call
                self._log.debug("in `%s` of the server's", event.type, exc_info=True)
                outputs += self._boundary.invalid.note(event.type, [f"{type(error).__name__}"])
        self._open_requests.take(event.usable)
        return [output for output in outputs if not self._items.repeats(output)]

    def give_up_waiting(self) -> list[Output]:
        """See `Conversation.give_up_waiting`."""
        return self._session_events.stands()

    # -- what the server is asked for --------------------------------------------------------------

    def say(self, text: str) -> list[Output]:
        """See `Conversation.say`."""
        return self.respond({"instructions": f"Say exactly this and nothing else: {text}"})

    def text(self, text: str) -> list[Output]:
        """See `Conversation.text`."""
        return [self._commands.message([{"type": "input_text", "text": text}]), *self.respond({})]

    def image(self, url: str, text: str) -> list[Output]:
        """See `Conversation.image`."""
        picture = {"type": "input_image", "image_url": url}
        if not text:
            return [self._commands.message([picture])]
        shown = self._commands.message([picture, {"type": "input_text", "text": text}])
        return [shown, *self.respond({})]

    def respond(self, response: Mapping[str, Any]) -> list[Output]:
        """See `Conversation.respond`."""
        self._functions.declared(response)
        return self._requests.want(response)

    def interrupt(self) -> list[Output]:
        """See `Conversation.interrupt`."""
        return self._interruption.interrupt()

    def cancel(self) -> list[Output]:
        """See `Conversation.cancel`."""
        self._requests.sequencer.forget()
        return self._interruption.silence()

    def press(self) -> list[Output]:
        """See `Conversation.press`."""
        self._detection.pressed()
        self._functions.interrupted()
        begins = [] if self._detection.detected else [UserSpeaks(speaking=True)]
        return [*self.interrupt(), *self.clear(), *begins]

    def release(self) -> list[Output]:
        """See `Conversation.release`."""
        if not self._detection.released():
            return []
        ends = [] if self._detection.detected else [UserSpeaks(speaking=False)]
        return [*ends, *self._commit(answer=True)]

    def clear(self) -> list[Output]:
        """See `Conversation.clear`."""
        return [self._commands.make("input_audio_buffer.clear")]

    def commit(self) -> list[Output]:
        """See `Conversation.commit`."""
        return self._commit(answer=False)

    def answer(self, call_id: str, output: str) -> list[Output]:
        """See `Conversation.answer`."""
        due, goes_on = self._functions.answered(call_id, output)
        items: list[Output] = [
            self._commands.make(
                "conversation.item.create",
                item={"type": "function_call_output", "call_id": id, "output": text},
            )
            for id, text in due
        ]
        return [*items, *self.respond({})] if goes_on else items

    def create_item(self, item: Mapping[str, Any], previous_item_id: str) -> list[Output]:
        """See `Conversation.create_item`."""
        return [self._commands.item(item, previous_item_id)]

    def decide(self, *, approve: bool, name: str, request_id: str, reason: str) -> list[Output]:
        """See `Conversation.decide`."""
        return self._mcp.decide(approve=approve, name=name, request_id=request_id, reason=reason)

    def elapsed(self, ms: float) -> list[Output]:
        """See `Conversation.elapsed`."""
        return self._interruption.elapsed(ms)

    def fell_silent(self, response_id: str) -> list[Output]:
        """See `Conversation.fell_silent`."""
        return list(self._responses.fell_silent(response_id))

    def listen(self, frame: AudioFrame) -> list[AudioFrame]:
        """See `Conversation.listen`."""
        return self._interruption.listen(frame)

    def update(self, session: Mapping[str, Any]) -> list[Output]:
        """See `Conversation.update`."""
        return [self._session_events.update(session)]

    def replay(self, items: Sequence[Item]) -> list[Output]:
        """See `Conversation.replay`."""
        return self._items.replay(items)

    def create(self, items: Sequence[Item]) -> list[Output]:
        """See `Conversation.create`."""
        return self._items.create(items)

    def sent(self, command: Command) -> None:
        """See `Conversation.sent`."""
        self._items.sent(command)
        self._open_requests.sent(command)

    def unsent(self, commands: Sequence[Command]) -> None:
        """See `Conversation.unsent`."""
        for command in commands:
            self._requests.sequencer.refused(str(command.data.get("event_id")), None)

    def close(self) -> list[Output]:
        """See `Conversation.close`."""
        return list(self._responses.close())

    def _commit(self, *, answer: bool) -> list[Output]:
        command = self._commands.make("input_audio_buffer.commit")
        self._detection.we_commit(str(command.data["event_id"]), answer=answer)
        return [command]
