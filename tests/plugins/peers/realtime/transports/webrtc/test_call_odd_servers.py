"""Calls with servers that answer otherwise than OpenAI does: they stand, or it is said why not."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import numpy as np
import pytest

from helpers.sound import fill, tone
from rtpipe import audio
from rtpipe_plugins.peers.realtime.errors import CallRefused, NoRoute

pytestmark = pytest.mark.slow


async def hears_and_is_heard(call: Any, answerer: Any) -> None:
    """Hold a conversation in which the far end says what it hears."""
    answerer.echo = True
    fill(call.inlet, np.concatenate([tone(2.0, peak=0.3), np.zeros(9600, np.int16)]))
    call.inlet.close()
    await call.begin()
    await call.over()
    assert np.abs(call.pcm()).max() > 5000


async def test_a_server_that_reads_sdp_alone_is_given_the_session_in_the_call(
    answerer: Any, visit: Any
) -> None:
    answerer.reads_sessions = False
    async with visit(instructions="Be brief.", voice="marin") as call:
        await call.stage.open()
        session = (await answerer.received("session.update"))["session"]
        assert session["instructions"] == "Be brief."
        assert session["audio"]["output"]["voice"] == "marin"
        assert "model" not in session
    kinds = [headers["Content-Type"].split(";")[0] for _, headers, _ in answerer.requests]
    assert kinds[:2] == ["multipart/form-data", "application/sdp"]


async def test_what_a_server_reads_is_remembered_for_the_next_call(
    answerer: Any, visit: Any, published: Any
) -> None:
    answerer.reads_sessions = False
    async with visit(reconnect={"initial_s": 0.01}) as call:
        await call.begin()
        await answerer.call.close()
        await published.wait_for("realtime.connected", 2)
        await answerer.received("session.update", 2)
    kinds = [
        headers["Content-Type"].split(";")[0]
        for path, headers, _ in answerer.requests
        if path.endswith("/calls")
    ]
    assert kinds == ["multipart/form-data", "application/sdp", "application/sdp"]


async def test_a_session_that_is_refused_in_the_call_refuses_the_call(
    answerer: Any, visit: Any
) -> None:
    answerer.reads_sessions = answerer.confirms = False
    async with visit() as call:
        opening = asyncio.ensure_future(call.stage.open())
        asked = await answerer.received("session.update")
        error = {"message": "no such voice", "code": "invalid_value", "event_id": asked["event_id"]}
        answerer.send({"type": "error", "event_id": "event_3", "error": error})
        with pytest.raises(CallRefused, match="no such voice"):
            await opening


def renumbered(sdp: str) -> str:
    sdp = re.sub(r"(m=audio \S+ \S+) 96", r"\1 111", sdp)
    return sdp.replace("a=rtpmap:96 ", "a=rtpmap:111 ").replace("a=fmtp:96 ", "a=fmtp:111 ")


async def test_a_codec_that_the_server_has_renumbered_is_heard_and_sent(
    answerer: Any, visit: Any
) -> None:
    answerer.read_as = renumbered
    async with visit() as call:
        await hears_and_is_heard(call, answerer)


async def test_a_server_that_numbers_anew_and_sends_by_our_number_is_heard(
    answerer: Any, visit: Any
) -> None:
    answerer.written_as = renumbered
    async with visit() as call:
        await call.begin()
        spoken = np.repeat(tone(2.0, peak=0.3)[:, None], 2, axis=1)
        for begin in range(0, len(spoken), 960):
            block = spoken[begin : begin + 960]
            answerer.track.waiting.append(audio.from_pcm(block, sample_rate=48_000, pts=0))
        async with asyncio.timeout(20):
            while not any(audio.peak(audio.pcm(frame)) > 5000 for frame in call.frames):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)


async def test_a_channel_that_the_server_has_opened_carries_the_events(
    answerer: Any, visit: Any, published: Any
) -> None:
    answerer.own_channel = True
    async with visit(api_key="ek_0123456789") as call:
        await call.stage.open()
        await answerer.received("session.update")
        call.stage.say("Hello")
        await answerer.received("response.create")
        assert answerer.channel.label == "events"
        answerer.channel.close()
        await asyncio.wait_for(call.stage._manager.call.lost, 20)


async def test_json_in_binary_messages_is_heard(answerer: Any, visit: Any, published: Any) -> None:
    answerer.binary = True
    async with visit() as call:
        await call.stage.open()
        assert published.of("session.created")


async def test_an_event_before_the_session_may_refuse_the_call(answerer: Any, visit: Any) -> None:
    answerer.session = None
    async with visit() as call:
        opening = asyncio.ensure_future(call.stage.open())
        async with asyncio.timeout(20):
            while answerer.channel is None:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
        error = {"type": "invalid_request_error", "code": "model_not_found", "message": "No such."}
        answerer.send({"type": "error", "event_id": "event_1", "error": error})
        with pytest.raises(CallRefused, match=r"the server ends it: No such\."):
            await opening


@pytest.mark.parametrize(
    ("direction", "words"),
    [("sendonly", "nobody hears the visitor"), ("recvonly", "no answer will be heard")],
)
async def test_half_a_call_is_said_and_ends_with_its_input(
    answerer: Any, visit: Any, caplog: pytest.LogCaptureFixture, direction: str, words: str
) -> None:
    answerer.written_as = lambda sdp: sdp.replace("a=sendrecv", f"a={direction}")
    async with visit() as call:
        fill(call.inlet, tone(1.0))
        call.inlet.close()
        await call.begin()
        await call.over()
    assert words in caplog.text


@pytest.mark.parametrize(
    ("spoil", "problem", "words"),
    [
        (lambda sdp: sdp.replace("a=sendrecv", "a=inactive"), CallRefused, "inactive"),
        (lambda sdp: re.sub(r"m=audio \d+", "m=audio 0", sdp), CallRefused, "no audio"),
        (lambda sdp: re.sub(r"(?m)^a=candidate:.*\r\n", "", sdp), NoRoute, "no ICE candidate"),
        (
            lambda sdp: re.sub(r"(?m)^(a=candidate:\S+ 1 udp \d+) \S+", r"\1 no-host.local", sdp),
            NoRoute,
            r"no-host\.local",
        ),
    ],
)
async def test_what_is_no_call_is_said_at_once_and_once(
    answerer: Any, visit: Any, spoil: Any, problem: type[Exception], words: str
) -> None:
    answerer.written_as = spoil
    async with visit() as call:
        with pytest.raises(problem, match=words):
            await call.stage.open()
    assert [path for path, _, _ in answerer.requests] == [
        "/v1/realtime/calls",
        "/v1/realtime/calls/rtc_test_1/hangup",
    ]


async def test_a_machine_without_an_address_calls_nobody(
    answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", none_at_all)
    async with visit() as call:
        with pytest.raises(NoRoute, match="no network address"):
            await call.stage.open()
    assert answerer.requests == []


def none_at_all(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - aioice's
    return []


none_at_all.knows_loopback = True  # type: ignore[attr-defined]
