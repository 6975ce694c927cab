"""The HTTP half, judged by OpenAI's own client and by plain requests."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import openai
import pytest
from aiortc.sdp import SessionDescription

from realtime_server.fake_brain import FakeBrain
from rtpipe import EnvironmentProblem
from rtpipe_realtime_server.calls import call, keys
from rtpipe_realtime_server.server import RealtimeServer

KEY = "sk-the-right-one"
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE voice data",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 9 0",
        "c=IN IP4 0.0.0.0",
        "a=mid:voice",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:data",
        "a=sctp-port:5000",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
        "a=setup:actpass",
        "",
    ]
)
SESSION = {"type": "realtime", "model": "gpt-realtime"}
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    server = RealtimeServer(FakeBrain(), api_key=KEY)
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def client(server: RealtimeServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=server.base_url, max_retries=0) as client:
        yield client


async def post(
    server: RealtimeServer, path: str, *, key: str | None = KEY, **request: Any
) -> tuple[int, Any, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers |= request.pop("headers", {})
    async with (
        aiohttp.ClientSession() as http,
        http.request(
            request.pop("method", "POST"), server.base_url + path, headers=headers, **request
        ) as response,
    ):
        text = await response.text()
        body = json.loads(text) if response.content_type == "application/json" else text
        return response.status, body, response.headers


async def secret(server: RealtimeServer, **body: Any) -> str:
    status, answer, _ = await post(server, "/realtime/client_secrets", json=body)
    assert status == 200
    return str(answer["value"])


async def test_a_client_secret_tells_its_effective_session(client: openai.AsyncOpenAI) -> None:
    created = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."},
    )
    assert created.value.startswith("ek_")
    session = created.session.to_dict()
    assert session["instructions"] == "Be brief."
    assert session["expires_at"] == 0
    assert session["audio"]["output"]["voice"] == "alloy"  # type: ignore[index]
    assert session["prompt"] is None


async def test_a_secret_without_a_body_has_the_defaults(server: RealtimeServer) -> None:
    status, body, _ = await post(server, "/realtime/client_secrets")
    assert status == 200
    assert body["session"]["model"] == "gpt-realtime-2.1"


async def test_a_call_with_the_api_key(client: openai.AsyncOpenAI) -> None:
    raw = await client.realtime.calls.with_raw_response.create(sdp=OFFER, session=SESSION)  # type: ignore[arg-type]
    assert raw.http_response.status_code == 201
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert raw.headers["location"].startswith("/v1/realtime/calls/rtc_")
    answer = raw.http_response.text
    assert answer.startswith("v=0\r\n")
    parsed = SessionDescription.parse(answer)
    audio, data = parsed.media
    assert (audio.kind, data.kind) == ("audio", "application")
    assert [group.items for group in parsed.group] == [["voice", "data"]]
    assert [media.rtp.muxId for media in parsed.media] == ["voice", "data"]
    assert audio.direction == "sendrecv"
    assert [(codec.payloadType, codec.mimeType) for codec in audio.rtp.codecs] == [
        (111, "audio/opus"),
        (0, "audio/PCMU"),
    ]
    assert answer.count("a=setup:active") == 2
    assert {candidate.ip for candidate in audio.ice_candidates} == {"127.0.0.1"}


async def test_an_ephemeral_key_makes_any_number_of_calls(server: RealtimeServer) -> None:
    key = await secret(server)
    locations = set()
    for _ in range(2):
        status, _, headers = await post(
            server, "/realtime/calls", key=key, data=OFFER,
            headers={"Content-Type": "application/sdp"},
        )  # fmt: skip
        assert status == 201
        locations.add(headers["Location"])
    assert len(locations) == 2


async def test_hang_up_works_once(client: openai.AsyncOpenAI) -> None:
    raw = await client.realtime.calls.with_raw_response.create(sdp=OFFER)
    call_id = raw.headers["location"].rsplit("/", 1)[1]
    await client.realtime.calls.hangup(call_id)
    with pytest.raises(openai.NotFoundError):
        await client.realtime.calls.hangup(call_id)


async def test_a_wrong_key_is_an_authentication_error(server: RealtimeServer) -> None:
    async with openai.AsyncOpenAI(
        api_key="sk-wrong", base_url=server.base_url, max_retries=0
    ) as client:
        with pytest.raises(openai.AuthenticationError) as refusal:
            await client.realtime.calls.create(sdp=OFFER)
    assert refusal.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(refusal.value)


@pytest.mark.parametrize("key", [None, "ek_unknown", "sk-wrong"])
@pytest.mark.parametrize(
    "path", ["/realtime/calls", "/realtime/client_secrets", "/realtime/calls/rtc_1/hangup"]
)
async def test_nothing_works_without_a_good_key(
    server: RealtimeServer, path: str, key: str | None
) -> None:
    status, body, _ = await post(server, path, key=key)
    assert status == 401
    assert body["error"]["type"] == "invalid_request_error"


async def test_an_ephemeral_key_does_not_make_another(server: RealtimeServer) -> None:
    status, _, _ = await post(server, "/realtime/client_secrets", key=await secret(server))
    assert status == 401


async def test_an_expired_ephemeral_key_is_refused(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await secret(server, expires_after={"anchor": "created_at", "seconds": 10})
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 11)
    monkeypatch.setattr(keys, "time", later)
    status, body, _ = await post(server, "/realtime/calls", key=key, data=OFFER)
    assert status == 401
    assert body["error"]["message"] == "Ephemeral token expired."


async def test_without_an_api_key_any_will_do_but_one_is_needed() -> None:
    server = RealtimeServer(FakeBrain())
    await server.start()
    try:
        assert (await post(server, "/realtime/client_secrets", key="anything"))[0] == 200
        assert (await post(server, "/realtime/client_secrets", key=None))[0] == 401
    finally:
        await server.close()


@pytest.mark.parametrize(
    "offer",
    [
        "hello",
        "",
        OFFER.replace("m=audio", "m=video"),
        OFFER.replace("a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=x:y"),
        OFFER.replace("opus/48000/2", "lpc/8000").replace("PCMU", "x").replace("G722", "y"),
        OFFER.replace("a=sendrecv", "a=sendonly"),
        OFFER[:250],
        OFFER.replace("111 9 0", "nonsense"),
    ],
    ids=["text", "empty", "video", "no password", "no codec", "sendonly", "cut", "payload type"],
)
async def test_a_bad_offer_is_refused_in_openais_words(
    client: openai.AsyncOpenAI, offer: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.realtime.calls.create(sdp=offer, session=SESSION)  # type: ignore[arg-type]
    assert refusal.value.code == "invalid_offer"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "invalid_value",
         "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, "invalid_value",
         "expires_after.seconds"),
        ({"expires_after": {"anchor": "now", "seconds": 60}}, "invalid_value",
         "expires_after.anchor"),
        ({"session": {"model": "gpt-realtime"}}, "missing_required_parameter", "session.type"),
        ({"session": {"type": "realtime", "voice": "sage"}}, "unknown_parameter",
         "session.voice"),
        ({"session": []}, "invalid_value", "session"),
        ({"model": "gpt-realtime"}, "unknown_parameter", "model"),
    ],
)  # fmt: skip
async def test_a_bad_request_for_a_secret_is_refused(
    client: openai.AsyncOpenAI, body: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.realtime.client_secrets.create(extra_body=body)
    assert (refusal.value.code, refusal.value.param) == (code, param)


async def test_a_call_names_its_model(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.realtime.calls.create(sdp=OFFER, session={"type": "realtime"})
    assert refusal.value.param == "session.model"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"data": "x", "headers": {"Content-Type": "text/plain"}}, "unsupported_content_type"),
        ({"data": "x", "headers": {"Content-Type": "multipart/form-data"}}, "invalid_body"),
        ({"data": b"\xff\xfe", "headers": {"Content-Type": "application/sdp; charset=nonsense"}},
         "invalid_offer"),
        ({"data": b"--b\r\nnonsense", "headers": {
            "Content-Type": "multipart/form-data; boundary=b"}}, None),
        ({"data": b'--b\r\nContent-Disposition: form-data; name="sdp"\r\n'
                  b"Content-Transfer-Encoding: x-rot13\r\n\r\nv=0\r\n--b--\r\n",
          "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, "invalid_body"),
        ({"data": aiohttp.FormData({"session": "{}"}, default_to_multipart=True)},
         "missing_required_parameter"),
        ({"data": aiohttp.FormData({"sdp": OFFER, "session": "{"}, default_to_multipart=True)},
         "invalid_value"),
        ({"data": aiohttp.FormData({"sdp": OFFER, "session": "[]"}, default_to_multipart=True)},
         "invalid_value"),
    ],
    ids=["type", "no boundary", "no text", "broken", "encoding", "no offer", "no json",
         "no object"],
)  # fmt: skip
async def test_bad_bodies_are_refused(
    server: RealtimeServer, request_: dict[str, Any], code: str | None
) -> None:
    status, body, _ = await post(server, "/realtime/calls", **request_)
    assert status == 400
    if code:
        assert body["error"]["code"] == code


@pytest.mark.parametrize("path", ["?model=gpt-4o-realtime-preview", "/sessions"])
async def test_the_beta_is_gone(server: RealtimeServer, path: str) -> None:
    status, body, _ = await post(server, f"/realtime{path}", data="v=0")
    assert status == 400
    assert body["error"]["code"] == "beta_api_shape_disabled"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/models", 404), ("GET", "/realtime/calls", 405), ("POST", "/realtime/nothing", 404)],
)
async def test_every_refusal_has_openais_envelope(
    server: RealtimeServer, method: str, path: str, status: int
) -> None:
    got, body, headers = await post(server, path, method=method)
    assert got == status
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert headers["X-Request-Id"].startswith("req_")


async def test_a_body_that_is_too_long_has_openais_envelope(server: RealtimeServer) -> None:
    status, body, _ = await post(
        server, "/realtime/client_secrets", data=io.BytesIO(b"x" * 2_000_000)
    )
    assert status == 413
    assert "error" in body


async def test_a_fault_of_the_server_is_500_with_openais_envelope(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "random_id", lambda _prefix: 1 / 0)
    status, body, _ = await post(server, "/realtime/client_secrets", json={})
    assert status == 500
    assert body["error"]["type"] == "server_error"


async def test_a_browser_may_ask_first(server: RealtimeServer) -> None:
    status, _, headers = await post(
        server,
        "/realtime/calls",
        method="OPTIONS",
        key=None,
        headers={
            "Access-Control-Request-Headers": "authorization,x-openai-agents-sdk",
            "Origin": "http://localhost:3000",
        },
    )
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert headers["Access-Control-Allow-Headers"] == "authorization,x-openai-agents-sdk"


async def test_the_brain_is_loaded_and_closed_with_the_server() -> None:
    brain = FakeBrain()
    server = RealtimeServer(brain)
    await server.start()
    assert (brain.loaded, brain.closed) == (1, 0)
    await server.close()
    await server.close()
    assert brain.closed == 1


async def test_a_port_in_use_is_one_sentence(server: RealtimeServer) -> None:
    port = int(server.base_url.split(":")[2].split("/")[0])
    second = RealtimeServer(FakeBrain(), port=port)
    with pytest.raises(EnvironmentProblem) as problem:
        await second.start()
    assert str(problem.value) == f"Cannot listen on 127.0.0.1:{port}: Address already in use."
    assert problem.value.exit_code == 69
    await second.close()


async def test_of_a_call_that_came_to_nothing_nothing_stays(
    server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await post(server, "/realtime/calls", data="hello", headers=SDP))[0] == 400
    assert server._calls._running == {}

    notes: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(call, "_CONNECT_S", 0.01)
    monkeypatch.setattr(server._calls, "_note", notes.put_nowait)
    assert (await post(server, "/realtime/calls", data=OFFER, headers=SDP))[0] == 201
    async with asyncio.timeout(10):
        assert (await notes.get()).endswith("was not connected within 0.01 s")
        assert (await notes.get()).endswith("has ended")
    assert server._calls._running == {}


def test_keys_that_nobody_asks_for_any_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: now))
    known = keys.Keys(None, most=10)
    for now in (0.0, 60.0, 60.0 + 600 + 3600):  # noqa: B007 - read by the clock
        known.make({}, 600)
    assert len(known._secrets) == 1
