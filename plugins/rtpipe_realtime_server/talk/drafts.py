"""Items of a response's output while they are generated: messages and function calls."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.talk.conversation import ConversationItem
from rtpipe_realtime_server.talk.player import FRAME
from rtpipe_realtime_server.talk.transcripts import in_pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_realtime_server.talk.brain import FunctionCall
    from rtpipe_realtime_server.talk.outputs import OutputList
    from rtpipe_realtime_server.talk.player import MessageAudio

_SPEED = 8
"""How much faster than it is played a reply is generated."""
_TEXT_LEAD = 4 * 48000
"""Samples by which the words run ahead of the sound."""


class Draft(ABC):
    """An item while it is generated, let out at the pace of a model.

    Args:
        outbox: Where its events go.
        response_id: The response it belongs to.
        index: Its place in the response's output.
        body: The item, as its first event shows it.
    """

    def __init__(
        self, outbox: OutputList, response_id: str, index: int, body: dict[str, Any]
    ) -> None:
        item_id = outbox.new_id("item")
        self.item = ConversationItem({"id": item_id, **body}, words="")
        self.index = index
        self.previous_item_id: str | None = None
        self.said = ""
        """What has been let out of its text."""
        self._outbox = outbox
        self.places = {"response_id": response_id, "item_id": item_id, "output_index": index}
        """The fields that name the item in the events about its making."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether everything is out."""

    def open(self) -> None:  # noqa: B027 - a function call has nothing to say here
        """Put out what follows the item's own first events."""

    @abstractmethod
    def advance(self) -> None:
        """Let out the next 20 ms."""

    @abstractmethod
    def close(self, status: str) -> None:
        """Make the item what it has come to, and say so."""

    def _emit(self, kind: str, **fields: Any) -> None:
        self._outbox.emit(kind, **self.places, **fields)

    def _emit_delta(self, kind: str, delta: str) -> None:
        self.said += delta
        self._outbox.emit_delta(kind, delta, **self.places)


class MessageDraft(Draft):
    """What the assistant says, aloud or in text.

    Args:
        outbox: As for `Draft`.
        response_id: As for `Draft`.
        index: As for `Draft`.
        text: The words.
        pcm: Their sound, mono 48 kHz; None for a message in text.
    """

    sound: MessageAudio | None = None
    """Where its sound is released."""

    def __init__(
        self,
        outbox: OutputList,
        response_id: str,
        index: int,
        text: str,
        pcm: NDArray[np.int16] | None,
    ) -> None:
        body = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
        super().__init__(outbox, response_id, index, body)
        self.places["content_index"] = 0
        self._modality = "text" if pcm is None else "audio"
        self._name = "text" if pcm is None else "transcript"
        self._kind = f"response.output_{'text' if pcm is None else 'audio_transcript'}"
        self._length = 0 if pcm is None else len(pcm)
        self._position = 0
        self._pieces: deque[tuple[int, str]] = deque()
        letters = 0
        for piece in in_pieces(text):
            self._pieces.append((self._length * letters // max(1, len(text)), piece))
            letters += len(piece)

    @property
    def finished(self) -> bool:
        """Whether all words and all sound are out."""
        return not self._pieces and self._position >= self._length

    def open(self) -> None:
        """Announce the message's only part."""
        self._emit("response.content_part.added", part=self._part())

    def advance(self) -> None:
        """Let out the words and the sound of the next 20 ms."""
        start, self._position = self._position, self._position + _SPEED * FRAME
        while self._pieces and self._pieces[0][0] <= self._position + _TEXT_LEAD:
            self._emit_delta(f"{self._kind}.delta", self._pieces.popleft()[1])
        if self.sound is not None:
            self.sound.release(start, self._position)

    def close(self, status: str) -> None:
        """End the message with the words let out so far."""
        self.item.body["status"] = status
        self.item.body["content"] = [{"type": f"output_{self._modality}", self._name: self.said}]
        if self._modality == "audio":
            self._emit("response.output_audio.done")
        self._emit(f"{self._kind}.done", **{self._name: self.said})
        self._emit("response.content_part.done", part=self._part())

    def _part(self) -> dict[str, str]:
        # Here `audio` and `text`, in items `output_audio` and `output_text`: as recorded.
        return {"type": self._modality, self._name: self.said}


class CallDraft(Draft):
    """A call of one of the client's functions."""

    def __init__(
        self, outbox: OutputList, response_id: str, index: int, call: FunctionCall
    ) -> None:
        call_id = outbox.new_id("call")
        super().__init__(
            outbox,
            response_id,
            index,
            {
                "type": "function_call",
                "status": "in_progress",
                "name": call.name,
                "call_id": call_id,
                "arguments": "",
            },
        )
        self.places["call_id"] = call_id
        self._name = call.name
        arguments = call.arguments
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        self._pieces = deque(re.findall(r"\s*\S+\s*$|\s*\S+", text))

    @property
    def finished(self) -> bool:
        """Whether all arguments are out."""
        return not self._pieces

    def advance(self) -> None:
        """Let out the next word of the arguments."""
        self._emit_delta("response.function_call_arguments.delta", self._pieces.popleft())

    def close(self, status: str) -> None:
        """End the call with the arguments let out so far."""
        self.item.body["status"] = status
        self.item.body["arguments"] = self.said
        self._emit("response.function_call_arguments.done", name=self._name, arguments=self.said)
