"""What the server says of the visitor: when he speaks, and in which words (turn detection)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.conversation import UserSpeaks
from rtpipe_plugins.peers.realtime.dialects.openai.messages import (
    number_of,
    object_of,
    objects_of,
    text_of,
)
from rtpipe_plugins.peers.realtime.events import UserDelta, UserTranscript

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.interruption import Interruption
    from rtpipe_plugins.peers.realtime.dialects.openai.response_requests import ResponseRequests
    from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection


class VisitorEvents:
    """Reacts to the events about the visitor.

    Args:
        detection: What is known of his turns.
        interruption: Silences the model for him.
        requests: Asks for what he is answered.
    """

    def __init__(
        self, detection: TurnDetection, interruption: Interruption, requests: ResponseRequests
    ) -> None:
        self._detection = detection
        self._interruption = interruption
        self._requests = requests
        self.reactions: Mapping[str, Callable[[Mapping[str, Any]], list[Output]]] = {
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": self._speech_stopped,
            "input_audio_buffer.committed": self._committed,
            "input_audio_buffer.cleared": self._cleared,
            "conversation.item.input_audio_transcription.completed": self._transcribed,
            "conversation.item.input_audio_transcription.delta": self._transcribing,
            "conversation.item.input_audio_transcription.failed": self._not_transcribed,
            "conversation.item.added": self._item_done,  # all that some servers say of it
            "conversation.item.done": self._item_done,
            "conversation.item.created": self._item_done,  # all that the beta says of it
        }
        """By the event's name."""

    def _speech_started(self, event: Mapping[str, Any]) -> list[Output]:
        self._detection.speech_started(number_of(event, "audio_start_ms"))
        item_id = text_of(event, "item_id")
        interrupts = self._interruption.speech_started(item_id, self._detection)
        return [UserSpeaks(speaking=True, item_id=item_id), *interrupts]

    def _speech_stopped(self, event: Mapping[str, Any]) -> list[Output]:
        speech_ms = self._detection.speech_stopped(number_of(event, "audio_end_ms"))
        ends = UserSpeaks(speaking=False, item_id=text_of(event, "item_id"))
        return [ends, *self._interruption.speech_stopped(speech_ms, self._detection)]

    def _committed(self, event: Mapping[str, Any]) -> list[Output]:
        ours, item_id = self._detection.committing, text_of(event, "item_id")
        ends = UserSpeaks(speaking=False, item_id=item_id)
        if self._detection.committed(item_id):
            return [ends, *self._requests.want({})]
        return [ends] if ours else [ends, *self._interruption.committed(item_id)]

    def _cleared(self, _event: Mapping[str, Any]) -> list[Output]:
        self._detection.cleared()
        return [UserSpeaks(speaking=False)] if self._detection.detected else []

    def _transcribed(self, event: Mapping[str, Any]) -> list[Output]:
        item_id, text = text_of(event, "item_id"), text_of(event, "transcript")
        return [*self._said(item_id, text), *self._interruption.words(item_id, text, whole=True)]

    def _transcribing(self, event: Mapping[str, Any]) -> list[Output]:
        item_id, text = text_of(event, "item_id"), text_of(event, "delta")
        told = [UserDelta(delta=text, item_id=item_id)]
        said = told if text and not self._detection.has_words(item_id) else []
        return [*said, *self._interruption.words(item_id, text, whole=False)]

    def _not_transcribed(self, event: Mapping[str, Any]) -> list[Output]:
        item_id = text_of(event, "item_id")
        self._detection.transcribed(item_id)
        return self._interruption.words(item_id, "", whole=True)

    def _item_done(self, event: Mapping[str, Any]) -> list[Output]:
        item = object_of(event, "item")
        if item.get("role") != "user":
            return []
        parts = objects_of(item, "content")
        typed = [text_of(part, "text") for part in parts if part.get("type") == "input_text"]
        return self._said(text_of(item, "id"), " ".join(typed)) if typed else []

    def _said(self, item_id: str, text: str) -> list[Output]:
        fresh = self._detection.transcribed(item_id)
        if not fresh or not text.strip():
            return []
        return [UserTranscript(text=text.strip(), item_id=item_id)]
