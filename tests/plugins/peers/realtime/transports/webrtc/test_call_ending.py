"""How real calls over loopback end, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from plugins.peers.realtime.visiting import Visit
from rtpipe import EnvironmentProblem, NotConnected
from rtpipe_plugins.peers.realtime.errors import CallRefused

pytestmark = pytest.mark.slow


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
    reason = "the server has closed the event channel"
    assert bye.payload() == {"reason": reason, "invalid_events": 0}
    assert hung_up(answerer) == ["rtc_test_1"], "its audio would go on"


async def test_a_server_that_leaves_ends_the_call(answerer: Any, visit: Any) -> None:
    async with visit(reconnect=False) as call:
        await call.begin()
        await answerer.call.close()
        with pytest.raises(NotConnected):
            await call.over()


async def test_a_server_that_falls_silent_is_noticed_when_the_user_says(
    answerer: Any, visit: Any
) -> None:
    async with visit(reconnect=False, dead_after_s=2.4) as call:
        await call.begin()
        for protocol in answerer.call.sctp.transport.transport._connection._protocols:
            protocol.datagram_received = lambda *_: None
            protocol.transport.sendto = lambda *_: None
        silent_at = asyncio.get_running_loop().time()
        with pytest.raises(NotConnected, match="nothing has come"):
            await call.over(timeout_s=20)
        assert asyncio.get_running_loop().time() - silent_at < 5
    assert hung_up(answerer) == ["rtc_test_1"]


async def test_a_server_that_dies_without_a_word_is_noticed_by_icmp(
    answerer: Any, visit: Any
) -> None:
    async with visit(reconnect=False, dead_after_s=3600) as call:
        await call.begin()
        for protocol in answerer.call.sctp.transport.transport._connection._protocols:
            protocol.transport.abort()  # no RTP, no RTCP, no answer to STUN, and no goodbye
        with pytest.raises(NotConnected, match="the server is gone: its port is closed"):
            await call.over(timeout_s=20)


async def test_a_server_without_hangup_is_told_by_delete(answerer: Any, visit: Any) -> None:
    answerer.knows_hangup = False
    async with visit() as call:
        await call.begin()
    assert answerer.deleted == ["/v1/realtime/calls/rtc_test_1"]


async def test_a_call_that_is_answered_too_late_is_hung_up_too(answerer: Any, visit: Any) -> None:
    answerer.answer_delay_s = 1.0
    async with visit(connect_timeout_s=0.6) as call:
        with pytest.raises(EnvironmentProblem, match=r"within 0\.6 s: waiting for the answer"):
            await call.begin()
        assert hung_up(answerer) == ["rtc_test_1"]


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
    answerer: Any, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: Any) -> None:
        raise ZeroDivisionError

    async with visit() as call:
        await call.begin()
        monkeypatch.setattr(call.stage._manager, "take", stumble)
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


def hung_up(answerer: Any) -> list[str]:
    """Return which calls were hung up."""
    paths = [path for path, _, _ in answerer.requests if path.endswith("/hangup")]
    return [path.split("/")[-2] for path in paths]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
