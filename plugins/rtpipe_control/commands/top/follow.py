"""Follows a run: what its surface sends, read by a thread; taken up again when it was gone."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from rtpipe import RtpipeError
from rtpipe_control.client import Client

if TYPE_CHECKING:
    import http.client

_PATH = "/api/events?levels=1&state=1"
_AGAIN_S = 1.0
_PATIENCE_S = 5.0
"""Levels come ten times a second: what is silent so long is asked again."""


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
                with client.streamed(_PATH, patience_s=_PATIENCE_S) as stream:
                    self._read(stream, client)
            except RtpipeError as error:
                reason = f"{error}"
            except ValueError as error:  # half a message: it died while it wrote
                reason = f"what it sends cannot be read: {error}"
            self.messages.put(Message("gone", {"reason": reason}))
            self._stopped.wait(_AGAIN_S)

    def _read(self, stream: http.client.HTTPResponse, client: Client) -> None:
        name, stages = "", None
        for line in stream:
            if self._stopped.is_set():
                return
            field, _, value = line.rstrip(b"\r\n").partition(b": ")
            if field == b"event":
                name = value.decode("ascii", "replace")
            elif field == b"data":
                data = json.loads(value)
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
