"""Placing calls with servers that behave, and with servers that do not."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.peers.realtime.account import Account, Mask
from rtpipe_plugins.peers.realtime.dialects.openai.signaling import RealtimeSignaling
from rtpipe_plugins.peers.realtime.errors import CallRefused, CallUnavailable

LOG = logging.getLogger("rtpipe.stage.realtime")
KEY = "sk-canary-0123456789"
OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"
ANSWER = "v=0\r\ns=answer\r\n"
SESSION = {"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Grüß Gott"}


class Server:
    """Answers every request as the test says, and keeps what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[web.Request, bytes]] = []
        self.replies: dict[str, Any] = {}
        self.base_url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request, await request.read()))
        reply = self.replies[request.path]
        return await reply(request) if callable(reply) else reply

    def reply(self, path: str, status: int = 201, text: str = ANSWER, **headers: str) -> None:
        async def respond(_: web.Request) -> web.Response:
            return web.Response(status=status, text=text, headers=headers)

        self.replies[f"/v1/realtime/{path}"] = respond

    def error(self, status: int, message: str, code: str | None) -> None:
        body = {"error": {"message": message, "type": "x", "param": None, "code": code}}
        self.reply("calls", status, json.dumps(body))

    def signaling(self, key: str = KEY, provider: str = "openai", **options: Any) -> Any:
        account = Account(provider, self.base_url, SecretStr(key))
        settings = {"ephemeral": False, "timeout_s": 10.0} | options
        return RealtimeSignaling(account, SESSION, mask=Mask([key]), log=LOG, **settings)


@pytest.fixture
async def server() -> Any:
    far_end = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", far_end.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    far_end.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield far_end
    await runner.cleanup()


async def test_with_an_api_key_the_offer_and_the_session_travel_together(server: Server) -> None:
    server.reply("calls", Location="/v1/realtime/calls/rtc_u0_abc?x=1")
    answer = await server.signaling().place(OFFER)
    assert (answer.sdp, answer.call_id) == (ANSWER, "rtc_u0_abc")
    ((request, body),) = server.requests
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept"] == "application/sdp"
    assert "OpenAI-Beta" not in request.headers
    boundary = request.headers["Content-Type"].removeprefix("multipart/form-data; boundary=")
    first, second = body.split(f"--{boundary}".encode())[1:3]
    for part, name, kind, content in (
        (first, "sdp", "application/sdp", OFFER.encode()),
        (second, "session", "application/json", None),
    ):
        headers, _, value = part.strip(b"\r\n").partition(b"\r\n\r\n")
        lines = set(headers.decode().split("\r\n"))
        assert lines == {f"Content-Type: {kind}", f'Content-Disposition: form-data; name="{name}"'}
        assert value == content.strip() if content else json.loads(value) == SESSION


async def test_with_an_ephemeral_key_the_offer_travels_alone(server: Server) -> None:
    server.reply("calls")
    answer = await server.signaling("ek_0123456789").place(OFFER)
    assert answer.call_id is None
    ((request, body),) = server.requests
    assert request.headers["Content-Type"] == "application/sdp"
    assert request.headers["Authorization"] == "Bearer ek_0123456789"
    assert body == OFFER.encode()


@pytest.mark.parametrize(
    ("provider", "header", "value"),
    [("openai", "Authorization", f"Bearer {KEY}"), ("azure", "api-key", KEY)],
)
async def test_an_ephemeral_key_is_asked_for_with_the_session(
    server: Server, provider: str, header: str, value: str
) -> None:
    server.reply("client_secrets", 200, json.dumps({"value": "ek_fresh123", "expires_at": 1}))
    server.reply("calls")
    await server.signaling(provider=provider, ephemeral=True).place(OFFER)
    (secret, asked), (call, offered) = server.requests
    assert secret.headers[header] == value
    assert json.loads(asked) == {"session": SESSION}
    assert call.headers["Authorization"] == "Bearer ek_fresh123"
    assert offered == OFFER.encode()


@pytest.mark.parametrize("body", ["", "[]", '{"value": 7}', '{"value": "sk-other"}', "{" * 100_000])
async def test_no_ephemeral_key_where_one_was_promised(server: Server, body: str) -> None:
    server.reply("client_secrets", 200, body)
    with pytest.raises(CallRefused, match="no ephemeral key"):
        await server.signaling(ephemeral=True).place(OFFER)


@pytest.mark.parametrize(
    ("status", "code", "kind", "exit_code"),
    [
        (400, "invalid_offer", CallRefused, ExitCode.CONFIGURATION),
        (401, "invalid_api_key", CallRefused, ExitCode.NO_PERMISSION),
        (403, "unsupported_country", CallRefused, ExitCode.NO_PERMISSION),
        (404, "model_not_found", CallRefused, ExitCode.CONFIGURATION),
        (429, "insufficient_quota", CallUnavailable, ExitCode.TEMPORARY),
        (500, None, CallUnavailable, ExitCode.TEMPORARY),
        (503, "overloaded", CallUnavailable, ExitCode.TEMPORARY),
    ],
)
async def test_a_refusal_says_status_code_and_message(
    server: Server, status: int, code: str | None, kind: type[Exception], exit_code: ExitCode
) -> None:
    server.error(status, f"It is about {KEY} and sk-proj-abcdefgh.\nSorry.", code)
    with pytest.raises(kind) as raised:
        await server.signaling().place(OFFER)
    error = raised.value
    assert isinstance(error, CallRefused | CallUnavailable)
    assert (error.status, error.code, error.exit_code) == (status, code, exit_code)
    assert f"(HTTP {status}): It is about … and sk-…" in str(error)
    assert KEY not in f"{error!r} {error.help}"
    assert isinstance(error, EnvironmentProblem) is (kind is CallUnavailable)


NOON = "Sun, 22 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sun, 22 Nov 2026 12:00:30 GMT", "Date": NOON}, 30.0),
        ({"Retry-After": "Sun, 22 Nov 2026 11:00:00 GMT", "Date": NOON}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "9" * 400}, None),
    ],
    ids=range(7),
)
async def test_the_server_says_when_to_come_back(
    server: Server, headers: dict[str, str], pause_s: float | None
) -> None:
    server.reply("calls", 429, "", **headers)
    with pytest.raises(CallUnavailable) as raised:
        await server.signaling().place(OFFER)
    assert raised.value.retry_after_s == pause_s


async def test_the_servers_clock_is_read(server: Server) -> None:
    server.reply("calls", Date=NOON)
    assert (await server.signaling().place(OFFER)).server_time_s == 1_795_348_800


async def test_a_key_that_has_expired_is_named(server: Server) -> None:
    server.error(401, "Ephemeral token expired", None)
    with pytest.raises(CallRefused, match="Ephemeral token expired") as raised:
        await server.signaling("ek_0123456789").place(OFFER)
    assert raised.value.exit_code is ExitCode.NO_PERMISSION
    assert "ephemeral: true" in str(raised.value.help)


@pytest.mark.parametrize(
    "body",
    ["<html>Bad gateway</html>", "", "[1]", '{"error": "text"}', '{"error": {"code": {}}}'],
)
async def test_an_error_without_an_envelope_is_still_one(server: Server, body: str) -> None:
    server.reply("calls", 502, body)
    with pytest.raises(CallUnavailable) as raised:
        await server.signaling().place(OFFER)
    assert (raised.value.status, raised.value.code) == (502, None)
    assert str(raised.value).endswith("(HTTP 502)")


async def test_a_redirect_is_not_followed_and_is_no_call(server: Server) -> None:
    server.reply("calls", 302, "", Location="/v1/elsewhere/rtc_1")
    with pytest.raises(CallRefused, match="elsewhere") as raised:
        await server.signaling().place(OFFER)
    assert raised.value.status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", ["", "<html></html>", '{"sdp": "v=0"}'])
async def test_an_answer_that_is_no_sdp(server: Server, body: str) -> None:
    server.reply("calls", 201, body)
    with pytest.raises(CallRefused, match="not SDP"):
        await server.signaling().place(OFFER)


@pytest.mark.parametrize(
    ("status", "kind"), [(201, CallRefused), (400, CallRefused), (500, CallUnavailable)]
)
async def test_an_endless_body_is_cut(server: Server, status: int, kind: type[Exception]) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        try:
            while sent < 200_000_000:
                await response.write(b"v=0\r\n" * 20_000)
                sent += 100_000
        except ConnectionError:
            pass  # the client has had enough
        return response

    server.replies["/v1/realtime/calls"] = flood
    with pytest.raises(kind):
        await server.signaling().place(OFFER)
    assert sent < 100_000_000


@pytest.mark.parametrize(
    ("location", "call_id"),
    [
        ("/v1/realtime/calls/rtc_1", "rtc_1"),
        ("https://host/v1/realtime/calls/rtc_1/", "rtc_1"),
        ("", None),
        ("/v1/realtime/calls/../../../etc", "etc"),
        ("/v1/realtime/calls/a%2Fb", None),
        ("/v1/realtime/calls/" + "x" * 200, None),
    ],
)
async def test_the_call_id_is_the_locations_last_word_and_nothing_else(
    server: Server, location: str, call_id: str | None
) -> None:
    server.reply("calls", Location=location)
    assert (await server.signaling().place(OFFER)).call_id == call_id


async def test_a_slow_server_does_not_hold_the_loop_and_is_given_up(server: Server) -> None:
    never = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    server.replies["/v1/realtime/calls"] = wait
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(EnvironmentProblem, match=r"no answer from .* within 0\.3 s") as raised:
        await server.signaling(timeout_s=0.3).place(OFFER)
    ticking.cancel()
    never.set()
    assert raised.value.exit_code is ExitCode.UNAVAILABLE
    assert ticks > 3


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9/v1", r"cannot reach 127\.0\.0\.1:9: Connection refused$"),
        ("https://127.0.0.1:9/v1", "Connection refused$"),
        ("http://nowhere.invalid/v1", r"(cannot reach|no answer from) nowhere\.invalid"),
    ],
)
async def test_nobody_there(url: str, why: str) -> None:
    account = Account("openai", url, SecretStr(KEY))
    signaling = RealtimeSignaling(account, SESSION, ephemeral=False, timeout_s=5, mask=str, log=LOG)
    with pytest.raises(EnvironmentProblem, match=why) as raised:
        await signaling.place(OFFER)
    assert raised.value.exit_code is ExitCode.UNAVAILABLE
    assert not isinstance(raised.value, CallUnavailable)


async def test_a_server_without_tls_is_not_mistaken_for_a_lack_of_rights(server: Server) -> None:
    url = server.base_url.replace("http:", "https:")
    account = Account("openai", url, SecretStr(KEY))
    signaling = RealtimeSignaling(account, SESSION, ephemeral=False, timeout_s=5, mask=str, log=LOG)
    with pytest.raises(EnvironmentProblem, match=r"(?i)ssl"):
        await signaling.place(OFFER)


async def test_a_connection_that_breaks_off(server: Server) -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    server.replies["/v1/realtime/calls"] = hang_up
    with pytest.raises(EnvironmentProblem, match="cannot reach"):
        await server.signaling().place(OFFER)


async def test_hanging_up(server: Server) -> None:
    server.reply("calls/rtc_1/hangup", 200, "")
    await server.signaling().hang_up("rtc_1")
    ((request, body),) = server.requests
    assert (request.method, body) == ("POST", b"")
    assert request.headers["Authorization"] == f"Bearer {KEY}"


async def test_hanging_up_never_fails(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOG.name)
    server.reply("calls/rtc_1/hangup", 404, KEY)
    await server.signaling().hang_up("rtc_1")
    assert "rtc_1" in caplog.text
    assert KEY not in caplog.text
