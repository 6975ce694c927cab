"""How a call travels. WebRTC is one transport; each brings its own way of being placed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rtpipe import AudioFrame, Link
    from rtpipe_webrtc.statistics import MediaStatistics


@dataclass(frozen=True, slots=True)
class Placed:
    """A call that the server has taken.

    Attributes:
        call_id: The server's name for it, if it gave one.
        server_time_s: The server's own clock when `connect` returned (Unix seconds), if it told.
            Ours may be wrong by years where a machine has no battery for it.
    """

    call_id: str | None
    server_time_s: float | None = None


class Inlet(Protocol):
    """Where the visitor's audio comes from; a `Link` is one."""

    def get_nowait(self) -> AudioFrame | None:
        """Return the next frame, or None when none waits.

        Raises:
            LinkClosed: The stream ended.
        """
        ...


class Incoming(Protocol):
    """The model's audio."""

    @property
    def received(self) -> Link:
        """What has arrived since `begin`: canonical frames of any length, closed at the end."""
        ...

    @property
    def audible_at(self) -> float:
        """When something audible last arrived (pipeline seconds)."""
        ...

    @property
    def kept_s(self) -> float:
        """How long what is handed out now was kept back for packets that come late (s)."""
        ...

    def begin(self) -> None:
        """Keep what arrives from now on, with pts that count from now; before, it is dropped."""
        ...

    def reset(self) -> None:
        """Forget what has arrived and was not taken."""
        ...


class Outgoing(Protocol):
    """The visitor's audio; silence until something is attached."""

    @property
    def inlet_ended(self) -> bool:
        """Whether all of the inlet has been sent."""
        ...

    @property
    def audible_at(self) -> float:
        """When something audible was last sent (pipeline seconds)."""
        ...

    def attach(self, inlet: Inlet) -> None:
        """Send what comes out of `inlet` from now on."""
        ...

    def stop(self) -> None:
        """Send nothing more, and leave the inlet to the next call; may be called again."""
        ...


class Transport(Protocol):
    """One call on its way: made, connected once, closed.

    It is given a function for the server's messages when it is made. Nothing is raised in a
    callback: what goes wrong after `connect` ends the call, and `lost` says why.
    """

    @property
    def step(self) -> str:
        """What `connect` is waiting for, for an error: `waiting for the answer to our offer`."""
        ...

    @property
    def lost(self) -> asyncio.Future[BaseException]:
        """Why the call ended, when it has; the first reason counts."""
        ...

    @property
    def incoming(self) -> Incoming:
        """The model's audio."""
        ...

    @property
    def outgoing(self) -> Outgoing:
        """The visitor's audio."""
        ...

    async def connect(self) -> Placed:
        """Place the call and return when events can be sent.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
            NotConnected: The call ended before it stood.
            StageError: What the server answers cannot be used.
        """
        ...

    def transmit(self, text: str) -> None:
        """Send an event.

        Raises:
            NotConnected: The call is not up, which also ends it: `lost` says so.
            StageError: The event is larger than the far end takes.
        """
        ...

    async def statistics(self) -> MediaStatistics | None:
        """Return how the media fare; None where the transport cannot tell."""
        ...

    def lose(self, why: BaseException) -> None:
        """End the call for a reason that was found elsewhere."""
        ...

    async def hang_up(self) -> None:
        """Tell the server that the call is over; failure is logged."""
        ...

    async def close(self) -> None:
        """Let go of everything; may be called again."""
        ...


async def unless_lost(lost: asyncio.Future[BaseException], event: asyncio.Event) -> None:
    """Wait for `event`; raises why the call ended if that comes first."""
    waiting = asyncio.ensure_future(event.wait())
    either: list[asyncio.Future[Any]] = [waiting, lost]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if lost.done():
        raise lost.result()


def text_in(message: str | bytes) -> str | bytes:
    """Return the text of a message that came as binary, as some servers send all of theirs."""
    if isinstance(message, str):
        return message
    try:
        return message.decode()
    except UnicodeDecodeError:
        return message
