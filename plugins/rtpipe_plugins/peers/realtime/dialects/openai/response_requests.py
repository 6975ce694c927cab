"""What is asked of the server, in OpenAI's Realtime protocol, and the state that it takes.

The other half, what the server says, is in `protocol.py`.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.dialect import (
    AnswerEnds,
    Command,
    Hushed,
    Output,
    UserSpeaks,
)
from rtpipe_plugins.peers.realtime.dialects.openai.barge_in import BargeIn
from rtpipe_plugins.peers.realtime.dialects.openai.function_calls import FunctionCalls
from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
from rtpipe_plugins.peers.realtime.dialects.openai.sequencer import Sequencer
from rtpipe_plugins.peers.realtime.dialects.openai.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from rtpipe import AudioFrame
    from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import (
        FalseInterruptions,
        Ruling,
    )
    from rtpipe_plugins.peers.realtime.dialects.openai.session_check import SessionCheck


class ResponseRequests:
    """The half of a `Conversation` that speaks; see there, and `RealtimeProtocol`."""

    def __init__(
        self,
        wanted: Mapping[str, Any],
        opening: SessionCheck,
        tools: Collection[str],
        false_interruptions: FalseInterruptions | None,
    ) -> None:
        self._opening = opening
        self._responses = Responses()
        self._sequencer = Sequencer()
        self._turns = Turns(wanted)
        self._calls = FunctionCalls(tools)
        self._floor = BargeIn()
        self._noises = false_interruptions
        self._sent = 0

    def say(self, text: str) -> list[Output]:
        """See `Conversation.say`."""
        return self.respond({"instructions": f"Say exactly this and nothing else: {text}"})

    def text(self, text: str) -> list[Output]:
        """See `Conversation.text`."""
        return [self._item([{"type": "input_text", "text": text}]), *self.respond({})]

    def image(self, url: str, text: str) -> list[Output]:
        """See `Conversation.image`."""
        picture = {"type": "input_image", "image_url": url}
        if not text:
            return [self._item([picture])]
        return [self._item([picture, {"type": "input_text", "text": text}]), *self.respond({})]

    def respond(self, response: Mapping[str, Any]) -> list[Output]:
        """See `Conversation.respond`."""
        self._sequencer.want(response)
        return self._next_response()

    def interrupt(self) -> list[Output]:
        """See `Conversation.interrupt`."""
        return self._silence() if self._has_word else []

    def cancel(self) -> list[Output]:
        """See `Conversation.cancel`."""
        self._sequencer.forget()
        return self._silence()

    def press(self) -> list[Output]:
        """See `Conversation.press`."""
        self._turns.pressed()
        self._calls.hush()
        begins = [] if self._turns.detected else [UserSpeaks(speaking=True)]
        return [*self.interrupt(), *self.clear(), *begins]

    def release(self) -> list[Output]:
        """See `Conversation.release`."""
        if not self._turns.released():
            return []
        ends = [] if self._turns.detected else [UserSpeaks(speaking=False)]
        return [*ends, *self._commit(answer=True)]

    def clear(self) -> list[Output]:
        """See `Conversation.clear`."""
        return [self._command("input_audio_buffer.clear")]

    def commit(self) -> list[Output]:
        """See `Conversation.commit`."""
        return self._commit(answer=False)

    def answer(self, call_id: str, output: str) -> list[Output]:
        """See `Conversation.answer`."""
        due, goes_on = self._calls.answered(call_id, output)
        items: list[Output] = [
            self._command(
                "conversation.item.create",
                item={"type": "function_call_output", "call_id": id, "output": text},
            )
            for id, text in due
        ]
        return [*items, *self.respond({})] if goes_on else items

    def elapsed(self, ms: float) -> list[Output]:
        """See `Conversation.elapsed`."""
        return [] if self._noises is None else self._ruled(self._noises.elapsed(ms))

    def listen(self, frame: AudioFrame) -> list[AudioFrame]:
        """See `Conversation.listen`."""
        heard = self._floor.take(frame)
        return heard if self._noises is None else [self._noises.take(each) for each in heard]

    def update(self, session: Mapping[str, Any]) -> list[Output]:
        """See `Conversation.update`."""
        return [self._command("session.update", session={**session, "type": "realtime"})]

    def unsent(self, commands: Sequence[Command]) -> None:
        """See `Conversation.unsent`."""
        for command in commands:
            self._sequencer.refused(str(command.data.get("event_id")), None)

    def close(self) -> list[Output]:
        """See `Conversation.close`."""
        return list(self._responses.close())

    def _command(self, type: str, **fields: Any) -> Command:
        self._sent += 1
        return Command({"type": type, "event_id": f"rtpipe_{self._sent}", **fields})

    def _item(self, content: list[dict[str, Any]]) -> Command:
        # An id of ours: the item is known, and can be told again, before the server repeats it.
        id = f"item_{secrets.token_hex(8)}"
        item = {"id": id, "type": "message", "role": "user", "content": content}
        return self._command("conversation.item.create", item=item)

    def _commit(self, *, answer: bool) -> list[Output]:
        command = self._command("input_audio_buffer.commit")
        self._turns.we_commit(str(command.data["event_id"]), answer=answer)
        return [command]

    @property
    def _audible(self) -> list[str]:
        """The responses that may be heard."""
        return [id for id in self._responses.sounding if not self._floor.interrupted(id)]

    @property
    def _has_word(self) -> bool:
        return bool(self._audible) or (self._noises is not None and self._noises.late)

    def _silence(self) -> list[Output]:
        """Silence the model here and at the server."""
        stop = [self._command("response.cancel")] if self._responses.generating else []
        return [*self._hushed(self._audible), *stop, self._command("output_audio_buffer.clear")]

    def _hushed(self, ids: list[str]) -> list[Output]:
        """Let nothing of these responses be heard any more: the visitor has the word."""
        if ids:
            self._floor.interrupt(ids)
        if self._noises is not None:
            self._noises.drop()
        self._calls.hush()
        cut = [AnswerEnds(id, cut=True) for id in ids]
        return [Hushed(), *cut, *self._responses.interrupted(ids)]

    def _ruled(self, ruling: Ruling) -> list[Output]:
        """Do what has been ruled about a noise."""
        outputs = self._silence() if ruling.interrupt else []
        if ruling.delete:
            outputs.append(self._command("conversation.item.delete", item_id=ruling.delete))
        return [*outputs, *self.respond({})] if ruling.answer else outputs

    def _next_response(self) -> list[Output]:
        sent: list[Output] = []
        while self._opening.over:
            event_id, busy = f"rtpipe_{self._sent + 1}", self._responses.generating
            response = self._sequencer.due(event_id, busy=busy)
            if response is None:
                break
            fields = {"response": response} if response else {}
            sent.append(self._command("response.create", **fields))
        return sent
