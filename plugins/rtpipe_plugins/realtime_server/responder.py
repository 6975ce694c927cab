"""The life of responses: created, answered by the brain, let out, played, cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.realtime_server.conversation import Conversation, Item
from rtpipe_plugins.realtime_server.outputs import Abandon, Outbox, Reply, Speak
from rtpipe_plugins.realtime_server.playout import Playout
from rtpipe_plugins.realtime_server.rejection import Rejected
from rtpipe_plugins.realtime_server.responses import Generation, Response

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_plugins.realtime_server.brain import Utterance
    from rtpipe_plugins.realtime_server.transcripts import Transcripts

_TOKENS_PER_MINUTE = 15_000_000


class Responder:
    """Owns the responses of a call and the audio that they leave to be played."""

    def __init__(
        self, outbox: Outbox, conversation: Conversation, transcripts: Transcripts
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._transcripts = transcripts
        self._playout = Playout(outbox)
        self._active: dict[str, Response] = {}
        self.spoke = False
        """The assistant's voice has been heard, so it is fixed."""

    @property
    def busy(self) -> Response | None:
        """The response of the conversation that is being generated."""
        return next((r for r in self._active.values() if r.conversation_id), None)

    @property
    def idle(self) -> bool:
        """Whether nothing is being generated or played."""
        return not self._active and self._playout.idle

    def create(self, response: Response) -> None:
        """Begin a response.

        Raises:
            Rejected: The conversation has one already.
        """
        if response.conversation_id and self.busy:
            raise Rejected(
                "Conversation already has an active response in progress: "
                f"{self.busy.id}. Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        self._active[response.id] = response
        self._outbox.emit("response.created", response=response.snapshot())
        for item in response.context:
            self._transcripts.need(item)
        self.ask()

    def ask(self) -> None:
        """Ask the brain for the replies whose questions are known by now."""
        for response in self._active.values():
            if response.ready:
                response.asked = True
                self._outbox.command(Reply(response.id, response.heard, response.instructions))

    def replied(self, response_id: str, text: str) -> None:
        """Take the words of a reply from the brain."""
        response = self._active.get(response_id)
        if response is None:
            return  # cancelled meanwhile
        if response.modality == "text":
            self._begin_output(response, Generation(text, None))
            return
        self._outbox.command(Speak(response_id, text, response.voice))

    def spoken(self, response_id: str, utterance: Utterance) -> None:
        """Take the sound of a reply from the brain."""
        response = self._active.get(response_id)
        if response is None:
            return  # cancelled meanwhile
        self.spoke = True
        self._begin_output(response, Generation(utterance.text, utterance.pcm))
        item = response.item if response.conversation_id else None
        response.segment = self._playout.begin(response_id, item)

    def failed(self, response_id: str, message: str) -> None:
        """End a response that the brain could not answer."""
        response = self._active.get(response_id)
        if response is not None:
            error = {"type": "server_error", "code": "server_error", "message": message}
            self._end(response, "failed", {"type": "failed", "error": error})

    def tick(self) -> NDArray[np.int16]:
        """Let 20 ms pass and return the frame to play in it."""
        for response in list(self._active.values()):
            self._advance(response)
        return self._playout.frame()

    def cancel(self, response_id: str | None) -> None:
        """Stop generating; what has been generated is still played.

        Raises:
            Rejected: There is no such response.
        """
        response = self._active.get(response_id) if response_id else self.busy
        if response is None:
            raise Rejected(
                "Cancellation failed: no active response found", code="response_cancel_not_active"
            )
        self._cancel(response, "client_cancelled")

    def clear(self) -> None:
        """Stop playing; what was not heard is forgotten."""
        for segment in self._playout.clear():
            if segment.item is None:
                continue
            segment.item.spoken_ms = segment.played_ms
            self._outbox.emit(
                "conversation.item.truncated",
                item_id=segment.item.id,
                content_index=0,
                audio_end_ms=segment.played_ms,
            )
            if segment.ended:
                segment.item.forget_transcript()

    def interrupt(self) -> None:
        """The visitor speaks: stop playing and generating."""
        self.clear()
        if self.busy:
            self._cancel(self.busy, "turn_detected")

    def _begin_output(self, response: Response, generation: Generation) -> None:
        response.generation = generation
        item_id = self._outbox.new_id("item")
        body: dict[str, Any] = {
            "id": item_id,
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        response.item = item = Item(body, words="")
        self._outbox.emit(
            "response.output_item.added",
            response_id=response.id,
            output_index=0,
            item=item.snapshot(),
        )
        if response.conversation_id:
            response.previous_item_id = self._conversation.add(item)
            self._emit_item("added", response)
        self._outbox.emit("response.content_part.added", **response.places(), part=response.part())

    def _advance(self, response: Response) -> None:
        generation = response.generation
        if generation is None:
            return
        if generation.finished:
            # Only now, a tick after the last sound came out: playing has begun by then.
            self._end(response, "completed", None)
            return
        words, pcm = generation.advance()
        for piece in words:
            response.said += piece
            self._outbox.emit_delta(f"{_text_kind(response)}.delta", piece, **response.places())
        if response.segment is not None:
            response.segment.append(pcm)

    def _cancel(self, response: Response, reason: str) -> None:
        self._outbox.command(Abandon(response.id))
        self._end(response, "cancelled", {"type": "cancelled", "reason": reason})

    def _end(self, response: Response, status: str, details: dict[str, Any] | None) -> None:
        del self._active[response.id]
        if response.segment is not None:
            response.segment.ended = True
        if response.item is not None:
            self._finish_item(response, "completed" if status == "completed" else "incomplete")
        self._outbox.emit("response.done", response=response.snapshot(status, details))
        self._outbox.emit(
            "rate_limits.updated",
            rate_limits=[
                {
                    "name": "tokens",
                    "limit": _TOKENS_PER_MINUTE,
                    "remaining": _TOKENS_PER_MINUTE,
                    "reset_seconds": 0.0,
                }
            ],
        )

    def _finish_item(self, response: Response, status: str) -> None:
        item = response.item
        assert item is not None
        audio = response.modality == "audio"
        name = "transcript" if audio else "text"
        item.body["status"] = status
        item.body["content"] = [{"type": f"output_{response.modality}", name: response.said}]
        if audio:
            self._outbox.emit("response.output_audio.done", **response.places())
        self._outbox.emit(
            f"{_text_kind(response)}.done", **response.places(), **{name: response.said}
        )
        self._outbox.emit("response.content_part.done", **response.places(), part=response.part())
        if response.conversation_id:
            self._emit_item("done", response)
        response.output.append(item.snapshot())
        self._outbox.emit(
            "response.output_item.done",
            response_id=response.id,
            output_index=0,
            item=item.snapshot(),
        )
        if response.segment is not None and response.segment.cleared:
            item.forget_transcript()  # after its own events, which still tell what was said

    def _emit_item(self, what: str, response: Response) -> None:
        assert response.item is not None
        self._outbox.emit(
            f"conversation.item.{what}",
            previous_item_id=response.previous_item_id,
            item=response.item.snapshot(),
        )


def _text_kind(response: Response) -> str:
    audio = response.modality == "audio"
    return "response.output_audio_transcript" if audio else "response.output_text"
