"""A reload at the next pause: when neither a visitor nor a model nor a loudspeaker is heard."""

from __future__ import annotations

import asyncio

import pytest

import rtpipe
from rtpipe import Bus, Event
from rtpipe.running.reload.pauses import PAUSE_S, Pauses
from rtpipe.testing import run_virtual


def waited(*happens: tuple[float, str]) -> float:
    """Return the second at which a pause was found that was waited for from the first one on."""

    async def run() -> float:
        bus, loop = Bus(), asyncio.get_running_loop()
        pauses = Pauses(bus)
        for at, type in happens:
            loop.call_at(at, bus.publish, Event(type=type, source="realtime"))
        await asyncio.sleep(0.01)
        await pauses.wait()
        return round(loop.time(), 3)

    return run_virtual(run())


def test_where_nobody_speaks_it_is_soon() -> None:
    assert waited() == 0.01 + PAUSE_S


def test_it_comes_after_the_answer_and_not_between_question_and_answer() -> None:
    conversation = [
        (0.0, "turn.user_started"),
        (1.0, "turn.user_stopped"),
        (1.4, "turn.answer_started"),
        (2.0, "playback.started"),
        (3.0, "turn.answer_stopped"),
        (3.2, "playback.stopped"),
    ]
    assert waited(*conversation) == 3.2 + PAUSE_S


@pytest.mark.parametrize("gone", ["stage.fell_back", "stage.returned"])
def test_who_was_replaced_in_the_middle_of_a_word_keeps_nobody_waiting(gone: str) -> None:
    assert waited((0.0, "vad.speech_started"), (2.0, gone)) == 2.0 + PAUSE_S


def test_a_stage_that_a_reload_takes_away_keeps_nobody_waiting() -> None:
    text = "version: 1\nstages: [tone: {realtime: true, duration_s: 9}, VAD blackhole]"
    with_vad, without = (rtpipe.loads(text.replace("VAD", vad)) for vad in ("vad,", ""))

    async def run() -> float:
        async with with_vad as pipeline:
            pipeline.bus.publish(Event(type="vad.speech_started", source="vad"))
            await pipeline.apply(without.graph)
            async with asyncio.timeout(5):
                await pipeline._reloader.pause()
            return pipeline.clock.now()

    assert run_virtual(run()) < 1


def test_a_call_that_is_gone_speaks_no_more() -> None:
    assert waited((0.0, "turn.answer_started"), (2.0, "realtime.disconnected")) == 2.0 + PAUSE_S
