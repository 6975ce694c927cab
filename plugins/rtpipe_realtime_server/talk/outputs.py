"""What the protocol puts out: server events for the client and commands for its driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_realtime_server.session.ids import NewId
    from rtpipe_realtime_server.talk.brain import Question

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Transcribe:
    """Have the brain find the words of a user's item."""

    item_id: str
    pcm: NDArray[np.int16]
    """Mono, 16 kHz."""


@dataclass(frozen=True, slots=True, eq=False)
class Foresee:
    """Have the brain begin with the words of an item that may come: its turn seems to be over.

    `Transcribe` follows with the same id, or `Abandon`.
    """

    item_id: str
    pcm: NDArray[np.int16]
    """Mono, 16 kHz."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Have the brain answer."""

    response_id: str
    question: Question


@dataclass(frozen=True, slots=True)
class Speak:
    """Have the brain say a reply aloud."""

    response_id: str
    text: str
    voice: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop the brain's work for a response or an item: nobody waits for it any more."""

    owner_id: str


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the session once everything put out before has been sent."""

    reason: str = ""
    """For the client, where there is a place to say it."""


Command = Transcribe | Foresee | Reply | Speak | Abandon | EndSession
Output = Event | Command


class OutputList:
    """Collects outputs in the order in which they are to be carried out."""

    def __init__(self, new_id: NewId) -> None:
        self.new_id = new_id
        self._outputs: list[Output] = []

    def emit(self, kind: str, **fields: Any) -> None:
        """Put out the server event of type `kind`."""
        self._outputs.append({"type": kind, "event_id": self.new_id("event"), **fields})

    def emit_delta(self, kind: str, delta: str, **fields: Any) -> None:
        """Put out a piece of text; the padding hides its length from who reads the wire."""
        padding = self.new_id("").lstrip("_")[: max(1, 16 - len(delta) % 16)]
        self.emit(kind, **fields, delta=delta, obfuscation=padding)

    def command(self, command: Command) -> None:
        """Put out a command."""
        self._outputs.append(command)

    def take(self) -> list[Output]:
        """Return what was put out since the last call."""
        outputs, self._outputs = self._outputs, []
        return outputs
