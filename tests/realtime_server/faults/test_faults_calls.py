"""Whole calls that go wrong, over real WebRTC on loopback: what the caller then sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from realtime_server.caller import TIMEOUT_S, Caller
from realtime_server.sounds import babble, level, pcm
from rtpipe_realtime_server.brains.script import Script
from rtpipe_realtime_server.brains.script_brain import ScriptBrain
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.server import RealtimeServer

pytestmark = pytest.mark.slow

SCRIPT = Script.model_validate({"turns": [{"say": "One."}, {"say": "Two."}]})


@asynccontextmanager
async def calling(**faults: Any) -> AsyncIterator[Caller]:
    server = RealtimeServer(ScriptBrain(SCRIPT), faults=Faults(**faults))
    await server.start()
    try:
        async with Caller(server.base_url) as caller:
            await caller.call()
            yield caller
    finally:
        await server.close()


async def more_frames(caller: Caller, count: int) -> None:
    wanted = len(caller.frames) + count
    await caller._until(lambda: len(caller.frames) >= wanted)


async def frames_in(caller: Caller, seconds: float) -> int:
    before = len(caller.frames)
    await asyncio.sleep(seconds)
    return len(caller.frames) - before


def ask(caller: Caller) -> None:
    part = {"type": "input_text", "text": "Hello"}
    item = {"type": "message", "role": "user", "content": [part]}
    caller.send("conversation.item.create", item=item)
    caller.send("response.create")


async def packets(caller: Caller) -> tuple[int, int]:
    """Return how many packets came, and how many the caller knows to be missing."""
    report = await caller.connection.getStats()
    inbound = [stats for stats in report.values() if stats.type == "inbound-rtp"]
    return (inbound[0].packetsReceived, inbound[0].packetsLost) if inbound else (0, 0)


async def test_each_turn_is_heard_in_its_own_tone_whether_spoken_to_or_written_to() -> None:
    async with calling() as caller:
        await caller.until("session.created")
        caller.say(pcm(level(babble(1.0, 48000), -20)))
        await heard(caller, turn=1, hz=500)
        ask(caller)
        await heard(caller, turn=2, hz=550)


async def heard(caller: Caller, *, turn: int, hz: float) -> None:
    """Check what an answer sounds like, to its end."""
    await caller.until("output_audio_buffer.started", turn)
    await caller.until_heard(loud=True, count=20)
    sound = caller.heard()[-20 * 960 :]
    assert np.abs(np.fft.rfft(sound)).argmax() * 48000 / len(sound) == pytest.approx(hz, abs=3)
    await caller.until("output_audio_buffer.stopped", turn)
    await caller.until_heard(loud=False, count=5)


async def test_lost_packets_are_missed_by_the_caller() -> None:
    async with calling(lose_every=10) as caller, asyncio.timeout(TIMEOUT_S):
        came = missing = 0
        while came < 60:
            await asyncio.sleep(0.1)  # not for frames: aiortc's jitter buffer may give none
            came, missing = await packets(caller)
        assert missing / (came + missing) == pytest.approx(0.1, abs=0.03)


async def test_the_audio_stops_and_the_events_go_on() -> None:
    async with calling(rtp_stop_s=0.5) as caller:
        await caller.until("session.created")
        await asyncio.sleep(1.0)
        assert await frames_in(caller, 0.3) == 0
        ask(caller)
        await caller.until("response.done")


async def test_the_channel_closes_and_the_audio_goes_on() -> None:
    async with calling(close_channel_s=0.3) as caller:
        await asyncio.wait_for(caller.closed.wait(), TIMEOUT_S)
        await more_frames(caller, 20)
        assert caller.connection.connectionState == "connected"


async def test_the_call_is_ended_in_good_order() -> None:
    async with calling(hang_up_s=0.3) as caller:
        await asyncio.wait_for(caller.closed.wait(), TIMEOUT_S)
        assert await caller.hang_up() == 404


async def test_a_server_that_vanishes_says_nothing() -> None:
    async with calling(vanish_s=0.5) as caller:
        await caller.until("session.created")
        await asyncio.sleep(1.0)
        assert await frames_in(caller, 0.5) == 0
        caller.send("session.update", session={"type": "realtime", "instructions": "Speak."})
        await asyncio.sleep(0.5)
        assert "session.updated" not in caller.kinds()
        assert not caller.closed.is_set()
        assert caller.connection.connectionState == "connected"


async def test_after_a_freeze_everything_goes_on() -> None:
    async with calling(freeze_at_s=0.5, freeze_s=1.5) as caller:
        await caller.until("session.created")
        await asyncio.sleep(1.0)
        caller.send("session.update", session={"type": "realtime", "instructions": "Speak."})
        assert await frames_in(caller, 0.3) == 0
        await more_frames(caller, 20)
        await caller.until("session.updated")


class PatientCaller(Caller):
    """Keeps what is no event, and judges nothing."""

    def __init__(self, base_url: str) -> None:
        self.messages: list[str | bytes] = []
        super().__init__(base_url)

    def _on_message(self, message: str | bytes) -> None:
        self.messages.append(message)
        self._tell()


async def test_what_is_no_event_comes_through_the_channel_and_the_longest_just_fits() -> None:
    faults = Faults(huge_event_kb=1000, binary_every=1, malformed_every=1)
    server = RealtimeServer(ScriptBrain(SCRIPT), faults=faults)
    await server.start()
    try:
        async with PatientCaller(server.base_url) as caller:
            await caller.call()
            await caller._until(lambda: len(caller.messages) >= 4)
            created, broken, binary, huge = caller.messages[:4]
            assert json.loads(created)["type"] == "session.created"
            with pytest.raises(ValueError, match="Unterminated"):
                json.loads(broken)
            assert isinstance(binary, bytes)
            assert len(huge) == 262_144
            assert json.loads(huge)["type"] == "session.updated"
    finally:
        await server.close()
