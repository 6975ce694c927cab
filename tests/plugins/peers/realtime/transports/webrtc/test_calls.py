"""Real calls over loopback: ICE, DTLS, Opus, SCTP, against an aiortc answerer."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc.sdp import SessionDescription

from helpers.sound import fill, tone
from plugins.peers.realtime.visiting import FORGED, KEY, Visit
from rtpipe import EnvironmentProblem, ExitCode, NotConnected, StageError, audio
from rtpipe_plugins.peers.realtime.errors import CallRefused

pytestmark = pytest.mark.slow


@pytest.fixture
async def visit(answerer: Any, ctx: Any, patient_link: Any) -> Any:
    def make(**options: Any) -> Visit:
        return Visit(answerer, ctx, patient_link, **options)

    return make


# -- placing a call ----------------------------------------------------------------------------


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
        }
        assert [event.type for event in published.events] == [
            "session.created",
            "realtime.connected",
        ]
        assert answerer.commands == []
    assert [path for path, _, _ in answerer.requests] == [
        "/v1/realtime/calls",
        "/v1/realtime/calls/rtc_test_1/hangup",
    ]
    (bye,) = published.of("realtime.disconnected")
    assert bye.payload() == {"reason": "we hung up"}


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
        assert [event.type for event in published.events][:2] == [
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


async def test_without_a_key_nothing_is_opened(
    answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with visit(api_key=None) as call:
        with pytest.raises(EnvironmentProblem, match="OPENAI_API_KEY"):
            await call.stage.open()
        with pytest.raises(NotConnected):
            call.stage.say("Hello")
    assert answerer.requests == []


# -- media -------------------------------------------------------------------------------------


async def test_an_echo_keeps_level_frequency_and_length(answerer: Any, visit: Any) -> None:
    answerer.echo = True
    sent = tone(3.0, hz=440.0, peak=0.3)
    async with visit() as call:
        fill(call.inlet, np.concatenate([sent, np.zeros(9600, np.int16)]))
        call.inlet.close()
        await call.begin()
        await call.over()
    previous = None
    for frame in call.frames:
        audio.check_frame(frame, previous)
        previous = frame
        assert 480 <= frame.samples <= 1440  # a little more or less where delay is made up for
        assert (frame.format.name, frame.layout.name, frame.sample_rate) == ("s16", "mono", 48_000)
        assert audio.meta(frame).captured_at is not None
    pcm = call.pcm().astype(float)
    loud = np.flatnonzero(np.abs(pcm) > 2000)
    # A busy machine may lose some of it on the way, so not all of it is measured.
    assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(3.0, abs=0.8)
    middle = pcm[loud[0] + 24_000 : loud[0] + 120_000].reshape(-1, 2400)
    spectrum = np.abs(np.fft.rfft(middle.ravel() * np.hanning(96_000)))
    assert np.argmax(spectrum) == pytest.approx(880, abs=2)
    level = np.median(np.sqrt(np.mean(middle**2, axis=1)))
    level_db = 20 * np.log10(level / np.sqrt(np.mean(sent.astype(float) ** 2)))
    assert level_db == pytest.approx(0.0, abs=0.1)


async def test_the_visitor_is_silent_until_the_conversation_begins(
    answerer: Any, visit: Any
) -> None:
    async with visit() as call:
        fill(call.inlet, tone(2.0))
        await call.stage.open()
        await answerer.hears(25)
        assert max(np.abs(audio.pcm(frame)).max() for frame in answerer.heard) < 10
        assert call.inlet.depth_ms == 2000


async def test_a_flush_drops_what_was_received_and_not_sent_on(answerer: Any, visit: Any) -> None:
    answerer.echo = True
    async with visit() as call:
        await call.stage.open()
        blocked = asyncio.Event()

        async def stuck(_: Any) -> None:
            await blocked.wait()

        talking = asyncio.create_task(call.stage.converse(call.inlet, stuck))
        received = call.stage._manager.call.transport.incoming.received
        async with asyncio.timeout(20):
            while received.depth_ms < 200:  # noqa: ASYNC110 - a link tells nobody its depth
                await asyncio.sleep(0.02)
        call.stage.reset()
        assert received.depth_ms == 0
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


async def test_how_the_media_fare_is_told(
    answerer: Any, visit: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtpipe_plugins.peers.realtime.stage._MEASURE_S", 0.5)
    async with visit() as call:
        assert call.stage.gauge() == ""
        await call.begin()
        measured = (await published.wait_for("realtime.media_measured", 3)).payload()
        assert call.stage.gauge().startswith(("rtt", "jitter"))
    assert measured["packets_received"] > 20
    assert 0 <= measured["target_ms"] <= 200
    assert measured["remote_lost"] == 0


# -- the conversation --------------------------------------------------------------------------


async def test_actions_reach_the_server(answerer: Any, visit: Any) -> None:
    async with visit(greeting="Welcome!") as call:
        await call.begin()
        greeting = await answerer.received("response.create")
        assert greeting["response"]["instructions"].endswith("Welcome!")
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        answerer.send({"type": "response.done", "response": {"id": "r", "status": "completed"}})
        call.stage.update(instructions="Be brief.")
        call.stage.text("Hello")
        call.stage.clear()
        call.stage.commit()
        call.stage.cancel()
        await answerer.received("output_audio_buffer.clear")
        sent = [command["type"] for command in answerer.commands[1:]]
    assert [type for type in sent if type != "response.create"] == [
        "session.update",
        "conversation.item.create",
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "output_audio_buffer.clear",
    ]


async def test_it_stays_until_the_last_answer_has_been_played(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        fill(call.inlet, tone(0.2))
        call.inlet.close()
        await call.begin()
        for type in ("speech_started", "speech_stopped"):
            answerer.send({"type": f"input_audio_buffer.{type}", "item_id": "u"})
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        answerer.send({"type": "output_audio_buffer.started", "response_id": "r"})
        answerer.send({"type": "response.done", "response": {"id": "r", "status": "completed"}})
        await published.wait_for("response.done")
        silence_enough_to_end_it = asyncio.wait({call._talking}, timeout=2.5)
        assert not (await silence_enough_to_end_it)[0]
        answerer.send({"type": "output_audio_buffer.stopped", "response_id": "r"})
        await call.over(timeout_s=10)


async def test_a_stop_is_obeyed_at_once(answerer: Any, visit: Any, ctx: Any) -> None:
    async with visit() as call:
        await call.begin()
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        ctx.stopping = True
        await call.over(timeout_s=3)


async def test_rubbish_and_floods_do_not_end_a_call(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        for rubbish in ("", "no json", "[" * 5000, '{"type": 1}', b"\x00\xff"):
            answerer.channel.send(rubbish)
        for n in range(2000):
            answerer.send({"type": "response.novel", "n": n})
        answerer.send({"type": "response.done", "response": None})
        await published.wait_for("response.done")
        assert [event.data["n"] for event in published.of("response.novel")] == list(range(2000))
        assert call.stage._manager.call.conversation.malformed == 5
        assert not call._talking.done()


async def test_a_server_that_speaks_in_our_name_is_not_heard(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        for type in FORGED:
            answerer.send({"type": type, "path": "/etc/passwd"})
        answerer.send({"type": "response.done", "response": None})
        await published.wait_for("response.done")
        assert [event for type in FORGED for event in published.of(type)] == []
        assert call.stage._manager.call.conversation.malformed == len(FORGED)
        assert not call._talking.done()


# -- how a call ends ---------------------------------------------------------------------------


async def test_a_closed_channel_ends_the_call_with_its_reason(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit(reconnect=False) as call:
        await call.begin()
        answerer.channel.close()
        with pytest.raises(NotConnected, match="event channel"):
            await call.over()
        with pytest.raises(NotConnected):
            call.stage.say("Hello?")
    (bye,) = published.of("realtime.disconnected")
    assert bye.payload() == {"reason": "the server has closed the event channel"}
    assert not [path for path, _, _ in answerer.requests if path.endswith("hangup")]


async def test_a_server_that_leaves_ends_the_call(answerer: Any, visit: Any) -> None:
    async with visit(reconnect=False) as call:
        await call.begin()
        await answerer.call.close()
        with pytest.raises(NotConnected):
            await call.over()


async def test_a_server_that_dies_without_a_word_is_noticed(answerer: Any, visit: Any) -> None:
    async with visit(reconnect=False) as call:
        await call.begin()

        for protocol in answerer.call.sctp.transport.transport._connection._protocols:
            protocol.transport.abort()  # no RTP, no RTCP, no answer to STUN, and no goodbye
        killed_at = asyncio.get_running_loop().time()
        with pytest.raises(NotConnected, match="nothing has come"):
            await call.over(timeout_s=20)
        assert asyncio.get_running_loop().time() - killed_at < 5


async def test_an_end_for_good_is_raised_as_such(answerer: Any, visit: Any) -> None:
    async with visit() as call:
        await call.begin()
        answerer.send(
            {"type": "error", "error": {"code": "insufficient_quota", "message": "None."}}
        )
        with pytest.raises(CallRefused, match=r"None\.") as raised:
            await call.over()
        assert raised.value.code == "insufficient_quota"


async def test_a_mistake_of_ours_in_a_callback_is_not_lost(
    answerer: Any, visit: Any, bus: Any
) -> None:
    def stumble(_: Any) -> None:
        raise ZeroDivisionError

    async with visit() as call:
        await call.begin()
        bus.subscribe("response.novel", stumble)
        answerer.send({"type": "response.novel"})
        with pytest.raises(ZeroDivisionError):
            await call.over()


async def test_the_words_of_a_broken_off_answer_are_kept(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        delta = {"type": "response.output_audio_transcript.delta", "response_id": "r"}
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        answerer.send({**delta, "item_id": "m", "delta": "Once upon"})
        await published.wait_for(delta["type"])
    (said,) = published.of("transcript.assistant")
    assert (said.text, said.interrupted) == ("Once upon", True)


async def test_nothing_is_left_of_a_call(make_answerer: Any, ctx: Any, patient_link: Any) -> None:
    async def one_call() -> None:
        far_end = make_answerer()
        await far_end.start()
        try:
            async with Visit(far_end, ctx, patient_link) as call:
                await call.begin()
                await far_end.hears(5)
        finally:
            await far_end.close()

    await one_call()  # what is made once for the whole process
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), open_files()
    for _ in range(3):
        await one_call()
    async with asyncio.timeout(5):
        while left := asyncio.all_tasks() - tasks:  # the cancelled ones need a turn of the loop
            await asyncio.wait(left, timeout=0.1)
    assert open_files() <= files
    left_running = set(threading.enumerate()) - threads
    assert not [t for t in left_running if not t.name.startswith("asyncio_")]  # the loop's own pool


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_the_key_is_in_no_log_and_no_event(
    answerer: Any, visit: Any, published: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with visit() as call:
        await call.begin()
        answerer.send({"type": "error", "error": {"message": f"bad key {KEY}", "code": "x"}})
        await published.wait_for("error")
    assert KEY not in caplog.text
    assert KEY not in json.dumps([event.as_dict() for event in published.events])
