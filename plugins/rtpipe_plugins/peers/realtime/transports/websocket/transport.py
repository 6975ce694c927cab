"""The WebSocket transport: events both ways, the audio in them.

Imports aiohttp; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import WSMsgType

from rtpipe import NotConnected
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.transports.call_tasks import CallTasks
from rtpipe_plugins.peers.realtime.transports.silence import DEAD_AFTER_S, Silence
from rtpipe_plugins.peers.realtime.transports.transport import Placed, text_in
from rtpipe_plugins.peers.realtime.transports.websocket.audio import IncomingAudio, OutgoingAudio
from rtpipe_plugins.peers.realtime.transports.websocket.send_queue import SendQueue
from rtpipe_webrtc.pace import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from logging import Logger

    from rtpipe_plugins.peers.realtime.dialects.dialect import MediaServer, Signaling, Step
    from rtpipe_plugins.peers.realtime.transports.websocket.connection import Connection, Opener
    from rtpipe_webrtc.pace import Pace

_PING_S = 1.0
_HANG_UP_S = 1.5


class WebSocketTransport:
    """One call over a WebSocket; see `Transport`.

    Args:
        opener: Opens the connection.
        signaling: Knows where to.
        media_server: Plays what comes.
        on_message: Called with each message of the server's, and what `media_server` adds to them.
        clock: Paces the audio.
        log: The stage's.
        dead_after_s: For how long nothing may come before the far end is taken for dead (s).
    """

    def __init__(
        self,
        opener: Opener,
        signaling: Signaling,
        media_server: MediaServer,
        on_message: Callable[[str | bytes], None],
        *,
        clock: Pace,
        log: Logger,
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        self._opener = opener
        self._signaling = signaling
        self._on_message = on_message
        self._clock = clock
        self._log = log
        self._media_server = media_server
        self._queue = SendQueue()
        self._waiting = asyncio.Event()
        self._socket: Connection | None = None
        self._tasks = CallTasks(self._failed)
        self._dead_after_s = dead_after_s
        self._received = 0
        self._closing = False
        self.step = ""
        """See `Transport.step`."""
        self.lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """See `Transport.lost`."""
        self.incoming = IncomingAudio(clock, media_server.rate, log)
        """See `Transport.incoming`."""
        self.outgoing = OutgoingAudio(clock, media_server.rate)
        """See `Transport.outgoing`."""

    async def connect(self) -> Placed:
        """See `Transport.connect`."""
        self.step = "asking for a key"
        request = await self._signaling.socket()
        self.step = "waiting for the server to take the WebSocket"
        self._socket = socket = await self._opener.open(request)
        for work in (self._read(socket), self._write(socket), self._watch(socket), self._play()):
            self._tasks.spawn(work)
        return Placed(None, self._opener.server_time_s)

    def transmit(self, text: str) -> None:
        """See `Transport.transmit`."""
        if self._socket is None or self._socket.closed:
            self.lose(NotConnected("the WebSocket is not open"))
            raise NotConnected("the WebSocket is not open")
        self._do(self._media_server.commanded(text))

    async def statistics(self) -> None:
        """See `Transport.statistics`; TCP loses nothing that could be counted."""

    def lose(self, why: BaseException) -> None:
        """See `Transport.lose`."""
        if not self.lost.done() and not self._closing:
            self.lost.set_result(why)

    async def hang_up(self) -> None:
        """See `Transport.hang_up`."""
        self._closing = True
        if self._socket is not None and not self._socket.closed:
            with suppress(TimeoutError):  # where the network takes nothing more
                async with asyncio.timeout(_HANG_UP_S):
                    await self._socket.close()

    async def close(self) -> None:
        """See `Transport.close`."""
        self._closing = True
        self.outgoing.stop()
        self.incoming.received.close()
        await self._tasks.close()
        await self._opener.close()
        if self._media_server.gaps:
            self._log.info("the model's audio came too late %d times", self._media_server.gaps)
        if self._queue.dropped_ms:
            self._log.warning(
                "the network was too slow: %.0f ms of audio were never sent",
                self._queue.dropped_ms,
            )

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, ConnectionError):
            error = NotConnected("the connection to the server is broken")
        self.lose(error)

    def _do(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, Command):
                self._queue.command(step.text())
                self._waiting.set()
            else:
                self._on_message(step)

    async def _read(self, socket: Connection) -> None:
        """Take what the server sends until it ends the call."""
        while True:
            message = await socket.receive()
            self._received += 1
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    self._do(self._media_server.arrived(text_in(message.data)))
                case WSMsgType.PING:
                    await socket.pong(message.data)
                case WSMsgType.PONG:
                    pass
                case _:
                    reason = message.extra if message.type is WSMsgType.CLOSE else None
                    code, stood = socket.close_code, self.outgoing.attached
                    self.lose(self._signaling.closed(code, reason or "", stood=stood))
                    return

    async def _write(self, socket: Connection) -> None:
        """Send what waits, as fast as the network takes it."""
        while True:
            await self._waiting.wait()
            while self._queue:
                await socket.send_str(self._queue.take())
            self._waiting.clear()

    async def _watch(self, socket: Connection) -> None:
        """Notice a server that has died without a word; TCP takes minutes."""
        loop = asyncio.get_running_loop()
        silence, silent_s = Silence(_PING_S), 0.0
        while silent_s < self._dead_after_s:
            with suppress(TimeoutError):  # a ping waits where the network takes nothing more
                async with asyncio.timeout(_PING_S):
                    await socket.ping()
                    await asyncio.Event().wait()
            silent_s = silence.look(loop.time(), self._received)
        self.lose(NotConnected(f"nothing has come from the server for {silent_s:.1f} s"))

    async def _play(self) -> None:
        """Move 20 ms of audio each way, every 20 ms."""
        slots = Slots(self._clock)
        while True:
            slot = await slots.next()
            for pcm, duration_ms in self.outgoing.chunks():
                self._queue.audio(self._media_server.append(pcm), duration_ms)
                self._waiting.set()
            block, steps = self._media_server.block(self._clock.now())
            self._do(steps)
            self.incoming.take(slot, block)
