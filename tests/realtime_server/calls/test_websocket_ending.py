"""What ends a session on a WebSocket, and what does not."""

from __future__ import annotations

import base64

import aiohttp
import openai
import pytest
from websockets.exceptions import ConnectionClosed

from realtime_server.calls.listener import KEY, Listener
from rtpipe_realtime_server.server import RealtimeServer


async def test_an_expired_session_is_closed_with_its_reason(
    server: RealtimeServer, client: openai.AsyncOpenAI
) -> None:
    server._calls._lifetime_s = 0.05
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        error = await listener.until("error")
        assert error["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv_bytes()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert closed.value.rcvd.reason == "Your session hit the maximum duration of 60 minutes."


async def test_closing_the_server_closes_its_sockets(
    server: RealtimeServer, client: openai.AsyncOpenAI
) -> None:
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await Listener(connection).until("session.created")
        await server.close()
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv_bytes()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_no_message_ends_the_session(server: RealtimeServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{server.base_url}/realtime", max_msg_size=0) as ws,
    ):
        assert (await ws.receive_json())["type"] == "session.created"
        for message in ("{", "[]", "\0", b"\xff\x00"):
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
            assert (await ws.receive_json())["error"]["code"] == "invalid_event"
        audio = base64.b64encode(bytes(5_000_000)).decode()
        await ws.send_json({"type": "input_audio_buffer.append", "audio": audio})
        await ws.send_json({"type": "input_audio_buffer.commit"})
        assert (await ws.receive_json())["type"] == "input_audio_buffer.committed"
