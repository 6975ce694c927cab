"""Placing real calls over loopback (ICE, DTLS, Opus, SCTP), against an aiortc answerer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiortc.sdp import SessionDescription

from rtpipe import EnvironmentProblem, ExitCode, NotConnected, StageError
from rtpipe_plugins.peers.realtime.account import OPENAI

pytestmark = pytest.mark.slow


async def test_a_call_is_placed_announced_and_hung_up(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit(instructions="Be brief.") as call:
        await call.stage.open()
        offer = SessionDescription.parse(answerer.offer)
        assert [(m.kind, m.direction) for m in offer.media if m.kind == "audio"] == [
            ("audio", "sendrecv")
        ]
        assert [m.kind for m in offer.media] == ["audio", "application"]
        assert offer.media[0].ice_candidates
        assert answerer.channel.label == "oai-events"
        (connected,) = published.of("realtime.connected")
        assert connected.payload() == {
            "call_id": "rtc_test_1",
            "provider": "openai",
            "model": "gpt-realtime-2.1",
            "host": answerer.base_url.split("/")[2],
            "outage_s": 0.0,
            "unsent_ms": 0.0,
            "session_id": connected.payload()["session_id"],
        }
        assert [event.type for event in published.events] == [
            "realtime.calling",
            "session.created",
            "realtime.connected",
        ]
        assert answerer.commands == []
    assert [path for path, _, _ in answerer.requests] == [
        "/v1/realtime/calls",
        "/v1/realtime/calls/rtc_test_1/hangup",
    ]
    (bye,) = published.of("realtime.disconnected")
    assert bye.payload() == {"reason": "we hung up", "invalid_events": 0}


async def test_an_ephemeral_call_carries_the_session_in_its_key(answerer: Any, visit: Any) -> None:
    async with visit(ephemeral=True, voice="marin") as call:
        await call.stage.open()
    (_, _, asked), (_, headers, offer), *_ = answerer.requests
    assert json.loads(asked)["session"]["audio"]["output"]["voice"] == "marin"
    assert headers["Authorization"] == "Bearer ek_test123456"
    assert offer.startswith(b"v=0")


async def test_a_foreign_ephemeral_key_has_the_session_updated_before_anybody_is_heard(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit(api_key="ek_0123456789", instructions="Be brief.") as call:
        await call.stage.open()
        assert (await answerer.received("session.update"))["session"]["instructions"] == "Be brief."
        assert [event.type for event in published.events][1:3] == [
            "session.created",
            "session.updated",
        ]


async def test_a_session_that_is_never_confirmed_is_gone_on_with_and_said(
    answerer: Any, visit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answerer.confirms = False
    async with visit(api_key="ek_0123456789", connect_timeout_s=4) as call:
        await call.stage.open()
        assert "does not confirm" in caplog.text
        call.stage.say("Hello")
        await answerer.received("response.create")


async def test_a_call_without_a_session_is_none(answerer: Any, visit: Any) -> None:
    answerer.session = None
    async with visit(connect_timeout_s=2) as call:
        with pytest.raises(EnvironmentProblem, match="waiting for the session") as raised:
            await call.stage.open()
    assert raised.value.exit_code is ExitCode.UNAVAILABLE


async def test_a_wrong_fingerprint_is_no_call(
    answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiortc.rtcdtlstransport import RTCCertificate

    real = RTCCertificate.getFingerprints
    lies = 0

    def lie(certificate: Any) -> Any:
        nonlocal lies
        prints = real(certificate)
        lies += 1
        for one in prints:
            one.value = "00:" + one.value[3:]
        return prints

    monkeypatch.setattr(RTCCertificate, "getFingerprints", lie)
    async with visit(connect_timeout_s=3) as call:
        with pytest.raises(EnvironmentProblem):
            await call.stage.open()
    assert lies


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sdp: "v=0\r\n",
        lambda sdp: "v=0\r\nm=audio\r\n",
        lambda sdp: sdp.replace("m=audio 9", "m=audio x", 1) if "m=audio 9" in sdp else "v=0\r\nm=",
        lambda sdp: sdp.replace("a=setup:active", "a=setup:holdconn"),
        lambda sdp: sdp.replace("a=fingerprint:", "a=fingerprnt:"),
        lambda sdp: sdp.replace("a=ice-ufrag:", "a=ice-friend:"),
        lambda sdp: sdp[: sdp.index("m=application")],
        lambda sdp: sdp.replace("opus/48000/2", "opus"),
        lambda sdp: "".join(c for i, c in enumerate(sdp) if i % 7),
    ],
    ids=range(9),
)
async def test_a_hostile_answer_is_one_kind_of_error(
    answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch, spoil: Any
) -> None:
    from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer
    from rtpipe_plugins.peers.realtime.dialects.openai.signaling import RealtimeSignaling

    place = RealtimeSignaling.place

    async def spoiled(self: RealtimeSignaling, offer: str) -> SdpAnswer:
        return SdpAnswer(spoil((await place(self, offer)).sdp), None)

    monkeypatch.setattr(RealtimeSignaling, "place", spoiled)
    async with visit(connect_timeout_s=3) as call:
        with pytest.raises((StageError, EnvironmentProblem)):
            await call.stage.open()


async def test_without_a_key_nothing_is_opened_at_openai(
    answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with visit(api_key=None, base_url=OPENAI) as call:
        with pytest.raises(EnvironmentProblem, match="OPENAI_API_KEY"):
            await call.stage.open()
        with pytest.raises(NotConnected):
            call.stage.say("Hello")
    assert answerer.requests == []


@pytest.mark.parametrize("ephemeral", [False, True])
async def test_a_server_that_wants_no_key_is_shown_none(
    ephemeral: bool,  # noqa: FBT001
    answerer: Any,
    visit: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with visit(api_key=None, ephemeral=ephemeral) as call:
        await call.stage.open()
    shown = [headers.get("Authorization") for _, headers, _ in answerer.requests]
    assert shown == ([None, "Bearer ek_test123456", None] if ephemeral else [None, None])


@pytest.mark.parametrize("status", [401, 403])
async def test_a_server_that_wants_one_is_a_lack_that_a_fallback_may_fill(
    status: int, answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answerer.refusals = [(status, {})] * 9
    async with visit(api_key=None) as call:
        with pytest.raises(EnvironmentProblem, match=f"OPENAI_API_KEY.*HTTP {status}") as lack:
            await call.stage.open()
    assert lack.value.exit_code is ExitCode.UNAVAILABLE
    assert len(answerer.requests) == 1, "it is not asked again"
