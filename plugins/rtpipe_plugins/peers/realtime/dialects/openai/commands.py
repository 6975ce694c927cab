"""Commands for the server, and the items of ours that they put into the conversation."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, text_of
from rtpipe_plugins.peers.realtime.events import ServerEvent, UserTranscript

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtpipe_plugins.peers.realtime.dialects.conversation import Item, Output

_REPEATS = {
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
}


class Commands:
    """Makes the commands of one call, each with an `event_id` by which an error can name it."""

    def __init__(self) -> None:
        self._made = 0

    @property
    def next_id(self) -> str:
        """The `event_id` of the command that is made next."""
        return f"rtpipe_{self._made + 1}"

    def make(self, type: str, **fields: Any) -> Command:
        """Return a command."""
        command = Command({"type": type, "event_id": self.next_id, **fields})
        self._made += 1
        return command

    def message(self, content: list[dict[str, Any]]) -> Command:
        """Return the command that puts a message of the visitor's into the conversation."""
        # An id of ours: the item is known, and can be told again, before the server repeats it.
        id = f"item_{secrets.token_hex(8)}"
        item = {"id": id, "type": "message", "role": "user", "content": content}
        return self.make("conversation.item.create", item=item)


class OwnItems:
    """The items of one call that have an id of ours, and what the server has said of them."""

    def __init__(self) -> None:
        self._replayed: set[str] = set()
        self._unconfirmed: dict[str, Mapping[str, Any]] = {}

    @property
    def unconfirmed(self) -> list[Item]:
        """See `Conversation.unconfirmed`."""
        return list(self._unconfirmed.values())

    def replay(self, items: Sequence[Item]) -> list[Output]:
        """See `Conversation.replay`."""
        self._replayed.update(item["id"] for item in items)
        return [_create(item, event_id=f"replay_{n}") for n, item in enumerate(items, 1)]

    def create(self, items: Sequence[Item]) -> list[Output]:
        """See `Conversation.create`."""
        return [_create(item) for item in items]

    def sent(self, command: Command) -> None:
        """See `Conversation.sent`."""
        item = object_of(command.data, "item")
        if "id" in item and item["id"] not in self._replayed:
            self._unconfirmed[item["id"]] = item

    def repeats(self, output: Output) -> bool:
        """Take what the server says of an item; returns whether it repeats what was replayed."""
        match output:
            case UserTranscript(item_id=id):
                pass
            case ServerEvent(type=type, data=data) if type in _REPEATS:
                id = text_of(object_of(data, "item"), "id")
            case _:
                return False
        self._unconfirmed.pop(id, None)
        return id in self._replayed


def _create(item: Item, **fields: str) -> Command:
    return Command({"type": "conversation.item.create", **fields, "item": item})
