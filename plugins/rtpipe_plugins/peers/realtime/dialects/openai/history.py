"""Conversation history: what was said in one session, in a form that the next can be given.

A server cannot resume a session. It takes text: the visitor's words as `input_text`, the model's as
`output_text`. Items keep their ids, so that whoever remembers one finds it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, objects_of, text_of
from rtpipe_plugins.peers.realtime.dialects.openai.responses import how_it_ended
from rtpipe_plugins.peers.realtime.dialects.openai.wire.beta import ga_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe_plugins.peers.realtime.dialects.conversation import Item

_CHARACTERS_PER_S = 15.0
"""Of speech, in the languages that are written with letters; no server says more exactly which
words were heard."""
_LONGEST = 20_000
"""Characters of one item; the channel carries no event without limit."""
_ROLES = {"user", "assistant", "system"}
_SAID = {"input_text", "output_text", "text"}


@dataclass(slots=True)
class _Item:
    """An item of the conversation, as far as it is words."""

    id: str
    type: str
    role: str = ""
    words: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    heard_ms: float | None = None
    """How much of the model's sound the visitor heard; None: all of it."""
    response_id: str = ""
    broken_off: bool = False
    """Whether the model did not come to its end."""

    @property
    def heard(self) -> str:
        """The words that the visitor has heard."""
        words = self.words.strip()
        if self.heard_ms is None:
            return f"{words} …" if self.broken_off and words else words
        limit = int(self.heard_ms / 1000 * _CHARACTERS_PER_S)
        if limit >= len(words):
            return f"{words} …" if self.broken_off and words else words
        whole = words[: limit + 1].rpartition(" ")[0]
        return f"{whole} …" if whole else ""

    def replay(self) -> dict[str, Any] | None:
        """Return the item as a client creates it; None where nothing of it is text."""
        if self.type == "function_call" and not self.fields["arguments"]:
            return None  # nobody knows yet what it is called with
        if self.type != "message":
            return {"id": self.id, "type": self.type, **self.fields}
        if not self.heard or self.role not in _ROLES:
            return None
        kind = "output_text" if self.role == "assistant" else "input_text"
        content = [{"type": kind, "text": self.heard[:_LONGEST]}]
        return {"id": self.id, "type": "message", "role": self.role, "content": content}


class RealtimeHistory:
    """See `History`: collected from the server's events, whichever call they come from.

    Args:
        limit: How many items to hand on; the oldest are forgotten first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: list[_Item] = []
        self._playing: dict[str, float] = {}
        self._responses: dict[str, str] = {}

    @property
    def answer_owed(self) -> bool:
        """Whether the visitor has the last word."""
        said = [item for item in self._items if item.type == "message" and item.heard]
        return bool(said) and said[-1].role == "user"

    def take(self, event: Mapping[str, Any], now: float) -> None:
        """Take an event of the server's.

        Args:
            event: Its JSON object.
            now: When it came (s).
        """
        react = self._REACTIONS.get(ga_name(text_of(event, "type")))
        if react is not None:
            react(self, event, now)

    def break_off(self, now: float) -> None:
        """The call has ended: what was being played was heard up to now."""
        for item in self._items:
            began_at = self._playing.get(item.response_id)
            if began_at is not None and item.heard_ms is None:
                item.heard_ms = (now - began_at) * 1000
        self._playing.clear()
        self._responses.clear()

    def replay(self) -> list[Item]:
        """Return the items that another session is to be given, in their order."""
        said = [(item, made) for item in self._items if (made := item.replay()) is not None]
        kept = said[-self._limit :] if self._limit else []
        called, returned = (
            {item.fields["call_id"] for item, _ in kept if item.type == type}
            for type in ("function_call", "function_call_output")
        )
        whole = called & returned  # what a function returns after its call is gone reaches nobody
        return [
            made for item, made in kept if item.type == "message" or item.fields["call_id"] in whole
        ]

    def _added(self, event: Mapping[str, Any], _now: float) -> None:
        given = object_of(event, "item")
        id, type = text_of(given, "id"), text_of(given, "type")
        if not id or self._found(id) is not None or type not in _TEXTUAL:
            return  # an item that was handed on comes back as new
        item = _Item(id, type, text_of(given, "role"), response_id=self._responses.pop(id, ""))
        previous = event.get("previous_item_id")
        places = [n for n, other in enumerate(self._items) if other.id == previous]
        self._items.insert(places[0] + 1 if places else len(self._items), item)
        self._read(item, given)
        if len(self._items) > 2 * self._limit:
            del self._items[0]

    def _done(self, event: Mapping[str, Any], _now: float) -> None:
        given = object_of(event, "item")
        item = self._found(text_of(given, "id"))
        if item is not None:
            self._read(item, given)

    def _read(self, item: _Item, given: Mapping[str, Any]) -> None:
        item.fields = {key: text_of(given, key)[:_LONGEST] for key in _TEXTUAL[item.type]}
        if item.heard_ms is not None and item.words:
            return  # what was cut off comes back without the words that were not heard, or whole
        parts = objects_of(given, "content")
        said = [
            text_of(part, "text") if text_of(part, "type") in _SAID else text_of(part, "transcript")
            for part in parts
        ]
        item.words = " ".join(filter(None, said)) or item.words

    def _transcribed(self, event: Mapping[str, Any], _now: float) -> None:
        item = self._found(text_of(event, "item_id"))
        if item is not None:
            item.words = text_of(event, "transcript")

    def _delta(self, event: Mapping[str, Any], _now: float) -> None:
        item = self._found(text_of(event, "item_id"))
        if item is not None and len(item.words) < _LONGEST:
            item.words += text_of(event, "delta")

    def _output_item(self, event: Mapping[str, Any], _now: float) -> None:
        id, response_id = text_of(object_of(event, "item"), "id"), text_of(event, "response_id")
        item = self._found(id)
        if item is not None:
            item.response_id = response_id
        else:
            self._responses[id] = response_id

    def _truncated(self, event: Mapping[str, Any], _now: float) -> None:
        item, heard_ms = self._found(text_of(event, "item_id")), event.get("audio_end_ms")
        if item is not None and isinstance(heard_ms, int | float):
            item.heard_ms = heard_ms

    def _response_done(self, event: Mapping[str, Any], _now: float) -> None:
        response = object_of(event, "response")
        status, _ = how_it_ended(response)
        for given in objects_of(response, "output"):
            item = self._found(text_of(given, "id"))
            if item is not None and item.role == "assistant":
                item.broken_off = status != "completed"

    def _deleted(self, event: Mapping[str, Any], _now: float) -> None:
        self._items = [item for item in self._items if item.id != text_of(event, "item_id")]

    def _plays(self, event: Mapping[str, Any], now: float) -> None:
        self._playing[text_of(event, "response_id")] = now

    def _played(self, event: Mapping[str, Any], _now: float) -> None:
        self._playing.pop(text_of(event, "response_id"), None)

    def _found(self, id: str) -> _Item | None:
        return next((item for item in reversed(self._items) if item.id == id), None)

    _REACTIONS: Mapping[str, Callable[..., None]] = {
        "conversation.item.added": _added,
        "conversation.item.created": _added,
        "conversation.item.done": _done,
        "conversation.item.truncated": _truncated,
        "conversation.item.deleted": _deleted,
        "conversation.item.input_audio_transcription.completed": _transcribed,
        "response.output_item.added": _output_item,
        "response.done": _response_done,
        "response.output_audio_transcript.delta": _delta,
        "response.output_text.delta": _delta,
        "output_audio_buffer.started": _plays,
        "output_audio_buffer.stopped": _played,
        "output_audio_buffer.cleared": _played,
    }


_TEXTUAL: dict[str, tuple[str, ...]] = {
    "message": (),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
}
"""The types of items that are text or may become it, with the fields they are made again from."""
