"""The words of users' audio items: asked of the brain once, told to the client if it wants them."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING

from rtpipe_realtime_server.media.resample import RATE
from rtpipe_realtime_server.talk.outputs import OutputList, Transcribe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe_realtime_server.talk.conversation import ConversationItem

_KIND = "conversation.item.input_audio_transcription"
_WORDS_IN_PIECE = (3, 4, 5)


def in_pieces(text: str) -> Iterator[str]:
    """Cut `text` into pieces of three to five words that join to the same text."""
    words = re.findall(r"\s*\S+", text.strip())
    for count in itertools.cycle(_WORDS_IN_PIECE):
        if not words:
            return
        yield "".join(words[:count])
        del words[:count]


class Transcripts:
    """Keeps track of which items are with the brain."""

    def __init__(self, outbox: OutputList) -> None:
        self._outbox = outbox
        self._pending: dict[str, ConversationItem] = {}
        self._reported: set[str] = set()

    def report(self, item: ConversationItem) -> None:
        """Tell the client the words of `item` when they are known."""
        self._reported.add(item.id)
        self.need(item)

    def need(self, item: ConversationItem) -> None:
        """Find the words of `item`, unless they are known or being found."""
        if item.words is not None or item.id in self._pending:
            return
        assert item.pcm is not None
        self._pending[item.id] = item
        self._outbox.command(Transcribe(item.id, item.pcm))

    def found(self, item_id: str, words: str) -> None:
        """Take the brain's answer."""
        item = self._pending.pop(item_id, None)
        if item is None:
            return
        item.understand(words)
        if item_id not in self._reported:
            return
        self._reported.discard(item_id)
        where = {"item_id": item_id, "content_index": 0}
        for piece in in_pieces(words):
            self._outbox.emit_delta(f"{_KIND}.delta", piece, **where)
        _audio_part(item)["transcript"] = words
        usage = {"type": "duration", "seconds": math.ceil(item.heard_samples / RATE)}
        self._outbox.emit(f"{_KIND}.completed", **where, transcript=words, usage=usage)

    def forget(self) -> None:
        """Let go of what is with the brain."""
        self._pending.clear()
        self._reported.clear()

    def failed(self, item_id: str) -> None:
        """Go on without the words: the brain could not find them."""
        item = self._pending.pop(item_id, None)
        if item is None:
            return
        item.understand("")
        if item_id in self._reported:
            self._reported.discard(item_id)
            self._outbox.emit(
                f"{_KIND}.failed",
                item_id=item_id,
                content_index=0,
                error={
                    "type": "transcription_error",
                    "code": "audio_unintelligible",
                    "message": "The audio could not be transcribed.",
                    "param": None,
                },
            )


def _audio_part(item: ConversationItem) -> dict[str, str | None]:
    part: dict[str, str | None] = next(
        part for part in item.body["content"] if part["type"] == "input_audio"
    )
    return part
