"""A call over WebRTC: one audio section both ways and one data channel, by aiortc.

Imports aiortc; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from rtpipe import NotConnected, StageError
from rtpipe_plugins.realtime.tracks import IncomingAudio, OutgoingTrack, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from logging import Logger

    from aiortc.mediastreams import MediaStreamTrack

    from rtpipe_plugins.realtime.dialect import Answer
    from rtpipe_plugins.realtime.options import IceServer

_WATCH_S = 1.0
_SILENT_WATCHES = 5
_CHANNEL_LIMIT_HELP = "send less: the far end takes no larger event"


class Call:
    """One call; made, used once, closed.

    Nothing that goes wrong is raised in aiortc's callbacks, which would swallow it or die of it:
    it ends the call, and `lost` says why.

    Args:
        clock: Paces what is sent.
        channel_label: Name of the data channel.
        ice_servers: STUN and TURN servers.
        on_message: Called with each message of the far end's.
        log: The stage's.
    """

    def __init__(
        self,
        clock: Pace,
        channel_label: str,
        ice_servers: list[IceServer],
        on_message: Callable[[str | bytes], None],
        log: Logger,
    ) -> None:
        servers = [_ice_server(server) for server in ice_servers]
        # Without a list aiortc asks Google's STUN server, which costs 5 s where it is unreachable.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._on_message = on_message
        self._log = log
        self._opened = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """Why the call ended, when it has."""
        self.outgoing = OutgoingTrack(clock, self.lose)
        self.incoming = IncomingAudio(clock, log)
        self._connection.on("track", self._on_track)
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.addTrack(self.outgoing)
        self._channel: RTCDataChannel = self._connection.createDataChannel(channel_label)
        self._channel.on("open", self._opened.set)
        self._channel.on("message", self._on_text)
        self._channel.on("close", self._on_channel_closed)

    async def offer(self) -> str:
        """Return our half of the connection, all candidates in it."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp

    async def accept(self, answer: Answer) -> None:
        """Take the far end's half.

        Raises:
            StageError: It cannot be used.
        """
        description = RTCSessionDescription(sdp=answer.sdp, type="answer")
        try:
            await self._connection.setRemoteDescription(description)
        except Exception as error:
            # aiortc lets through whatever its parser meets: five unrelated types have been seen.
            raise StageError(
                f"the server's answer cannot be used: {type(error).__name__} {error}"[:300]
            ) from error

    async def opened(self) -> None:
        """Wait until events can be sent.

        Raises:
            NotConnected: The call ended before.
        """
        await self.wait(self._opened)
        self._spawn(self._watch())

    async def wait(self, event: asyncio.Event) -> None:
        """Wait for `event`; raises why the call ended if that comes first."""
        waiting = asyncio.ensure_future(event.wait())
        either: list[asyncio.Future[Any]] = [waiting, self.lost]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self.lost.done():
            raise self.lost.result()

    def transmit(self, text: str) -> None:
        """Send an event.

        Raises:
            NotConnected: The call is not up.
            StageError: The event is larger than the far end takes.
        """
        try:
            self._channel.send(text)
        except InvalidStateError as error:
            raise NotConnected("the event channel is not open") from error
        except ValueError as error:
            raise StageError(str(error), help=_CHANNEL_LIMIT_HELP) from error

    def lose(self, why: BaseException) -> None:
        """End the call; the first reason counts."""
        if not self.lost.done() and not self._closing:
            self.lost.set_result(why)

    async def close(self) -> None:
        """Let go of the connection, its tasks and its threads; may be called again."""
        self._closing = True
        self.outgoing.stop()
        await self._connection.close()
        self.incoming.received.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.lose(error)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._spawn(self._pump(track))

    async def _pump(self, track: MediaStreamTrack) -> None:
        await self.incoming.pump(track)
        self.lose(NotConnected("the server has ended its audio"))

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state in {"failed", "closed"}:
            self.lose(NotConnected(f"the connection is {state}"))

    def _on_channel_closed(self) -> None:
        self.lose(NotConnected("the server has closed the event channel"))

    def _on_text(self, message: str | bytes) -> None:
        try:
            self._on_message(message)
        except Exception as error:  # noqa: BLE001 - nothing of ours may vanish in aiortc
            self._log.debug("in an event of the server's", exc_info=True)
            self.lose(error)

    async def _watch(self) -> None:
        """Notice a far end that has died without a word, which ICE takes half a minute to do.

        Anything counts that arrives, so a server may be silent: it still sends RTCP.
        """
        seen, silent = 0, 0
        while silent < _SILENT_WATCHES:
            await asyncio.sleep(_WATCH_S)
            report = await self._connection.getStats()
            received = sum(
                stats.packetsReceived for stats in report.values() if stats.type == "transport"
            )
            silent = silent + 1 if received == seen else 0
            seen = received
        self.lose(NotConnected(f"nothing has come from the server for {_SILENT_WATCHES} s"))


def _ice_server(server: IceServer) -> RTCIceServer:
    credential = server.credential
    return RTCIceServer(
        urls=server.urls,
        username=server.username,
        credential=credential.get_secret_value() if credential else None,
    )
