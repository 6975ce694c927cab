"""Commands for the server, and the items of ours that they put into the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import Recent, randomness
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, text_of
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import ALREADY_ACTIVE
from rtpipe_plugins.peers.realtime.events import ServerEvent, UserTranscript

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtpipe_plugins.peers.realtime.dialects.conversation import Item, Output

_REPEATS = {
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
}
_REMEMBERED = 64  # commands
_ANSWERED_BY = {
    "session.update": {"session.updated"},
    "conversation.item.create": _REPEATS - {"conversation.item.done"},
    "response.create": {"response.created"},
    "response.cancel": {"response.done"},
    "input_audio_buffer.commit": {"input_audio_buffer.committed"},
    "input_audio_buffer.clear": {"input_audio_buffer.cleared"},
    "conversation.item.truncate": {"conversation.item.truncated"},
    "conversation.item.delete": {"conversation.item.deleted"},
    "output_audio_buffer.clear": {"output_audio_buffer.cleared", "output_audio_buffer.stopped"},
}
"""Commands, and the events that say that one was obeyed."""
_REFUSED_BY = {
    ALREADY_ACTIVE: "response.create",
    "response_cancel_not_active": "response.cancel",
    "input_audio_buffer_commit_empty": "input_audio_buffer.commit",
    "cannot_update_voice": "session.update",
    "item_truncate_invalid_item_id": "conversation.item.truncate",
    "item_delete_invalid_item_id": "conversation.item.delete",
}
"""Codes of errors that only one sort of command meets."""


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
        return self.item({"type": "message", "role": "user", "content": content})

    def item(self, item: Mapping[str, Any], previous_item_id: str = "") -> Command:
        """Return the command that puts an item into the conversation, behind another one."""
        # An id of ours: the item is known, and can be told again, before the server repeats it.
        given = {"id": f"item_{randomness().getrandbits(64):016x}", **item}
        behind = {"previous_item_id": previous_item_id} if previous_item_id else {}
        return self.make("conversation.item.create", **behind, item=given)


class OpenRequests:
    """Commands of one call that the server has not answered: what an error may be about."""

    def __init__(self) -> None:
        self._open: Recent[str, Mapping[str, Any]] = Recent(_REMEMBERED)

    def sent(self, command: Command) -> None:
        """A command has left."""
        if command.data["type"] in _ANSWERED_BY:
            self._open[text_of(command.data, "event_id")] = command.data

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the server's: the oldest command that it can answer is answered."""
        type = text_of(event, "type")
        for id, command in list(self._open.items()):
            if type in _ANSWERED_BY[command["type"]] and _same_item(command, event):
                del self._open[id]
                return

    def refused(self, error: Mapping[str, Any]) -> str:
        """Return the `event_id` of the command that an error is about; "" where nobody knows.

        Where the error names none, it is the only one it can be: by its code, by the command that
        its message quotes, or because no other is open.
        """
        named = text_of(error, "event_id")
        if not named:
            sort = _REFUSED_BY.get(text_of(error, "code")) or self._quoted(
                text_of(error, "message")
            )
            fit = [id for id, sent in self._open.items() if sort in {None, sent["type"]}]
            named = fit[0] if len(fit) == 1 or (fit and sort is not None) else ""
        self._open.pop(named, None)
        return named

    def _quoted(self, message: str) -> str | None:
        types = {sent["type"] for sent in self._open.values() if sent["type"] in message}
        return types.pop() if len(types) == 1 else None


class OwnItems:
    """The items of one call that have an id of ours, and what the server has said of them."""

    def __init__(self) -> None:
        self._replayed: set[str] = set()
        self._unconfirmed: dict[str, Mapping[str, Any]] = {}
        self._created: Recent[str, str] = Recent(_REMEMBERED)

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
        if item.get("type") != "message":
            return  # what answers something of this call is nothing to the next
        if "id" in item and item["id"] not in self._replayed:
            self._unconfirmed[item["id"]] = item
            self._created[text_of(command.data, "event_id")] = item["id"]

    def refused(self, event_id: str) -> None:
        """The server will not have what this command would have put into the conversation."""
        self._unconfirmed.pop(self._created.pop(event_id, ""), None)

    def repeats(self, output: Output) -> bool:
        """Take what the server says of an item; returns whether it repeats what was replayed."""
        match output:
            case UserTranscript(item_id=id):
                pass
            case ServerEvent(type=type, usable=usable) if type in _REPEATS and usable is not None:
                id = text_of(object_of(usable, "item"), "id")
            case _:
                return False
        self._unconfirmed.pop(id, None)
        return id in self._replayed


def _same_item(command: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event can be about the item that a command makes, if it makes one."""
    ours, theirs = object_of(command, "item"), object_of(event, "item")
    return not ours or any(
        text_of(ours, key) and ours[key] == theirs.get(key) for key in ("id", "call_id")
    )


def _create(item: Item, **fields: str) -> Command:
    return Command({"type": "conversation.item.create", **fields, "item": item})
