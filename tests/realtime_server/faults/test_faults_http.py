"""What `--fault` does to requests: over real HTTP, with OpenAI's client as one of the callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from realtime_server.calls.test_http import OFFER, SESSION
from realtime_server.fake_brain import FakeBrain
from rtpipe.testing import run_virtual
from rtpipe_realtime_server.faults.http import HttpFaults
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.server import RealtimeServer

Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def serve(*, session_s: float = 3600, **faults: Any) -> RealtimeServer:
            server = RealtimeServer(FakeBrain(), session_s=session_s, faults=Faults(**faults))
            await server.start()
            stack.push_async_callback(server.close)
            return server

        yield serve


async def call(server: RealtimeServer) -> tuple[int, Any, str]:
    """Return status, headers and body of the answer to an offer."""
    headers = {
        "Authorization": "Bearer sk-x",
        "Content-Type": "application/sdp",
        "Origin": "http://localhost:3000",
    }
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{server.base_url}/realtime/calls", data=OFFER) as response,
    ):
        return response.status, response.headers, await response.text()


async def test_two_calls_are_refused_for_their_rate_and_the_third_is_taken(serve: Serve) -> None:
    server = await serve(http_429=2, retry_after_s=1.5)
    answers = [await call(server) for _ in range(3)]
    assert [status for status, _, _ in answers] == [429, 429, 201]
    assert [headers.get("Retry-After") for _, headers, _ in answers] == ["1.5", "1.5", None]
    assert answers[0][1]["Access-Control-Allow-Origin"] == "http://localhost:3000"


async def test_only_the_first_answers_are_spoilt(serve: Serve) -> None:
    server = await serve(http_500=1, bad_answer="html", first_calls=2)
    answers = [await call(server) for _ in range(4)]
    assert [status for status, _, _ in answers] == [500, 201, 201, 201]
    assert [body[:3] for _, _, body in answers[1:]] == ["<!D", "<!D", "v=0"]


async def test_a_refusal_has_no_retry_after_unless_asked_for(serve: Serve) -> None:
    _, headers, _ = await call(await serve(http_500=1))
    assert "Retry-After" not in headers


@pytest.mark.parametrize(
    ("faults", "error", "code"),
    [
        ({"http_429": 1}, openai.RateLimitError, "rate_limit_exceeded"),
        ({"http_500": 1}, openai.InternalServerError, None),
    ],
)
async def test_openais_client_knows_the_refusal(
    serve: Serve, faults: dict[str, Any], error: type[openai.APIStatusError], code: str | None
) -> None:
    server = await serve(**faults)
    async with openai.AsyncOpenAI(
        api_key="sk-x", base_url=server.base_url, max_retries=0
    ) as client:
        with pytest.raises(error) as refusal:
            await client.realtime.calls.create(sdp=OFFER, session=SESSION)  # type: ignore[arg-type]
        assert refusal.value.code == code
        secret = await client.realtime.client_secrets.create()
        assert secret.value.startswith("ek_")


async def test_openais_client_gets_over_a_bad_minute_by_itself(serve: Serve) -> None:
    server = await serve(http_429=1, http_500=1, retry_after_s=0.01)
    async with openai.AsyncOpenAI(
        api_key="sk-x", base_url=server.base_url, max_retries=2
    ) as client:
        answer = await client.realtime.calls.create(sdp=OFFER)
        assert answer.text.startswith("v=0")


async def test_a_websocket_is_refused_as_a_call_is(serve: Serve) -> None:
    server = await serve(http_500=1)
    url = server.base_url + "/realtime?model=gpt-realtime"
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-x"}) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(url)
        assert refusal.value.status == 500
        async with http.ws_connect(url) as ws:
            assert (await ws.receive_json())["type"] == "session.created"


async def test_a_sideband_is_no_call_and_not_refused(serve: Serve) -> None:
    server = await serve(http_500=1)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-x"}) as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(server.base_url + "/realtime?call_id=rtc_nobody")
        assert refusal.value.status == 404
    assert (await call(server))[0] == 500


def test_the_answer_comes_late() -> None:
    async def handler(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=201, text="v=0")

    async def late() -> float:
        request = make_mocked_request("POST", "/v1/realtime/calls")
        await HttpFaults(Faults(answer_delay_s=30)).middleware(request, handler)
        return asyncio.get_running_loop().time()

    assert run_virtual(late()) == pytest.approx(30)


async def test_the_answer_has_no_end_of_candidates(serve: Serve) -> None:
    _, _, answer = await call(await serve(no_end_of_candidates=True))
    assert "a=candidate:" in answer
    assert "end-of-candidates" not in answer
    _, _, answer = await call(await serve())
    assert "a=end-of-candidates\r\n" in answer


@pytest.mark.parametrize(("how", "start"), [("html", "<!DOCTYPE html>"), ("cut", "v=0")])
async def test_the_answer_is_none(serve: Serve, how: str, start: str) -> None:
    status, headers, answer = await call(await serve(bad_answer=how))
    assert status == 201
    assert headers["Location"].startswith("/v1/realtime/calls/rtc_")
    assert answer.startswith(start)
    assert "webrtc-datachannel" not in answer


async def test_a_session_lasts_as_long_as_it_is_told_to(serve: Serve) -> None:
    server = await serve(session_s=0.4)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with (
        aiohttp.ClientSession(headers={"Authorization": "Bearer sk-x"}) as http,
        http.ws_connect(server.base_url + "/realtime?model=gpt-realtime") as ws,
    ):
        await ws.receive_json()
        error = await asyncio.wait_for(ws.receive_json(), 20)
        assert error["error"]["code"] == "session_expired"
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        assert loop.time() - started >= 0.3


@pytest.mark.parametrize("session_s", [20, 1800])
async def test_the_client_is_told_when_its_session_ends(serve: Serve, session_s: float) -> None:
    def now(session: dict[str, Any]) -> int:
        return int(session["expires_at"])

    ends = []
    for seconds in (session_s, session_s + 1000):
        server = await serve(session_s=seconds)
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer sk-x"}) as http,
            http.ws_connect(server.base_url + "/realtime?model=gpt-realtime") as ws,
        ):
            ends.append(now((await ws.receive_json())["session"]))
    assert ends[1] - ends[0] == pytest.approx(1000, abs=5)
