"""The sideband of a call: a WebSocket that hears and steers it."""

from __future__ import annotations

import openai
import pytest
from websockets.exceptions import ConnectionClosed

from realtime_server.caller import Caller
from realtime_server.calls.listener import KEY, Listener
from rtpipe_realtime_server.server import RealtimeServer


@pytest.mark.slow
async def test_a_sideband_hears_and_steers_a_call(
    client: openai.AsyncOpenAI, server: RealtimeServer
) -> None:
    async with Caller(server.base_url, key=KEY) as caller:
        await caller.call()
        await caller.until("session.created")
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            listener = Listener(connection, media=True)
            await connection.session.update(session={"type": "realtime", "instructions": "Hi."})
            await listener.until("session.updated")
            assert (await caller.until("session.updated"))["session"]["instructions"] == "Hi."
            await connection.response.create()
            await listener.until("output_audio_buffer.stopped")
            assert "session.created" not in listener.kinds()
            both = [event["event_id"] for event in caller.events[1:]]
            assert [event["event_id"] for event in listener.events] == both
        caller.send("response.create")
        await caller.until("response.done", 2)
        assert len(server._calls.find(caller.call_id).driver._connections) == 1, (
            "the sideband has left"
        )
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            assert await caller.hang_up() == 200
            with pytest.raises(ConnectionClosed):
                await connection.recv_bytes()


@pytest.mark.slow
async def test_a_sideband_steers_a_call_without_a_channel(
    client: openai.AsyncOpenAI, server: RealtimeServer
) -> None:
    async with Caller(server.base_url, key=KEY, channel=False) as caller:
        await caller.call()
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            listener = Listener(connection, media=True)
            await listener.until("session.created")
            await connection.response.create()
            await listener.until("output_audio_buffer.stopped")
        await caller.until_heard(loud=False, count=5)
        assert len(caller.loud_at) > 30
