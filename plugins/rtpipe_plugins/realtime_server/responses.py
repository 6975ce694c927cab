"""One response: what it was asked, how far it has come, and the shape that clients read."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe_plugins.realtime_server.playout import FRAME
from rtpipe_plugins.realtime_server.transcripts import in_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_plugins.realtime_server.conversation import Item
    from rtpipe_plugins.realtime_server.playout import Segment

_SPEED = 8
"""How much faster than it is played a reply is generated."""
_TEXT_LEAD = 4 * 48000
"""Samples by which the words run ahead of the sound."""
_LETTERS_PER_TOKEN = 4
_HEARD_TOKENS_PER_S = 10
_SPOKEN_TOKENS_PER_S = 20


class Generation:
    """A finished reply, let out at the pace of a model that generates it.

    Args:
        text: The words.
        pcm: Their sound, mono 48 kHz; None for a reply in text.
    """

    def __init__(self, text: str, pcm: NDArray[np.int16] | None) -> None:
        self._pcm = np.zeros(0, np.int16) if pcm is None else pcm
        self._position = 0
        self._pieces: deque[tuple[int, str]] = deque()
        letters = 0
        for piece in in_pieces(text):
            self._pieces.append((len(self._pcm) * letters // max(1, len(text)), piece))
            letters += len(piece)

    @property
    def finished(self) -> bool:
        """Whether everything is out."""
        return not self._pieces and self._position >= len(self._pcm)

    def advance(self) -> tuple[list[str], NDArray[np.int16]]:
        """Return the words and the sound of the next 20 ms."""
        start, self._position = self._position, self._position + _SPEED * FRAME
        words: list[str] = []
        while self._pieces and self._pieces[0][0] <= self._position + _TEXT_LEAD:
            words.append(self._pieces.popleft()[1])
        return words, self._pcm[start : self._position]


@dataclass(slots=True, eq=False)
class Response:
    """A response in progress."""

    id: str
    conversation_id: str | None
    """None for one outside the conversation."""
    modality: str
    """`audio` or `text`."""
    instructions: str
    voice: str
    audio_format: dict[str, Any]
    max_output_tokens: Any
    metadata: dict[str, str] | None
    context: list[Item]
    """The user's items that it answers."""
    asked: bool = False
    """The brain was asked for the reply."""
    said: str = ""
    """The words let out so far."""
    item: Item | None = None
    previous_item_id: str | None = None
    generation: Generation | None = None
    segment: Segment | None = None
    output: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether the words that it answers are known and the brain has not been asked yet."""
        return not self.asked and all(item.words is not None for item in self.context)

    @property
    def heard(self) -> str:
        """The words that it answers."""
        return " ".join(item.words for item in self.context if item.words)

    def places(self) -> dict[str, Any]:
        """Return the fields that name the part of the output an event is about."""
        assert self.item is not None
        return {
            "response_id": self.id,
            "item_id": self.item.id,
            "output_index": 0,
            "content_index": 0,
        }

    def part(self) -> dict[str, str]:
        """Return the content part as its own events show it."""
        name = "transcript" if self.modality == "audio" else "text"
        return {"type": self.modality, name: self.said}

    def snapshot(
        self, status: str = "in_progress", details: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the response as events show it.

        Args:
            status: One of OpenAI's five states.
            details: `status_details`, None where everything went well.
        """
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": list(self.output),
            "conversation_id": self.conversation_id,
            "output_modalities": [self.modality],
            "max_output_tokens": self.max_output_tokens,
            "audio": {"output": {"format": self.audio_format, "voice": self.voice}},
            "usage": None if status == "in_progress" else self._usage(),
            "metadata": self.metadata,
        }

    def _usage(self) -> dict[str, Any]:
        samples = sum(len(item.pcm) for item in self.context if item.pcm is not None)
        typed = sum(len(item.words or "") for item in self.context if item.pcm is None)
        text_in = (len(self.instructions) + typed) // _LETTERS_PER_TOKEN
        audio_in = samples * _HEARD_TOKENS_PER_S // 16000
        text_out = -(-len(self.said) // _LETTERS_PER_TOKEN)
        spoken_ms = self.item.spoken_ms if self.item else 0
        audio_out = spoken_ms * _SPOKEN_TOKENS_PER_S // 1000
        by_kind = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                **by_kind,
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "cached_tokens": 0,
                "cached_tokens_details": by_kind,
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }
