"""Placing calls with servers that behave, and with servers that do not."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from plugins.peers.realtime.dialects.openai.signaling_server import (
    ANSWER,
    KEY,
    LOG,
    OFFER,
    SESSION,
    Server,
    signaling_with,
)
from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.peers.realtime.account import Account
from rtpipe_plugins.peers.realtime.errors import CallRefused, CallUnavailable


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
