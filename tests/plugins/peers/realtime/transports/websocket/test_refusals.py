"""Refusals after the upgrade: an error event or a close, from servers that say it in their way."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from helpers.fake_clock import FakeClock
from plugins.peers.realtime.visiting import Visit
from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.peers.realtime.errors import CallRefused
from rtpipe_plugins.peers.realtime.transports.websocket.audio import OutgoingAudio

Script = Callable[[web.WebSocketResponse], Awaitable[Any]]


class Server:
    """Does in each call what the test says, then takes what comes until the call ends."""

    def __init__(self) -> None:
        self.calls = 0
        self.base_url = ""
        self.begin: Script = welcome
        self.when_told: Script = welcome
        """What it does when it is asked for an answer."""

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        self.calls += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.begin(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            command = json.loads(message.data)
            if command["type"] == "session.update":
                await socket.send_json({"type": "session.updated", "session": command["session"]})
            elif command["type"] == "response.create":
                await self.when_told(socket)
        return socket


async def welcome(socket: web.WebSocketResponse) -> None:
    await socket.send_json({"type": "session.created", "session": {"type": "realtime"}})


def closing(code: int, reason: str) -> Script:
    async def close(socket: web.WebSocketResponse) -> None:
        await socket.close(code=code, message=reason.encode())

    return close


def reporting(**error: Any) -> Script:
    async def report(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"type": "error", "event_id": "event_1", "error": error})

    return report


@pytest.fixture
async def server() -> Any:
    far_end = Server()
    app = web.Application()
    app.router.add_get("/v1/realtime", far_end.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far_end.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield far_end
    await runner.cleanup()


@pytest.fixture
def visit(server: Server, ctx: Any, patient_link: Any) -> Any:
    def make(**options: Any) -> Visit:
        return Visit(server, ctx, patient_link, **{"transport": "websocket"} | options)

    return make


REFUSALS = [
    (closing(4000, "invalid_request_error.invalid_model"), "invalid_model", 78),
    (closing(3000, "invalid_request_error.invalid_api_key"), "invalid_api_key", 77),
    (closing(1008, "Model must be gpt-live-1"), r"\(1008: Model must be gpt-live-1\)", 78),
    (closing(1008, '{"error": {"message": "Unknown API key"}}'), "Unknown API key", 77),
    (reporting(type="authentication_error", message="Who are you?"), "Who are you", 77),
    (reporting(code="model_not_found", message="No such model"), "No such model", 78),
    (reporting(code="insufficient_quota", message="Nothing left"), "Nothing left", 75),
]


@pytest.mark.parametrize(("refuse", "words", "exit_code"), REFUSALS, ids=range(len(REFUSALS)))
async def test_a_refusal_in_place_of_the_session_ends_at_once(
    server: Server, visit: Any, refuse: Script, words: str, exit_code: int
) -> None:
    server.begin = refuse
    async with visit() as call:
        with pytest.raises(CallRefused, match=words) as raised:
            await call.stage.open()
    assert not isinstance(raised.value, EnvironmentProblem)  # which a fallback would hide
    assert raised.value.exit_code == exit_code
    assert server.calls == 1


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        (closing(1008, "The API key is invalid: unauthorized"), "unauthorized"),
        (closing(4403, "blocked"), "blocked"),
        (reporting(code="account_deactivated", message="It is closed"), "It is closed"),
    ],
)
async def test_a_refusal_in_a_conversation_ends_it_and_is_no_outage(
    server: Server, visit: Any, published: Any, refuse: Script, words: str
) -> None:
    server.when_told = refuse
    async with visit() as call:
        await call.begin()
        call.stage.say("Hello")
        with pytest.raises(CallRefused, match=words):
            await call.over()
    (lost,) = published.of("realtime.disconnected")
    assert words in lost.reason
    assert not published.of("realtime.reconnecting")
    assert server.calls == 1


@pytest.mark.parametrize("code", [1008, 1011])  # 1008: a policy, about what was said
async def test_a_close_that_passes_is_an_outage_whose_reason_is_told(
    server: Server, visit: Any, published: Any, code: int
) -> None:
    server.when_told = closing(code, "The server\nhad an error")
    async with visit(reconnect={"initial_s": 0.01}) as call:
        await call.begin()
        call.stage.say("Hello")
        again = await published.wait_for("realtime.reconnecting")
        await published.wait_for("realtime.connected", 2)
    told = f"the server has closed the WebSocket ({code}: The server had an error)"
    assert published.of("realtime.disconnected")[0].reason == told
    assert again.reason == told


async def test_a_server_that_has_no_time_is_asked_again_and_then_quoted(
    server: Server, visit: Any
) -> None:
    server.begin = closing(1013, "All 1 session slots are in use")
    backoff = {"initial_s": 0.05, "max_s": 0.05}
    async with visit(connect_timeout_s=1.5, reconnect=backoff) as call:
        with pytest.raises(EnvironmentProblem, match="1013: All 1 session slots are") as raised:
            await call.stage.open()
    assert raised.value.exit_code is ExitCode.UNAVAILABLE
    assert server.calls > 1


async def test_json_in_binary_messages_is_heard(server: Server, visit: Any) -> None:
    async def in_binary(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\xff\xfe no text")
        await socket.send_bytes(b'{"type": "session.created", "session": {"type": "realtime"}}')

    server.begin = in_binary
    async with visit() as call:
        await call.stage.open()


def test_no_audio_is_sent_before_the_session_stands(patient_link: Any) -> None:
    """A server that has not been told the format would answer each piece with an error."""
    outgoing = OutgoingAudio(FakeClock(), 24_000)
    assert list(outgoing.chunks()) == []
    outgoing.attach(patient_link)
    assert [ms for _ in range(3) for _, ms in outgoing.chunks()]
