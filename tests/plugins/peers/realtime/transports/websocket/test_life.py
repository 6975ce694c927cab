"""How a call over a WebSocket lives and ends, in virtual time, over a socket that is a script."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType

from rtpipe import Clock, NotConnected
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.dialects.dialect import SocketRequest
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import RealtimeMediaServer
from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
from rtpipe_plugins.peers.realtime.transports.websocket.transport import WebSocketTransport

LOG = logging.getLogger("rtpipe.stage.realtime")


class Socket:
    """Says nothing of its own; answers pings while it is `alive`."""

    closed = False
    close_code = None

    def __init__(self) -> None:
        self.alive = True
        self.broken = False
        self._waiting: asyncio.Queue[WSMessage] = asyncio.Queue()

    async def receive(self) -> WSMessage:
        return await self._waiting.get()

    async def ping(self) -> None:
        if self.alive:
            self._waiting.put_nowait(WSMessage(WSMsgType.PONG, b"", None))

    async def send_str(self, _: str) -> None:
        if self.broken:
            raise ConnectionResetError

    async def close(self) -> None:
        self.closed = True


class Opener:
    """Has one socket to give."""

    server_time_s = None

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def open(self, *_: object) -> Socket:
        return self._socket

    async def close(self) -> None:
        await self._socket.close()


class Key:
    """Needs none."""

    async def socket(self) -> SocketRequest:
        return SocketRequest("http://127.0.0.1:9", {})


def called(socket: Socket, test: Any, **options: Any) -> None:
    """Run `test(call)` in virtual time, in a call over `socket`."""

    async def run() -> None:
        opener: Any = Opener(socket)
        key: Any = Key()
        call = WebSocketTransport(
            opener,
            key,
            RealtimeMediaServer(LoudspeakerPosition(), LOG),
            lambda _: None,
            clock=Clock(),
            log=LOG,
            **options,
        )
        await call.connect()
        await test(call)
        await call.close()

    run_virtual(run())


def test_a_server_that_is_only_silent_lives_until_it_does_not_answer() -> None:
    socket = Socket()

    async def test(call: WebSocketTransport) -> None:
        await asyncio.sleep(600)
        assert not call.lost.done()
        socket.alive = False
        await asyncio.sleep(8)
        assert not call.lost.done(), "it is busy"
        await asyncio.sleep(4)
        assert "nothing has come from the server for 10." in str(call.lost.result())

    called(socket, test)


def test_a_server_that_was_busy_for_eight_seconds_lives_on() -> None:
    socket = Socket()

    async def test(call: WebSocketTransport) -> None:
        for _ in range(5):
            socket.alive = False
            await asyncio.sleep(8)
            socket.alive = True
            await asyncio.sleep(3)
        assert not call.lost.done()

    called(socket, test)


def test_whoever_does_not_want_to_wait_says_so() -> None:
    socket = Socket()

    async def test(call: WebSocketTransport) -> None:
        await asyncio.sleep(60)
        socket.alive = False
        await asyncio.sleep(3.1)
        assert "nothing has come from the server for 2." in str(call.lost.result())

    called(socket, test, dead_after_s=2.0)


def test_a_call_that_is_lost_is_hung_up_all_the_same() -> None:
    socket = Socket()

    async def test(call: WebSocketTransport) -> None:
        socket.alive = False
        await asyncio.sleep(20)
        assert call.lost.done()
        await call.hang_up()
        assert socket.closed

    called(socket, test)


def test_a_connection_that_breaks_is_a_call_that_is_lost() -> None:
    socket = Socket()

    async def test(call: WebSocketTransport) -> None:
        socket.broken = True
        call.transmit('{"type": "response.create"}')
        await asyncio.sleep(1)
        assert isinstance(call.lost.result(), NotConnected)

    called(socket, test)


def test_what_cannot_be_sent_ends_the_call() -> None:
    socket = Socket()

    async def test(call: WebSocketTransport) -> None:
        socket.closed = True
        with pytest.raises(NotConnected):
            call.transmit('{"type": "response.create"}')
        assert isinstance(call.lost.result(), NotConnected)

    called(socket, test)
