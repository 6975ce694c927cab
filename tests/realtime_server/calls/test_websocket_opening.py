"""How a session on a WebSocket is opened: keys, intents, refusals before the upgrade."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import aiohttp
import openai
import pytest
from websockets.exceptions import InvalidStatus

from realtime_server.calls.listener import KEY, Listener
from realtime_server.judge import judge
from rtpipe_realtime_server.calls import keys
from rtpipe_realtime_server.server import RealtimeServer


async def test_an_ephemeral_key_opens_its_own_session(
    client: openai.AsyncOpenAI, server: RealtimeServer
) -> None:
    secret = await client.realtime.client_secrets.create(
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
    )
    async with (
        openai.AsyncOpenAI(
            api_key=secret.value, websocket_base_url=server.base_url.replace("http", "ws")
        ) as holder,
        holder.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        created = await Listener(connection).until("session.created")
    assert created["session"]["instructions"] == "Be brief."
    assert created["session"]["model"] == "gpt-realtime"


async def test_a_session_outlives_its_key(
    client: openai.AsyncOpenAI, server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 10}
    )
    headers = {"Authorization": f"Bearer {secret.value}"}
    url = f"{server.base_url}/realtime"
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(url) as ws:
        assert (await ws.receive_json())["type"] == "session.created"
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 11)
        monkeypatch.setattr(keys, "time", later)
        async with http.get(url) as refusal:
            assert refusal.status == 401
        await ws.send_json({"type": "session.update", "session": {"type": "realtime"}})
        assert (await ws.receive_json())["type"] == "session.updated"


async def test_a_transcription_session_is_asked_for_by_its_intent(server: RealtimeServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{server.base_url}/realtime?intent=transcription"
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(url) as ws:
        created = await ws.receive_json()
    judge(created, media=False)
    assert created["session"]["object"] == "realtime.transcription_session"


async def test_a_browser_names_its_key_among_the_subprotocols(server: RealtimeServer) -> None:
    protocols = ("realtime", f"openai-insecure-api-key.{KEY}")
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.base_url}/realtime", protocols=protocols) as ws,
    ):
        assert ws.protocol == "realtime"
        assert (await ws.receive_json())["type"] == "session.created"


@pytest.mark.parametrize(
    ("key", "query", "status", "code"),
    [
        ("sk-wrong", {}, 401, "invalid_api_key"),
        ("ek_wrong", {}, 401, "invalid_api_key"),
        (KEY, {"call_id": "rtc_none"}, 404, "call_id_not_found"),
    ],
)
async def test_what_is_wrong_is_said_before_the_upgrade(
    server: RealtimeServer, key: str, query: dict[str, str], status: int, code: str
) -> None:
    async with openai.AsyncOpenAI(
        api_key=key, websocket_base_url=server.base_url.replace("http", "ws")
    ) as stranger:
        with pytest.raises(InvalidStatus) as refusal:
            await stranger.realtime.connect(extra_query=query).enter()
    assert refusal.value.response.status_code == status
    assert json.loads(refusal.value.response.body or b"")["error"]["code"] == code


async def test_a_get_that_is_no_upgrade_is_refused(server: RealtimeServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{server.base_url}/realtime") as response,
    ):
        assert response.status == 400
        assert "no upgrade" in (await response.json())["error"]["message"]
