"""Follows a run: what its surface sends, read by a thread; taken up again when it was gone."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple

from rtpipe import RtpipeError
from rtpipe_control.client import Client

_AGAIN_S = 1.0


class Message(NamedTuple):
    """What came.

    Attributes:
        name: snapshot, event, levels, state, condition, missed, end; `renewed`: a snapshot that was
            asked for because the stages are others; `gone`.
        data: What it says; for `gone` {"reason"}.
    """

    name: str
    data: Any


class Follower:
    """Reads the events of the run `name`; `messages` has what came.

    Args:
        name: The run's.
    """

    def __init__(self, name: str) -> None:
        self.messages: SimpleQueue[Message] = SimpleQueue()
        self._name = name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="top follows", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more. The thread may wait for one more message; it keeps nobody."""
        self._stopped.set()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            reason = "it is over"
            try:
                client = Client.of(self._name)
                self._read(client)
            except RtpipeError as error:
                reason = f"{error}"
            self.messages.put(Message("gone", {"reason": reason}))
            self._stopped.wait(_AGAIN_S)

    def _read(self, client: Client) -> None:
        stages = None
        for name, data in client.events(levels=True, state=True):
            if self._stopped.is_set():
                return
            self.messages.put(Message(name, data))
            if name == "state":
                if stages is not None and stages != stages_in(data):
                    self.messages.put(Message("renewed", client.snapshot()))
                stages = stages_in(data)
            elif name == "snapshot":
                stages = stages_in({"stages": {each["id"]: each for each in data["stages"]}})

    def newest(self) -> list[Message]:
        """Return what has come since the last time."""
        found: list[Message] = []
        with suppress(Exception):
            while not self.messages.empty():
                found.append(self.messages.get_nowait())
        return found


def stages_in(data: dict[str, Any]) -> dict[str, Any]:
    """Return what stages there are, and whether they are those of the file."""
    return {id: (each["kind"], each["wanted"]) for id, each in data["stages"].items()}
