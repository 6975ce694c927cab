"""The conversation of a call: its items in order, and which of them await an answer."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.realtime_server.rejection import Rejected

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROOT = "root"


@dataclass(slots=True, eq=False)
class Item:
    """One item, as its events show it, and what the server knows beside."""

    body: dict[str, Any]
    words: str | None = None
    """What a user's item says; None while its audio has not been transcribed."""
    pcm: NDArray[np.int16] | None = None
    """A user's audio: mono, 16 kHz."""
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

    def forget_transcript(self) -> None:
        """Forget the words that were cut off: they were not heard, so they were not said."""
        self.body["content"][0]["transcript"] = ""


class Conversation:
    """The ordered items of a call."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._items: list[Item] = []

    @property
    def first_id(self) -> str | None:
        """Id of the first item, None in an empty conversation."""
        return self._items[0].id if self._items else None

    @property
    def last_id(self) -> str | None:
        """Id of the last item, None in an empty conversation."""
        return self._items[-1].id if self._items else None

    def add(self, item: Item, previous_item_id: str | None = None) -> str | None:
        """Insert `item` and return the id of its predecessor.

        Args:
            item: The new item.
            previous_item_id: Id of the item to follow, `root` for the beginning, None for the end.

        Raises:
            Rejected: The predecessor does not exist or the id is taken.
        """
        if self._index(item.id) is not None:
            raise Rejected(
                f"Error adding item: an item with id '{item.id}' already exists.", param="item.id"
            )
        index: int | None = len(self._items)
        if previous_item_id == ROOT:
            index = 0
        elif previous_item_id is not None:
            index = self._index(previous_item_id)
            if index is None:
                raise Rejected(
                    "Error adding item: the previous item with id "
                    f"'{previous_item_id}' does not exist.",
                    param="previous_item_id",
                )
            index += 1
        assert index is not None
        self._items.insert(index, item)
        return self._items[index - 1].id if index else None

    def find(self, item_id: str, doing: str = "retrieving", verb: str = "retrieve") -> Item:
        """Return the item with `item_id`.

        Raises:
            Rejected: There is none; the code names the `verb`.
        """
        index = self._index(item_id)
        if index is None:
            raise Rejected(
                f"Error {doing} item: the item with id '{item_id}' does not exist.",
                code=f"item_{verb}_invalid_item_id",
                param="item_id",
            )
        return self._items[index]

    def delete(self, item_id: str) -> None:
        """Remove the item with `item_id`."""
        self._items.remove(self.find(item_id, "deleting", "delete"))

    def unanswered(self) -> list[Item]:
        """Return what the next response answers: the items after the last answer.

        They are the user's, function calls and their outputs. What the assistant said while it
        called a function is no answer yet.
        """
        waiting: list[Item] = []
        for item in reversed(self._items):
            if item.role == "assistant" and not (waiting and waiting[0].type == "function_call"):
                break
            if item.asks:
                waiting.insert(0, item)
        return waiting

    def _index(self, item_id: str) -> int | None:
        return next((i for i, item in enumerate(self._items) if item.id == item_id), None)
