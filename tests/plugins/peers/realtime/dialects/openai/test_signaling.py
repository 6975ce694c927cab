"""Placing calls with servers that behave, and with servers that do not."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from rtpipe import EnvironmentProblem, ExitCode, NotConnected
from rtpipe_plugins.peers.realtime.account import Account, Mask
from rtpipe_plugins.peers.realtime.dialects.openai.signaling import OfferForm, RealtimeSignaling
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
        self.form: OfferForm | None = None

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
        self.form = self.form or OfferForm(account)
        return RealtimeSignaling(account, SESSION, self.form, mask=Mask([key]), log=LOG, **settings)


def signaling_with(account: Account) -> RealtimeSignaling:
    form = OfferForm(account)
    return RealtimeSignaling(
        account, SESSION, form, ephemeral=False, timeout_s=5, mask=str, log=LOG
    )


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
    ("body", "words"),
    [
        ("<html>Bad gateway</html>", ": Bad gateway"),
        ("upstream is gone", ": upstream is gone"),
        ("", ""),
        ("[1]", ""),
        ('{"error": "text"}', ": text"),
        ('{"detail": "no slot is free"}', ": no slot is free"),
        ('{"error": {"code": {}}}', ""),
    ],
)
async def test_an_error_is_quoted_whatever_its_shape(server: Server, body: str, words: str) -> None:
    server.reply("calls", 502, body)
    with pytest.raises(CallUnavailable) as raised:
        await server.signaling().place(OFFER)
    assert (raised.value.status, raised.value.code) == (502, None)
    assert str(raised.value).endswith(f"(HTTP 502){words}")


async def test_the_key_is_not_quoted_where_the_words_are_cut(server: Server) -> None:
    server.reply("calls", 500, "x" * 290 + " " + KEY)
    with pytest.raises(CallUnavailable) as raised:
        await server.signaling().place(OFFER)
    assert "canary" not in str(raised.value)


async def test_an_error_whose_body_breaks_off_is_still_one(server: Server) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=401, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"Your key is old")
        assert request.transport is not None
        request.transport.close()
        return response

    server.replies["/v1/realtime/calls"] = break_off
    with pytest.raises(CallRefused, match=r"HTTP 401\): Your key is old"):
        await server.signaling().place(OFFER)


async def test_an_error_in_another_alphabet_is_read(server: Server) -> None:
    async def latin(_: web.Request) -> web.Response:
        kind = {"Content-Type": "text/plain; charset=iso-8859-1"}
        return web.Response(status=422, body="Schlüssel fehlt".encode("latin-1"), headers=kind)

    server.replies["/v1/realtime/calls"] = latin
    with pytest.raises(CallRefused, match="Schlüssel fehlt"):
        await server.signaling().place(OFFER)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, {"error": {"message": "Not for this project.", "code": "model_not_found"}}),
        (403, {"error": {"message": "No access to model `gpt-realtime-2.1`", "code": None}}),
        (404, {"error": {"message": "The model `gpt-realtime-2.1` does not exist"}}),
        (404, {"detail": "unknown model gpt-realtime-2.1"}),
    ],
)
async def test_a_model_that_is_not_there_is_no_matter_of_the_key(
    server: Server, status: int, body: dict[str, Any]
) -> None:
    server.reply("calls", status, json.dumps(body))
    with pytest.raises(CallRefused, match=r"no model gpt-realtime-2\.1 for this key") as raised:
        await server.signaling().place(OFFER)
    assert raised.value.exit_code is ExitCode.CONFIGURATION
    assert "`model`" in str(raised.value.help)
    assert "api_key" not in str(raised.value.help)


@pytest.mark.parametrize("words", ["no such page: /v1/gpt-realtime-2.1-mini", "not found", ""])
async def test_a_wrong_address_is_no_matter_of_the_model(server: Server, words: str) -> None:
    server.reply("calls", 404, words)
    with pytest.raises(CallRefused, match="refuses the call") as raised:
        await server.signaling().place(OFFER)
    assert "base_url" in str(raised.value.help)


async def test_a_wish_to_be_left_alone_is_said(server: Server) -> None:
    server.reply("calls", 429, "{}", **{"Retry-After": "3600"})
    with pytest.raises(CallUnavailable, match=r"wants no call for 3600 s$"):
        await server.signaling().place(OFFER)


# -- a server that takes SDP alone ---------------------------------------------------------------


def takes_sdp_alone(server: Server, status: int, words: str = "") -> None:
    async def respond(request: web.Request) -> web.Response:
        if request.content_type != "application/sdp":
            return web.Response(status=status, text=words)
        return web.Response(status=201, text=ANSWER)

    server.replies["/v1/realtime/calls"] = respond


def forms_of(server: Server) -> list[str]:
    return [request.content_type for request, _ in server.requests]


@pytest.mark.parametrize("status", [400, 415, 422])
async def test_an_offer_that_is_not_read_is_placed_alone_and_that_is_remembered(
    server: Server, status: int
) -> None:
    takes_sdp_alone(server, status, "Content-Type must be application/sdp")
    assert (await server.signaling().place(OFFER)).sdp == ANSWER
    assert (await server.signaling().place(OFFER)).sdp == ANSWER
    assert forms_of(server) == ["multipart/form-data", "application/sdp", "application/sdp"]
    request, body = server.requests[-1]
    assert (request.query["model"], body) == ("gpt-realtime-2.1", OFFER.encode())
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert server.form is not None
    assert server.form.plain


async def test_a_server_that_reads_both_is_not_asked_for_the_other_form(server: Server) -> None:
    server.reply("calls")
    await server.signaling().place(OFFER)
    takes_sdp_alone(server, 400, "no such voice")
    with pytest.raises(CallRefused, match="no such voice"):
        await server.signaling().place(OFFER)
    assert forms_of(server) == ["multipart/form-data"] * 2


@pytest.mark.parametrize(
    "error",
    [
        {"message": "m", "code": None, "param": "session.audio.output.voice"},
        {"message": "m", "code": "model_not_found"},
        {"message": "m", "code": "invalid_offer"},
    ],
)
async def test_a_server_that_names_what_it_refuses_has_read_it(
    server: Server, error: dict[str, Any]
) -> None:
    takes_sdp_alone(server, 400, json.dumps({"error": error}))
    with pytest.raises(CallRefused):
        await server.signaling().place(OFFER)
    assert forms_of(server) == ["multipart/form-data"]


@pytest.mark.parametrize(
    ("together", "alone", "words"),
    [
        ((415, "not this"), (400, "no audio"), r"\(HTTP 400\): no audio$"),
        ((400, "no audio"), (415, "not this"), r"\(HTTP 400\): no audio$"),
        ((400, "no audio"), (401, "who?"), r"\(HTTP 400\): no audio$"),
        ((422, "no audio"), (422, "no audio"), r"\(HTTP 422\): no audio$"),
        (
            (422, "sdp is missing"),
            (400, "no audio"),
            r"\(HTTP 422\): sdp is missing; as SDP alone it refuses the call \(HTTP 400\): no a",
        ),
    ],
)
async def test_of_two_refusals_the_one_that_matters_is_told(
    server: Server, together: tuple[int, str], alone: tuple[int, str], words: str
) -> None:
    async def respond(request: web.Request) -> web.Response:
        status, text = alone if request.content_type == "application/sdp" else together
        return web.Response(status=status, text=text)

    server.replies["/v1/realtime/calls"] = respond
    with pytest.raises(CallRefused, match=words):
        await server.signaling().place(OFFER)


async def test_a_server_that_is_full_in_the_other_form_is_asked_again_later(
    server: Server,
) -> None:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(status=503 if request.content_type == "application/sdp" else 415)

    server.replies["/v1/realtime/calls"] = respond
    with pytest.raises(CallUnavailable):
        await server.signaling().place(OFFER)


async def test_a_redirect_is_not_followed_and_is_no_call(server: Server) -> None:
    server.reply("calls", 302, "", Location="/v1/elsewhere/rtc_1")
    with pytest.raises(CallRefused, match=r"HTTP 302, to /v1/elsewhere/rtc_1\)") as raised:
        await server.signaling().place(OFFER)
    assert raised.value.status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (201, "", "nothing"),
        (204, "", "HTTP 204"),
        (200, "<html>Sign in</html>", "not SDP: Sign in"),
        (201, '{"sdp": "v=0"}', "not SDP"),
    ],
)
async def test_an_answer_that_is_no_sdp(server: Server, status: int, body: str, words: str) -> None:
    server.reply("calls", status, body)
    with pytest.raises(CallRefused, match="not SDP") as raised:
        await server.signaling().place(OFFER)
    assert words in str(raised.value)
    assert "elsewhere" not in str(raised.value)


async def test_white_space_around_an_answer_is_nothing(server: Server) -> None:
    server.reply("calls", 200, f"\ufeff\r\n{ANSWER}")
    assert (await server.signaling().place(OFFER)).sdp == ANSWER


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
    signaling = signaling_with(account)
    with pytest.raises(EnvironmentProblem, match=why) as raised:
        await signaling.place(OFFER)
    assert raised.value.exit_code is ExitCode.UNAVAILABLE
    assert not isinstance(raised.value, CallUnavailable)


async def test_a_server_without_tls_is_not_mistaken_for_a_lack_of_rights(server: Server) -> None:
    url = server.base_url.replace("http:", "https:")
    account = Account("openai", url, SecretStr(KEY))
    signaling = signaling_with(account)
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


# -- how a WebSocket is closed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (4000, "invalid_request_error.invalid_intent", ExitCode.CONFIGURATION),
        (4000, "invalid_request_error.model_not_found", ExitCode.CONFIGURATION),
        (3000, "invalid_request_error.invalid_api_key", ExitCode.NO_PERMISSION),
        (1008, "Model must be gpt-live-1", ExitCode.CONFIGURATION),
        (1008, "policy violation: this voice is not yours", ExitCode.CONFIGURATION),
        (1008, "Invalid API key", ExitCode.NO_PERMISSION),
        (1011, '{"error": {"code": "insufficient_quota"}}', ExitCode.TEMPORARY),
        (1011, "You exceeded your current quota.", ExitCode.TEMPORARY),
        (4401, "not you", ExitCode.NO_PERMISSION),
        (1008, "", None),
        (1008, "Session expired after 30 minutes", None),
        (1008, "too many connections", None),
        (4000, "invalid_request_error.session_expired", None),
        (1000, "", None),
        (1001, "Invalid API key", None),
        (1006, "", None),
        (1011, "internal error", None),
        (1013, "try again later", None),
        (4999, "nobody knows", None),
        (None, "", None),
    ],
)
def test_what_no_other_call_can_change_closes_for_good(
    code: int | None, reason: str, exit_code: ExitCode | None
) -> None:
    account = Account("openai", "http://127.0.0.1:9/v1", SecretStr(KEY))
    why = signaling_with(account).closed(code, reason, stood=False)
    assert isinstance(why, NotConnected if exit_code is None else CallRefused)
    assert exit_code in {None, why.exit_code}
    assert f"({code}" in str(why)
    if not reason.startswith("{"):
        assert reason in str(why)


@pytest.mark.parametrize(
    ("code", "reason", "for_good"),
    [
        (1008, "no fixture matched", False),
        (1008, "Invalid API key", True),
        (4401, "not you", True),
    ],
)
def test_a_policy_that_ends_a_conversation_does_not_end_the_next(
    code: int, reason: str, *, for_good: bool
) -> None:
    account = Account("openai", "http://127.0.0.1:9/v1", SecretStr(KEY))
    why = signaling_with(account).closed(code, reason, stood=True)
    assert isinstance(why, CallRefused) is for_good


def test_the_reason_of_a_close_is_told_without_the_key() -> None:
    account = Account("openai", "http://127.0.0.1:9/v1", SecretStr(KEY))
    form = OfferForm(account)
    signaling = RealtimeSignaling(
        account, SESSION, form, ephemeral=False, timeout_s=5, mask=Mask([KEY]), log=LOG
    )
    why = str(signaling.closed(1008, f"not with\n{KEY}\x1b[2J", stood=False))
    assert "canary" not in why
    assert why.isprintable()
