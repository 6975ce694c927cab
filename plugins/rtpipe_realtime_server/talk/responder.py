"""The life of responses: created, answered by the brain, let out, played, cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.session.rejection import Rejected
from rtpipe_realtime_server.talk.brain import Utterance
from rtpipe_realtime_server.talk.drafts import CallDraft, Draft, MessageDraft
from rtpipe_realtime_server.talk.outputs import Abandon, OutputList, Reply, Speak

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_realtime_server.talk.brain import BrainAnswer
    from rtpipe_realtime_server.talk.conversation import ConversationItems
    from rtpipe_realtime_server.talk.deltas import Deltas
    from rtpipe_realtime_server.talk.player import Player
    from rtpipe_realtime_server.talk.responses import Response
    from rtpipe_realtime_server.talk.transcripts import Transcripts

_TOKENS_PER_MINUTE = 15_000_000
_MOST_ACTIVE = 16
"""Responses outside the conversation run beside one another: so many at most."""


class Responder:
    """Owns the responses of a call and the audio that they leave to be played."""

    def __init__(
        self,
        outbox: OutputList,
        conversation: ConversationItems,
        transcripts: Transcripts,
        voice: Player | Deltas,
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._transcripts = transcripts
        self._voice = voice
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
        return not self._active and self._voice.idle

    def create(self, response: Response) -> None:
        """Begin a response.

        Raises:
            Rejected: The conversation has one already, or is full.
        """
        if len(self._active) >= _MOST_ACTIVE:
            raise Rejected(
                f"{_MOST_ACTIVE} responses are in progress: wait for one of them.",
                code="rate_limit_exceeded",
            )
        if response.conversation_id:
            self._conversation.check_room()
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
                self._outbox.command(Reply(response.id, response.question))

    def replied(self, response_id: str, answer: BrainAnswer) -> None:
        """Take the answer of the brain."""
        response = self._active.get(response_id)
        if response is None:
            return  # cancelled meanwhile
        response.calls.extend(answer.calls)
        response.ending = answer.ending
        if not answer.words:
            self._begin_next(response)
        elif response.modality == "text":
            self._begin(response, MessageDraft(self._outbox, response_id, 0, answer.words, None))
        elif answer.sound is not None:
            self.spoken(response_id, Utterance(answer.words, answer.sound))
        else:
            self._outbox.command(Speak(response_id, answer.words, response.voice))

    def spoken(self, response_id: str, utterance: Utterance) -> None:
        """Take the sound of an answer from the brain."""
        response = self._active.get(response_id)
        if response is None:
            return  # cancelled meanwhile
        self.spoke = True
        draft = MessageDraft(self._outbox, response_id, 0, utterance.text, utterance.pcm)
        item = draft.item if response.conversation_id else None
        draft.sound = self._voice.begin(draft.places, item, utterance.pcm, response.audio_format)
        self._begin(response, draft)

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
        return self._voice.frame()

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
        for sound in self._voice.clear():
            if sound.item is None:
                continue
            sound.item.spoken_ms = sound.played_ms
            self._outbox.emit(
                "conversation.item.truncated",
                item_id=sound.item.id,
                content_index=0,
                audio_end_ms=sound.played_ms,
            )
            if sound.ended:
                sound.item.forget_transcript()

    def forget(self) -> None:
        """Let go of what was being answered and played."""
        self._active.clear()
        self._voice.clear()

    def interrupt(self) -> None:
        """The visitor speaks: stop playing and generating."""
        self.clear()
        if self.busy:
            self._cancel(self.busy, "turn_detected")

    def _begin(self, response: Response, draft: Draft) -> None:
        response.draft = draft
        self._emit_output("added", response, draft)
        if response.conversation_id:
            draft.previous_item_id = self._conversation.add(draft.item)
            self._emit_item("added", draft, draft.previous_item_id)
        draft.open()

    def _begin_next(self, response: Response) -> None:
        if response.calls:
            call = response.calls.popleft()
            index = len(response.output)
            self._begin(response, CallDraft(self._outbox, response.id, index, call))
        elif response.ending is not None:
            self._end(response, response.ending.status, response.ending.details())
        else:
            self._end(response, "completed", None)

    def _advance(self, response: Response) -> None:
        if response.draft is None:
            return
        if response.draft.finished:
            # Only now, a tick after the last sound came out: playing has begun by then.
            broken_off = response.ending is not None and not response.calls
            self._finish_draft(response, "incomplete" if broken_off else "completed")
            self._begin_next(response)
        elif response.exhausted:
            details = {"type": "incomplete", "reason": "max_output_tokens"}
            self._end(response, "incomplete", details)
        else:
            response.draft.advance()

    def _cancel(self, response: Response, reason: str) -> None:
        self._outbox.command(Abandon(response.id))
        self._end(response, "cancelled", {"type": "cancelled", "reason": reason})

    def _end(self, response: Response, status: str, details: dict[str, Any] | None) -> None:
        del self._active[response.id]
        if response.draft is not None:
            self._finish_draft(response, "incomplete")
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

    def _finish_draft(self, response: Response, status: str) -> None:
        draft, response.draft = response.draft, None
        assert draft is not None
        draft.close(status)
        if response.conversation_id:
            first = draft.previous_item_id == self._conversation.first_id
            # Recorded of OpenAI: `.added` tells the predecessor, `.done` not if it is the first.
            self._emit_item("done", draft, None if first else draft.previous_item_id)
        response.output.append(draft.item.snapshot())
        response.letters_out += len(draft.said)
        response.spoken_ms += draft.item.spoken_ms
        self._emit_output("done", response, draft)
        if isinstance(draft, MessageDraft) and draft.sound is not None:
            draft.sound.ended = True
            if draft.sound.cleared:
                draft.item.forget_transcript()  # after its own events, which still tell it

    def _emit_item(self, what: str, draft: Draft, previous_item_id: str | None) -> None:
        self._outbox.emit(
            f"conversation.item.{what}",
            previous_item_id=previous_item_id,
            item=draft.item.snapshot(),
        )

    def _emit_output(self, what: str, response: Response, draft: Draft) -> None:
        self._outbox.emit(
            f"response.output_item.{what}",
            response_id=response.id,
            output_index=draft.index,
            item=draft.item.snapshot(),
        )
