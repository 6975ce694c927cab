"""The seam between a call and what is spoken with the server.

OpenAI has more than one real-time protocol, and will have others. Each is a folder beside this
module with a `Dialect` in it, which `choice.py` knows by name; nobody else does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from rtpipe_plugins.peers.realtime.dialects.conversation import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from logging import Logger

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import RtpipeError
    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.dialects.conversation import Conversation, History
    from rtpipe_plugins.peers.realtime.events import ServerEvent
    from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions


@dataclass(frozen=True, slots=True)
class SdpAnswer:
    """What a server says to an offer.

    Attributes:
        sdp: Its half of the connection.
        call_id: Its name for the call, if it gave one.
        server_time_s: Its own clock when it answered (Unix seconds), if it told.
    """

    sdp: str
    call_id: str | None
    server_time_s: float | None = None


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """What opens a WebSocket.

    Attributes:
        url: Where, with `http` or `https`, its query in it.
        headers: On whose behalf.
    """

    url: str
    headers: Mapping[str, str]


class Signaling(Protocol):
    """Signalling: how one call is placed and ended, outside the call itself."""

    async def place(self, offer: str) -> SdpAnswer:
        """Send the SDP `offer` of a call over WebRTC.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
        """
        ...

    async def hang_up(self, call_id: str) -> None:
        """Tell the server that the call is over; failure is logged."""
        ...

    async def socket(self) -> SocketRequest:
        """Return what opens the WebSocket of a call; a key for it may be asked for first.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
        """
        ...

    def refusal(self, status: int, body: str, headers: Mapping[str, str]) -> RtpipeError:
        """Return what it means that the server gives this HTTP answer in place of a WebSocket."""
        ...

    def closed(self, code: int | None, reason: str, *, stood: bool) -> RtpipeError:
        """Return what it means that the server has closed a WebSocket.

        Args:
            code: Its close code (RFC 6455); None where the connection broke off without.
            reason: Its words; "" where it gave none.
            stood: Whether the visitor was heard over it before.

        Returns:
            NotConnected where another call may succeed, CallRefused where none can.
        """
        ...


Step: TypeAlias = str | bytes | Command
"""A message for the conversation, or a command for the server."""


class MediaServer(Protocol):
    """Playout of one call over a WebSocket: the media server's part of it, which is ours to play.

    A state machine without clock or network. Over WebRTC a server plays its answers at the pace of
    speech, and forgets what an interruption has made stale; here the client does.
    """

    rate: ClassVar[int]
    """Hz of the audio in messages, which is mono and s16."""

    @property
    def gaps(self) -> int:
        """How often the next sound of an answer came late."""
        ...

    def append(self, pcm: bytes) -> str:
        """Return the message that carries this audio of the visitor's."""
        ...

    def arrived(self, message: str | bytes) -> list[Step]:
        """Take a message of the server's; returns what follows, the message itself in it."""
        ...

    def commanded(self, text: str) -> list[Step]:
        """Take a command that is meant for the server; returns what takes its place."""
        ...

    def block(self, now: float) -> tuple[NDArray[np.int16], list[Step]]:
        """Return the next 20 ms, shape (rate / 50,), and what is to be told; called every 20 ms.

        Args:
            now: The pipeline's time (s).
        """
        ...


class Dialect(Protocol):
    """All that is spoken with one sort of server: what a stage has made for each of its calls.

    Args:
        options: The stage's.
        account: Whose server, with which key.
        log: The stage's.
    """

    server_events: ClassVar[tuple[type[ServerEvent], ...]]
    """The server's vocabulary, a class for each event, as `Stage.publishes` wants it."""
    data_channel: ClassVar[str]
    """Label of the data channel that carries the events of a call over WebRTC."""

    def __init__(self, options: RealtimeOptions, account: Account, log: Logger) -> None: ...

    @staticmethod
    def examine(options: RealtimeOptions) -> Iterable[Examined]:
        """Return what is wrong with the options that only the dialect understands; see `Stage`."""
        ...

    @staticmethod
    def session_change(options: RealtimeOptions, to: RealtimeOptions) -> Mapping[str, Any] | None:
        """Return what turns the session of the one into that of the other, as `update` takes it.

        None: a session that stands cannot be changed so; that of another call can.
        """
        ...

    def conversation(self) -> Conversation:
        """Return what is said in a new call."""
        ...

    def signaling(self) -> Signaling:
        """Return how a new call is placed."""
        ...

    def media_server(self, loudspeaker: LoudspeakerPosition) -> MediaServer:
        """Return the playout of a new call over a WebSocket.

        Args:
            loudspeaker: Knows how much of what was handed out has been heard.
        """
        ...

    def history(self) -> History:
        """Return a memory for all calls of a stage, as long as the options want it."""
        ...

    def update(self, session: Mapping[str, Any]) -> None:
        """Ask for this too in the sessions of later calls."""
        ...

    def change(self, options: RealtimeOptions) -> None:
        """Ask for what these options say in later calls."""
        ...
