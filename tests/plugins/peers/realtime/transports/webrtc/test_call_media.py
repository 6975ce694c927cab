"""The sound of real calls over loopback: echo, silence, flushes, figures."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from helpers.junk import JUNK, send_junk, udp_sockets
from helpers.sound import fill, tone
from rtpipe import audio

pytestmark = pytest.mark.slow


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


async def test_junk_on_the_wire_costs_no_call_and_is_shown(
    answerer: Any,
    visit: Any,
    published: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("rtpipe_plugins.peers.realtime.stage._MEASURE_S", 0.5)
    async with visit(reconnect=False) as call:
        await call.begin()
        for _ in range(3):
            send_junk(udp_sockets())
            await asyncio.sleep(0.2)
        answerer.send({"type": "response.novel"})
        measured = (await published.wait_for("realtime.media_measured", 3)).payload()
        assert measured["junk_packets"] >= len(JUNK)
        assert f"junk {measured['junk_packets']}" in call.stage.gauge()
        call.stage.text("Is anybody there?")
        await answerer.received("conversation.item.create")
        assert not published.of("realtime.disconnected")
    assert "datagrams did not belong to the call: dropped" in caplog.text
