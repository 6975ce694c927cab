"""The conversation of a call: its items in order, and which of them await an answer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.session.rejection import Rejected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_realtime_server.limits import Limits

ROOT = "root"


@dataclass(slots=True, eq=False)
class ConversationItem:
    """One item, as its events show it, and what the server knows beside."""

    body: dict[str, Any]
    words: str | None = None
    """What a user's item says; None while its audio has not been transcribed."""
    pcm: NDArray[np.int16] | None = None
    """A user's audio as long as its words are not known: mono, 16 kHz."""
    heard_samples: int = 0
    """Length of a user's audio."""
    spoken_ms: int = 0
    """Length of an assistant's audio as far as it was generated."""

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.body["id"])

    @property
    def type(self) -> str:
        """`message`, `function_call` or `function_call_output`."""
        return str(self.body["type"])

    @property
    def size(self) -> int:
        """About how many bytes of memory it holds."""
        pcm = 0 if self.pcm is None else self.pcm.nbytes
        return pcm + len(self.words or "") + _length(self.body)

    @property
    def asks(self) -> bool:
        """Whether it is part of what a response answers."""
        return self.role == "user" or self.type.startswith("function_call")

    @property
    def role(self) -> str | None:
        """`user`, `assistant`, `system`, or None for what is no message."""
        return self.body.get("role")

    def snapshot(self) -> dict[str, Any]:
        """Return the item as events show it now."""
        return copy.deepcopy(self.body)

    def record(self, pcm: NDArray[np.int16]) -> None:
        """Take a user's audio; a long conversation has no room for what nobody asks for again."""
        self.heard_samples = len(pcm)
        self.pcm = pcm if self.words is None else None

    def understand(self, words: str) -> None:
        """Take the words of a user's audio."""
        self.words, self.pcm = words, None

    def forget_transcript(self) -> None:
        """Forget the words that were cut off: they were not heard, so they were not said."""
        self.body["content"][0]["transcript"] = ""


class ConversationItems:
    """The ordered items of a call.

    Args:
        conversation_id: Its id.
        limits: How many items there may be, and how large all of them.
    """

    def __init__(self, conversation_id: str, limits: Limits) -> None:
        self.id = conversation_id
        self._limits = limits
        self._items: list[ConversationItem] = []
        self._by_id: dict[str, ConversationItem] = {}

    @property
    def first_id(self) -> str | None:
        """Id of the first item, None in an empty conversation."""
        return self._items[0].id if self._items else None

    @property
    def last_id(self) -> str | None:
        """Id of the last item, None in an empty conversation."""
        return self._items[-1].id if self._items else None

    def check_room(self, item: ConversationItem | None = None) -> None:
        """Refuse what is more than a conversation may hold.

        Args:
            item: What is to be added; None for an answer, whose size nobody knows yet.

        Raises:
            Rejected: There is no room for it.
        """
        limits = self._limits
        if len(self._items) >= limits.session_items:
            raise _full(f"{limits.session_items} items", "session_items")
        size = 0 if item is None else item.size
        if size + sum(each.size for each in self._items) > limits.session_bytes:
            raise _full(f"{limits.session_mb:g} MB", "session_mb")

    def add(self, item: ConversationItem, previous_item_id: str | None = None) -> str | None:
        """Insert `item` and return the id of its predecessor.

        Args:
            item: The new item.
            previous_item_id: Id of the item to follow, `root` for the beginning, None for the end.

        Raises:
            Rejected: The predecessor does not exist or the id is taken.
        """
        if item.id in self._by_id:
            raise Rejected(
                f"Error adding item: an item with id '{item.id}' already exists.", param="item.id"
            )
        index = len(self._items)
        if previous_item_id == ROOT:
            index = 0
        elif previous_item_id is not None:
            previous = self._by_id.get(previous_item_id)
            if previous is None:
                raise Rejected(
                    "Error adding item: the previous item with id "
                    f"'{previous_item_id}' does not exist.",
                    param="previous_item_id",
                )
            index = self._items.index(previous) + 1
        self._items.insert(index, item)
        self._by_id[item.id] = item
        return self._items[index - 1].id if index else None

    def find(
        self, item_id: str, doing: str = "retrieving", verb: str = "retrieve"
    ) -> ConversationItem:
        """Return the item with `item_id`.

        Raises:
            Rejected: There is none; the code names the `verb`.
        """
        item = self._by_id.get(item_id)
        if item is None:
            raise Rejected(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                code=f"item_{verb}_invalid_item_id",
                param="item_id",
            )
        return item

    def check_output(self, item: ConversationItem) -> None:
        """Refuse what a function returned that nobody called.

        Raises:
            Rejected: `item` is an output, and its call is not here.
        """
        call_id = item.body.get("call_id")
        calls = (other for other in reversed(self._items) if other.type == "function_call")
        called = (call.body["call_id"] for call in calls)
        if item.type == "function_call_output" and call_id not in called:
            raise Rejected(
                f"Tool call ID '{call_id}' not found in conversation.", code="invalid_tool_call_id"
            )

    def delete(self, item_id: str) -> None:
        """Remove the item with `item_id`."""
        self._items.remove(self.find(item_id, "deleting", "delete"))
        del self._by_id[item_id]

    def forget(self) -> None:
        """Let go of all items."""
        self._items.clear()
        self._by_id.clear()

    def unanswered(self) -> list[ConversationItem]:
        """Return what the next response answers: the items after the last answer.

        They are the user's, function calls and their outputs. What the assistant said while it
        called a function is no answer yet.
        """
        waiting: list[ConversationItem] = []
        for item in reversed(self._items):
            if item.role == "assistant" and not (waiting and waiting[-1].type == "function_call"):
                break
            if item.asks:
                waiting.append(item)
        return waiting[::-1]


def _full(most: str, limit: str) -> Rejected:
    return Rejected(
        f"The conversation holds {most} and no more (limit `{limit}`): delete items first.",
        code="conversation_limit_reached",
    )


def _length(value: Any) -> int:
    """Return the length of all texts in a JSON value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_length, value.values()))
    return sum(map(_length, value)) if isinstance(value, list) else 0
