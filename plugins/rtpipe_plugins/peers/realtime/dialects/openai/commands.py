"""Commands for the server, each with an `event_id` by which an error can name it."""

from __future__ import annotations

from typing import Any

from rtpipe_plugins.peers.realtime.dialects.conversation import Command


class Commands:
    """Makes the commands of one call."""

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
