"""Whole calls over real WebRTC on loopback: events in order and real audio both ways."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.junk import send_junk, udp_sockets
from realtime_server.caller import Caller
from realtime_server.fake_brain import AMPLITUDE, ANSWER, HEARD, TONE_HZ, FakeBrain
from realtime_server.sounds import babble, level, pcm, tone
from rtpipe_realtime_server.server import RealtimeServer
from rtpipe_realtime_server.talk.brain import BrainAnswer, Question

pytestmark = pytest.mark.slow

RATE = 48000
TRANSCRIBED = {"input": {"transcription": {"model": "whisper-1"}}}
TURN = [
    "session.created",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "output_audio_buffer.started",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
    "output_audio_buffer.stopped",
]


def question(seconds: float = 1.5) -> NDArray[np.int16]:
    return pcm(level(babble(seconds, RATE), -20))


def frequency(samples: NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


@pytest.fixture
async def server(brain: FakeBrain) -> AsyncIterator[RealtimeServer]:
    server = RealtimeServer(brain)
    await server.start()
    yield server
    await server.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left


@pytest.fixture
async def caller(server: RealtimeServer) -> AsyncIterator[Caller]:
    async with Caller(server.base_url) as caller:
        yield caller


async def test_a_spoken_turn(caller: Caller, brain: FakeBrain) -> None:
    await caller.call(audio=TRANSCRIBED, instructions="Be the desk.")
    await caller.until("session.created")
    caller.say(question())
    await caller.until("output_audio_buffer.stopped")
    assert caller.kinds() == TURN
    kinds = [event["type"] for event in caller.events]
    started, stopped = (
        caller.events_at[kinds.index(f"output_audio_buffer.{what}")]
        for what in ("started", "stopped")
    )
    assert stopped - started > 0.7 * brain.seconds, "it is played at its own pace"
    completed = await caller.until("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == HEARD
    done = await caller.until("response.done")
    assert done["response"]["output"][0]["content"][0]["transcript"] == ANSWER
    assert brain.instructions == ["Be the desk."]

    (heard,) = brain.received
    assert 1.5 < len(heard) / 16000 < 2.2
    loud = heard.astype(float)[4800:-4800]
    assert 20 * np.log10(np.sqrt(np.mean(loud**2)) / 32768) == pytest.approx(-20, abs=3)

    await caller.until_heard(loud=False, count=10)
    audio = caller.heard()
    loud_at = np.flatnonzero(np.abs(audio) > AMPLITUDE // 4)
    answer = audio[loud_at[0] : loud_at[-1]]
    assert len(answer) / RATE == pytest.approx(brain.seconds, abs=0.1)
    middle = answer[RATE // 4 : 3 * RATE // 4]
    assert frequency(middle) == pytest.approx(TONE_HZ, abs=3)
    decibels = 20 * np.log10(np.sqrt(2 * np.mean(middle.astype(float) ** 2)) / AMPLITUDE)
    assert decibels == pytest.approx(0, abs=1)


async def test_a_tone_and_silence_are_no_turn(caller: Caller) -> None:
    await caller.call()
    await caller.until("session.created")
    caller.say(pcm(level(tone(440, 1.5, RATE), -15)))
    caller.say(np.zeros(RATE // 2, np.int16))
    caller.say(question(1.0))
    started = await caller.until("input_audio_buffer.speech_started")
    assert started["audio_start_ms"] > 1500
    assert caller.kinds() == ["session.created", "input_audio_buffer.speech_started"]


async def test_barge_in_silences_the_answer(caller: Caller, brain: FakeBrain) -> None:
    brain.seconds = 12.0
    await caller.call()
    await caller.until("session.created")
    caller.say(question())
    await caller.until("response.done")
    await caller.until_heard(loud=True, count=25)
    caller.say(question())
    await caller.until("output_audio_buffer.cleared")
    truncated = await caller.until("conversation.item.truncated")
    await caller.until_heard(loud=False, count=10)
    heard_ms = np.count_nonzero([np.abs(frame).max() > 1000 for frame in caller.frames]) * 20
    assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=80)
    item_id = truncated["item_id"]
    caller.send("conversation.item.retrieve", item_id=item_id)
    retrieved = await caller.until("conversation.item.retrieved")
    assert retrieved["item"]["content"][0]["transcript"] == ""
    await caller.until("response.created", 2)
    assert "output_audio_buffer.stopped" not in caller.kinds()


async def test_a_typed_turn_and_an_error(caller: Caller) -> None:
    await caller.call()
    await caller.until("session.created")
    caller.send("scooby.dooby.doo", event_id="mine")
    error = await caller.until("error")
    assert error["error"]["event_id"] == "mine"
    content = [{"type": "input_text", "text": "Say hello."}]
    caller.send(
        "conversation.item.create", item={"type": "message", "role": "user", "content": content}
    )
    caller.send("response.create")
    await caller.until("output_audio_buffer.stopped")


async def test_a_broken_brain_fails_the_response_only(caller: Caller) -> None:
    await caller.call(output_modalities=["text"])
    await caller.until("session.created")
    for text in ("raise", "hello"):
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        caller.send("response.create", response={"input": [item]})
        await caller.until("response.done", 1 if text == "raise" else 2)
    failed = await caller.until("response.done", 1)
    assert failed["response"]["status"] == "failed"
    assert (await caller.until("response.done", 2))["response"]["status"] == "completed"


@pytest.mark.parametrize(
    "without", [("a=candidate",), ("a=candidate", "a=end-of-candidates")], ids=["ended", "open"]
)
async def test_an_offer_without_candidates_connects(
    caller: Caller, without: tuple[str, ...]
) -> None:
    await caller.call(without=without)
    await caller.until("session.created")
    await caller.until_heard(loud=False, count=5)


async def test_an_offer_without_a_channel_is_answered_aloud(server: RealtimeServer) -> None:
    async with Caller(server.base_url, channel=False) as caller:
        await caller.call()
        assert "m=application" not in caller.answer
        await caller.until_heard(loud=False, count=5)
        caller.say(question())
        await caller.until_heard(loud=True, count=20)
        assert frequency(np.concatenate(caller.frames[-20:])) == pytest.approx(TONE_HZ, abs=5)


async def test_junk_on_the_wire_costs_no_call_and_is_noted(brain: FakeBrain) -> None:
    notes: list[str] = []
    server = RealtimeServer(brain, on_note=notes.append)
    await server.start()
    try:
        before = set(udp_sockets())
        async with Caller(server.base_url) as caller:
            await caller.call()
            await caller.until("session.created")
            mine = ice_sockets(caller)
            for _ in range(3):
                send_junk([one for one in udp_sockets() if one not in before | mine])
                await asyncio.sleep(0.1)
            caller.send("scooby.dooby.doo", event_id="mine")
            await caller.until("error")
    finally:
        await server.close()
    assert [note for note in notes if "datagrams did not belong to it: dropped" in note]


def ice_sockets(caller: Caller) -> set[tuple[str, int]]:
    """Return where the caller itself listens: stock aiortc, which dies of junk."""
    ices = [one.receiver.transport.transport for one in caller.connection.getTransceivers()]
    found = [one for ice in ices for one in ice._connection._protocols]
    return {one.transport.get_extra_info("sockname")[:2] for one in found}


async def test_hanging_up_ends_channel_and_media(caller: Caller) -> None:
    await caller.call()
    await caller.until("session.created")
    assert await caller.hang_up() == 200
    async with asyncio.timeout(5):
        await caller.closed.wait()
    assert await caller.hang_up() == 404


async def test_a_caller_who_leaves_is_forgotten() -> None:
    notes: asyncio.Queue[str] = asyncio.Queue()
    server = RealtimeServer(FakeBrain(), on_note=notes.put_nowait)
    await server.start()
    async with Caller(server.base_url) as caller:
        await caller.call()
        await caller.until("session.created")
    async with asyncio.timeout(5):
        assert await notes.get() == f"call {caller.call_id} is open"
        assert await notes.get() == f"call {caller.call_id} has ended"
    assert await caller.hang_up() == 404
    await server.close()


async def test_closing_the_server_ends_its_calls(server: RealtimeServer, caller: Caller) -> None:
    await caller.call()
    await caller.until("session.created")
    caller.say(question())
    await caller.until("response.created")
    await server.close()
    async with asyncio.timeout(5):
        await caller.closed.wait()


async def test_a_brain_that_still_thinks_does_not_hold_the_server_up() -> None:
    class Slow(FakeBrain):
        async def reply(self, question: Question) -> BrainAnswer:
            thinking.set()
            return await asyncio.Future()

    thinking = asyncio.Event()
    server = RealtimeServer(Slow())
    await server.start()
    async with Caller(server.base_url) as caller:
        await caller.call()
        await caller.until("session.created")
        caller.send("response.create")
        await thinking.wait()
        async with asyncio.timeout(5):
            await server.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_was_said_before_the_end_arrives(server: RealtimeServer, caller: Caller) -> None:
    await caller.call()
    await caller.until("session.created")
    (call,) = server._calls._running.values()
    update = {
        "type": "session.update",
        "session": {"type": "realtime", "instructions": "x" * 200_000},
    }
    call.driver.run(lambda: call.driver.protocol.receive(json.dumps(update)))
    call.driver.run(call.driver.protocol.expire)
    await caller.until("session.updated")
    await caller.until("error")


async def test_an_event_too_long_for_the_channel_is_noted_and_the_call_goes_on() -> None:
    notes: list[str] = []
    server = RealtimeServer(FakeBrain(), on_note=notes.append)
    await server.start()
    async with Caller(server.base_url) as caller:
        await caller.call()
        await caller.until("session.created")
        content = [{"type": "input_text", "text": "x" * 270_000}]
        item = {"type": "message", "role": "system", "content": content}
        event = json.dumps({"type": "conversation.item.create", "item": item})
        (call,) = server._calls._running.values()
        call.driver.run(lambda: call.driver.protocol.receive(event))
        caller.send("scooby")
        await caller.until("error")
    await server.close()
    long = f"call {caller.call_id}: conversation.item.added is longer than the caller accepts"
    assert long in notes


async def test_a_session_that_expires_says_so_and_ends(
    server: RealtimeServer, caller: Caller
) -> None:
    server._calls._lifetime_s = 0.5
    await caller.call()
    error = await caller.until("error")
    assert error["error"]["code"] == "session_expired"
    async with asyncio.timeout(5):
        await caller.closed.wait()


async def test_two_calls_share_one_server(server: RealtimeServer) -> None:
    async with Caller(server.base_url) as one, Caller(server.base_url) as other:
        await one.call()
        await other.call()
        await one.until("session.created")
        await other.until("session.created")
        one.say(question())
        await one.until("output_audio_buffer.stopped")
        assert other.kinds() == ["session.created"]


NETWORK_WITH_LOOPBACK_ONLY = """
import fcntl, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # `ip link set lo up`
    fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]]))
"""


def test_a_machine_with_nothing_but_loopback_will_do() -> None:
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rn", "true"], check=False).returncode:
        pytest.skip("network namespaces are not allowed here")
    test = f"{Path(__file__)}::{test_a_spoken_turn.__name__}"
    run = subprocess.run(
        [unshare, "-rn", sys.executable, "-c", NETWORK_WITH_LOOPBACK_ONLY, test],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout
