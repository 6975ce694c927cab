"""The server's limits, each over real sockets: its error, and that what was taken is given back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from realtime_server.calls.test_http import OFFER, SDP, post
from realtime_server.fake_brain import FakeBrain
from rtpipe import ConfigError
from rtpipe.field_types import description
from rtpipe_realtime_server.calls import doorway
from rtpipe_realtime_server.limits import Limits, limits_from_flags
from rtpipe_realtime_server.server import RealtimeServer

Serve = Callable[..., Any]
KEY = "sk-anything"
HEADERS = {"Authorization": f"Bearer {KEY}"}
TIMEOUT_S = 30


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
async def serve(notes: list[str]) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def serve(**limits: Any) -> RealtimeServer:
            server = RealtimeServer(FakeBrain(), limits=Limits(**limits), on_note=notes.append)
            await server.start()
            stack.push_async_callback(server.close)
            return server

        yield serve


async def connect(server: RealtimeServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    port = int(server.base_url.split(":")[2].split("/")[0])
    return await asyncio.open_connection("127.0.0.1", port)


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    """Read an answer to the end of its connection."""
    async with asyncio.timeout(TIMEOUT_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


def ws_url(server: RealtimeServer) -> str:
    return server.base_url + "/realtime?model=gpt-realtime"


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not holds():  # noqa: ASYNC110 - of another's state there is no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("begun", [b"", b"POST /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
async def test_who_does_not_send_a_header_is_sent_away(serve: Serve, begun: bytes) -> None:
    server = await serve(request_s=0.2)
    reader, writer = await connect(server)
    writer.write(begun)
    dripping = asyncio.create_task(_drip(writer)) if begun else None
    status, error = await answer(reader)
    assert (status, error["code"]) == (408, "request_timeout")
    if dripping:
        dripping.cancel()
    writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:  # slow loris: a little at a time, for ever
        writer.write(b"X-A: b\r\n")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("path", ["calls", "client_secrets"])
async def test_who_does_not_send_the_body_is_sent_away(serve: Serve, path: str) -> None:
    server = await serve(request_s=0.2)
    reader, writer = await connect(server)
    writer.write(
        f"POST /v1/realtime/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 1000\r\n\r\nv=0".encode()
    )
    async with asyncio.timeout(TIMEOUT_S):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_who_sends_a_request_in_time_is_not_timed_any_more(serve: Serve) -> None:
    server = await serve(request_s=0.2)
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.ws_connect(ws_url(server)) as ws,
    ):
        await ws.receive_json()
        reader, writer = await connect(server)
        assert (await answer(reader))[0] == 408  # so much time has passed
        writer.close()
        await ws.send_json({"type": "input_audio_buffer.clear"})
        assert (await ws.receive_json())["type"] == "input_audio_buffer.cleared"


async def test_one_connection_too_many_is_told_so(serve: Serve, notes: list[str]) -> None:
    server = await serve(connections=2)
    held = [await connect(server) for _ in range(2)]
    for _ in range(3):
        reader, writer = await connect(server)
        writer.write(b"GET /v1/realtime HTTP/1.1\r\n\r\n")
        status, error = await answer(reader)
        assert (status, error["code"]) == (503, "too_many_connections")
        writer.close()
    assert notes == ["2 connections: more are refused (limit `connections`)"]
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await until(lambda: not server._runner.server.connections)  # type: ignore[union-attr]
    assert (await post(server, "/realtime/client_secrets", key=KEY))[0] == 200


async def test_refused_connections_are_bounded_too(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorway, "_MOST_REFUSED", 1)
    server = await serve(connections=1)
    held = [await connect(server) for _ in range(2)]
    await asyncio.wait_for(held[1][0].readline(), TIMEOUT_S)  # it is refused, and still there
    reader, writer = await connect(server)
    assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""
    for each in (*held, (reader, writer)):
        each[1].close()


async def test_sessions_are_counted_over_calls_and_sockets(serve: Serve) -> None:
    server = await serve(sessions=2)
    status, _, headers = await post(server, "/realtime/calls", key=KEY, data=OFFER, headers=SDP)
    assert status == 201
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        async with http.ws_connect(ws_url(server)) as ws:
            await ws.receive_json()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await http.ws_connect(ws_url(server))
            assert refusal.value.status == 503
            status, body, told = await post(
                server, "/realtime/calls", key=KEY, data=OFFER, headers=SDP
            )
            assert (status, body["error"]["code"]) == (503, "session_limit_reached")
            assert told["Retry-After"] == "5"
        path = headers["Location"].removeprefix("/v1") + "/hangup"
        assert (await post(server, path, key=KEY))[0] == 200
        for _ in range(2):
            assert (await post(server, "/realtime/calls", key=KEY, data=OFFER, headers=SDP))[
                0
            ] == 201
    assert server._calls._places == 2


async def test_refused_offers_and_upgrades_take_no_place(serve: Serve) -> None:
    server = await serve(sessions=1)
    for _ in range(3):
        assert (await post(server, "/realtime/calls", key=KEY, data="v=0", headers=SDP))[0] == 400
        assert (await post(server, "/realtime?model=m", key=KEY, method="GET"))[0] == 400
    assert (await post(server, "/realtime/calls", key=KEY, data=OFFER, headers=SDP))[0] == 201


async def test_ephemeral_keys_are_bounded(serve: Serve) -> None:
    server = await serve(client_secrets=2)
    answers = [await post(server, "/realtime/client_secrets", key=KEY) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert answers[2][1]["error"]["code"] == "client_secret_limit_reached"
    assert answers[2][2]["Retry-After"] == "5"


async def test_a_message_that_is_too_long_ends_the_session(serve: Serve) -> None:
    server = await serve()
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.ws_connect(ws_url(server)) as ws,
    ):
        await ws.receive_json()
        with suppress(ConnectionError):  # the server closes at the frame's header
            await ws.send_str("x" * (25 * 1024 * 1024))
        assert (await ws.receive()).type is not aiohttp.WSMsgType.TEXT
    await until(lambda: server._calls._places == 0)


async def test_what_is_no_http_is_refused_without_a_traceback(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"X: y\r\n\r\n"):
        reader, writer = await connect(server)
        writer.write(nonsense)
        async with asyncio.timeout(TIMEOUT_S):
            assert b" 400 " in await reader.readline()
        writer.close()
    assert caplog.records == []


def test_limits_are_given_one_by_one() -> None:
    limits = limits_from_flags(["sessions=4", "session_mb=0.5"])
    assert limits.model_dump(exclude_defaults=True) == {"sessions": 4, "session_mb": 0.5}
    assert limits.session_bytes == 500_000
    assert limits_from_flags([]) == Limits()


def test_the_page_explains_every_limit() -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "test-a-realtime-client.md"
    rows = [
        f"| `{name}` | {field.default:g} | {' '.join(description(Limits, name).split())} |"
        for name, field in Limits.model_fields.items()
    ]
    assert [row for row in rows if row not in page.read_text()] == []


@pytest.mark.parametrize(
    ("flag", "help"),
    [
        ("sesions=4", "did you mean `sessions`?"),
        ("sessions=0", "it takes a whole number, 1 or more"),
        ("sessions", "it takes a whole number, 1 or more"),
    ],
)
def test_a_mistake_in_a_limit_is_told_with_its_remedy(flag: str, help: str) -> None:
    with pytest.raises(ConfigError) as problem:
        limits_from_flags([flag])
    assert help in str(problem.value.diagnostics[0].help)
