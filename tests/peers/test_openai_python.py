"""OpenAI's own client for Python against our server: HTTP, WebSocket and the sideband of a call.

Its parsing is lenient, so every event that it receives is judged again.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import openai
import pytest
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from pydantic import ValidationError

from peers.clerk import TOOL, Clerk
from peers.mutations import ANSWERS, EVENTS, break_answers, break_events
from peers.order import judge_order
from realtime_server.caller import Caller
from realtime_server.fake_brain import ANSWER
from realtime_server.judge import judge
from realtime_server.sounds import babble, level, pcm
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.server import RealtimeServer

pytestmark = pytest.mark.slow

KEY = "sk-right"
RATE = 24_000
SESSION: Any = {"type": "realtime", "model": "gpt-realtime-2.1"}
TOOLS = [
    {
        "type": "function",
        "name": TOOL,
        "description": "Tells when the museum is open.",
        "parameters": {"type": "object", "properties": {}},
    }
]
TIMEOUT_S = 20.0
Judge = Callable[[str], Awaitable[None]]
"""Uses the server at a base URL and raises where it is not OpenAI's."""


@asynccontextmanager
async def serving(faults: Faults | None = None) -> AsyncIterator[str]:
    server = RealtimeServer(Clerk(seconds=0.3), api_key=KEY, faults=faults)
    await server.start()
    try:
        yield server.base_url
    finally:
        await server.close()


def client_of(base_url: str, key: str = KEY) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0)


async def offer_to(base_url: str) -> str:
    async with Caller(base_url) as caller:
        return await caller.offer()


async def secrets(base_url: str) -> None:
    async with client_of(base_url) as client:
        created = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60}, session=SESSION
        )
        assert created.value.startswith("ek_")
        assert isinstance(created.session, RealtimeSessionCreateResponse)
        raw = created.session.to_json()
        RealtimeSessionCreateResponse.model_validate_json(raw, strict=True)


async def calls(base_url: str) -> None:
    offer = await offer_to(base_url)
    async with client_of(base_url) as client:
        api = client.realtime.calls
        for session in (openai.omit, SESSION):  # raw SDP, and multipart
            answer = await api.with_raw_response.create(sdp=offer, session=session)
            assert answer.http_response.status_code == 201
            assert answer.http_response.text.startswith("v=0\r\n")
            path, _, call_id = answer.headers["location"].rpartition("/")
            assert (path, call_id[:4]) == ("/v1/realtime/calls", "rtc_")
            ended = await api.with_raw_response.hangup(call_id)
            assert (ended.http_response.status_code, ended.http_response.content) == (200, b"")
            with pytest.raises(openai.NotFoundError):
                await api.hangup(call_id)


async def refusals(base_url: str) -> None:
    async with client_of(base_url, "sk-wrong") as client:
        with pytest.raises(openai.AuthenticationError) as wrong_key:
            await client.realtime.calls.create(sdp="v=0")
    assert wrong_key.value.code == "invalid_api_key"
    async with client_of(base_url) as client:
        with pytest.raises(openai.BadRequestError) as wrong_offer:
            await client.realtime.calls.create(sdp="hello")
        assert wrong_offer.value.code == "invalid_offer"
        with pytest.raises(openai.BadRequestError) as wrong_value:
            await client.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 9}
            )
        assert wrong_value.value.param == "expires_after.seconds"
        with pytest.raises(openai.NotFoundError) as unknown:
            await client.realtime.calls.hangup("rtc_unknown")
        assert unknown.value.type == "invalid_request_error"


class Conversation:
    """A connection's events, judged as they come."""

    def __init__(self, connection: AsyncRealtimeConnection, *, media: bool) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._media = media

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                event: dict[str, Any] = json.loads(await self.connection.recv_bytes())
                judge(event, media=self._media)
                self.events.append(event)
                assert event["type"] != "error", event
                if event["type"] == kind:
                    return event

    async def ask_and_lend_a_tool(self) -> None:
        """A written question, a function call, and the answer to what the function returned."""
        item = self.connection.conversation.item
        content: Any = [{"type": "input_text", "text": "When do you open?"}]
        await item.create(item={"type": "message", "role": "user", "content": content})
        await self.connection.response.create()
        asked = await self.until("response.function_call_arguments.done")
        call = (await self.until("response.done"))["response"]["output"][0]
        assert call["call_id"] == asked["call_id"]
        call_id = call["call_id"]
        await item.create(
            item={"type": "function_call_output", "call_id": call_id, "output": "Noon."}
        )
        await self.connection.response.create()
        answer = (await self.until("response.done"))["response"]["output"][0]
        assert answer["content"][0]["transcript"] == f"{ANSWER} Noon."


async def websocket(base_url: str) -> None:
    async with (
        client_of(base_url) as client,
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        talk = Conversation(connection, media=False)
        await talk.until("session.created")
        hearing: Any = {"transcription": {"model": "whisper-1"}}
        await connection.session.update(
            session={"type": "realtime", "tools": TOOLS, "audio": {"input": hearing}}  # type: ignore[typeddict-item]
        )
        assert (await talk.until("session.updated"))["session"]["tools"] == TOOLS
        await talk.ask_and_lend_a_tool()
        spoken = np.concatenate([pcm(level(babble(1.0, RATE), -20)), np.zeros(RATE, np.int16)])
        for part in np.array_split(spoken, 10):
            audio = base64.b64encode(part.astype("<i2").tobytes()).decode()
            await connection.input_audio_buffer.append(audio=audio)
        await talk.until("input_audio_buffer.committed")
        await talk.until("response.done")
        await talk.until("rate_limits.updated")
        judge_order(talk.events, updates=1)


async def sideband(base_url: str) -> None:
    async with Caller(base_url, key=KEY) as caller, client_of(base_url) as client:
        await caller.call(tools=TOOLS)
        await caller.until("session.created")
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            talk = Conversation(connection, media=True)
            await talk.ask_and_lend_a_tool()
            await talk.until("output_audio_buffer.stopped")
            await caller.until("output_audio_buffer.stopped")
            judge_order(talk.events)
            assert talk.events == caller.events[1:], "all but session.created"


JUDGES: dict[str, Judge] = {
    judge.__name__: judge for judge in (secrets, calls, refusals, websocket, sideband)
}


@pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
async def test_the_client_works(judge: Judge) -> None:
    async with serving() as base_url:
        await judge(base_url)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("http_429", openai.RateLimitError), ("http_500", openai.InternalServerError)],
)
async def test_a_bad_day_is_told_in_the_clients_own_errors(
    fault: str, error: type[openai.APIStatusError]
) -> None:
    async with serving(Faults(**{fault: 1})) as base_url:
        offer = await offer_to(base_url)
        async with client_of(base_url) as client:
            with pytest.raises(error) as refusal:
                await client.realtime.calls.create(sdp=offer)
            body: Any = refusal.value.body
            assert body.keys() == {"message", "type", "param", "code"}
            await client.realtime.calls.create(sdp=offer)


@pytest.mark.parametrize(
    ("judge", "mutation"),
    [
        (calls, "a call is 200"),
        (calls, "a hang-up is 202"),
        (calls, "no Location"),
        (calls, "a call is never unknown"),
        (refusals, "an error without its envelope"),
        (refusals, "every error is 400"),
    ],
)
async def test_wrong_answers_are_noticed(
    judge: Judge, mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_answers(monkeypatch, ANSWERS[mutation])
    with pytest.raises((AssertionError, KeyError, openai.OpenAIError, pytest.fail.Exception)):
        await test_the_client_works(judge)


@pytest.mark.parametrize(
    ("judge", "mutation"),
    [
        (websocket, "no response_id"),
        (websocket, "no usage"),
        (websocket, "beta names"),
        (websocket, "no response.created"),
        (websocket, "the same id always"),
        (websocket, "a delta is lost"),
        (websocket, "an item never ends"),
        (websocket, "another call's arguments"),
        (sideband, "a part is output_audio"),
        (sideband, "the part before its item"),
        (sideband, "another call"),
    ],
)
async def test_wrong_events_are_noticed(
    judge: Judge, mutation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_events(monkeypatch, EVENTS[mutation]())
    with pytest.raises((AssertionError, ValidationError)):
        await test_the_client_works(judge)
