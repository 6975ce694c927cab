"""Refusals of every shape, over HTTP and as the reason of a close: told in the server's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from plugins.peers.realtime.dialects.openai.signaling_server import (
    KEY,
    LOG,
    OFFER,
    SESSION,
    Server,
    signaling_with,
)
from rtpipe import EnvironmentProblem, ExitCode, NotConnected
from rtpipe_plugins.peers.realtime.account import Account, Mask
from rtpipe_plugins.peers.realtime.dialects.openai.signaling import OfferForm, RealtimeSignaling
from rtpipe_plugins.peers.realtime.errors import CallRefused, CallUnavailable


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
