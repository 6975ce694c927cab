"""Who is speaking: every start has one stop, and what is told is what was given out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe import Bus, Clock, StageContext, audio
from rtpipe.events import TurnAnswerCut, TurnAnswerStopped
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.answer_heard import AnswerHeard
from rtpipe_plugins.peers.realtime.dialects.conversation import AnswerEnds, UserSpeaks
from rtpipe_plugins.peers.realtime.loudspeaker_position import (
    LoudspeakerPosition,
)
from rtpipe_plugins.peers.realtime.turn_taking import TurnTaking
from rtpipe_plugins.peers.realtime.words_heard import USUAL_RATE, WordsHeard
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted

SLOT_S = 0.02


class Call:
    """Turn taking on the virtual clock, with what it has published."""

    def __init__(self) -> None:
        bus = Bus()
        self.events: list[Any] = []
        self.progress: list[Any] = []
        self.tells = False
        bus.subscribe("*", self._take)
        self.ctx = StageContext(
            "realtime", Clock(), bus.publish, bus.subscribe, published_after=lambda *_: self.tells
        )
        self.loudspeaker = LoudspeakerPosition()
        self.silent: list[str] = []
        self.words = WordsHeard()
        self.words.take("resp_1", "x" * 100, None)
        heard = AnswerHeard(self.ctx, self.loudspeaker, self.words)
        self.turns = TurnTaking(self.ctx, heard, self.silent.append)

    def _take(self, event: Any) -> None:
        (self.progress if event.type == "turn.answer_heard" else self.events).append(event)

    async def speak(self, seconds: float, response_id: str = "resp_1", peak: int = 8000) -> None:
        """Give out an answer's frames at the pace of speech."""
        for _ in range(round(seconds / SLOT_S)):
            frame = audio.from_pcm(np.full(960, peak, np.int16), sample_rate=48_000, pts=0)
            audio.meta(frame).extra["response_id"] = response_id
            self.turns.given_out(frame)
            await asyncio.sleep(SLOT_S)

    async def silence(self, seconds: float) -> None:
        await self.speak(seconds, peak=0)

    def said(self) -> list[str]:
        return [event.type.removeprefix("turn.") for event in self.events]


def on_a_call(script: Callable[[Call], Any]) -> Call:
    async def run() -> Call:
        call = Call()
        await script(call)
        return call

    return run_virtual(run())


def test_an_answer_begins_with_its_first_audible_sample_and_ends_with_its_last() -> None:
    async def script(call: Call) -> None:
        await call.silence(0.1)
        await call.speak(0.4)
        call.turns.take(AnswerEnds("resp_1"))  # the server says it 80 ms early
        await call.speak(0.08)
        await call.silence(0.2)

    call = on_a_call(script)
    assert call.said() == ["answer_started", "answer_stopped"]
    started, stopped = call.events
    assert started.at == pytest.approx(0.1, abs=0.001)
    assert stopped.at - stopped.quiet_s == pytest.approx(0.58, abs=0.001)
    assert stopped.response_id == "resp_1"


def test_a_pause_in_an_answer_is_no_end() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.2)
        await call.silence(2.0)
        await call.speak(0.2)
        await call.silence(0.1)
        call.turns.take(AnswerEnds("resp_1"))

    assert on_a_call(script).said() == ["answer_started", "answer_stopped"]


def test_a_server_that_does_not_say_what_it_plays_has_ended_after_half_a_second() -> None:
    async def script(call: Call) -> None:
        await call.silence(1.0)  # it never stops sending
        for _ in range(2):
            await call.speak(0.1)
            call.turns.take(AnswerEnds("resp_1", told=False))  # generated, and still being played
            await call.speak(0.3)
            await call.silence(0.48)
            assert call.said()[-1] == "answer_started"
            await call.silence(0.04)
            assert call.said()[-1] == "answer_stopped"

    call = on_a_call(script)
    assert call.said() == ["answer_started", "answer_stopped"] * 2
    assert call.silent == ["resp_1"] * 2


def test_a_pause_is_no_end_where_a_server_sends_nothing_between_answers() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.3)
        call.turns.take(AnswerEnds("resp_1", told=False))  # generated, and still being played
        await call.silence(0.8)
        await call.speak(0.3)
        assert call.said() == ["answer_started"]
        assert call.silent == []
        await call.silence(1.48)
        assert call.said() == ["answer_started"]
        await call.silence(0.04)

    call = on_a_call(script)
    assert call.said() == ["answer_started", "answer_stopped"]
    assert call.silent == ["resp_1"]


def test_where_nothing_is_sent_any_more_an_answer_is_over_within_half_a_second() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.1)
        call.turns.take(AnswerEnds("resp_1", told=False))
        await call.speak(0.3)
        await call.silence(0.1)  # a server's last frames
        await asyncio.sleep(0.29)
        assert call.said() == ["answer_started"]
        await asyncio.sleep(0.03)

    call = on_a_call(script)
    assert call.said() == ["answer_started", "answer_stopped"]
    assert call.silent == ["resp_1"]


def test_a_hole_in_a_pause_is_no_end() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.1)
        call.turns.take(AnswerEnds("resp_1", told=False))
        await call.silence(0.5)
        await asyncio.sleep(0.18)
        await call.silence(0.1)
        await call.speak(0.1)
        assert call.said() == ["answer_started"]

    on_a_call(script)


def test_an_answer_that_is_generated_before_it_is_heard_ends_after_its_sound() -> None:
    async def script(call: Call) -> None:
        call.turns.take(AnswerEnds("resp_1", told=False))
        await call.silence(0.3)
        await call.speak(0.4)
        assert call.silent == []
        await asyncio.sleep(0.41)

    call = on_a_call(script)
    assert call.said() == ["answer_started", "answer_stopped"]
    assert call.silent == ["resp_1"]


def test_an_answer_whose_sound_never_comes_is_over_after_half_a_second() -> None:
    async def script(call: Call) -> None:
        call.turns.take(AnswerEnds("resp_1", told=False))
        await asyncio.sleep(0.49)
        assert call.silent == []
        await asyncio.sleep(0.02)

    call = on_a_call(script)
    assert call.said() == []
    assert call.silent == ["resp_1"]


def test_a_server_that_tells_the_end_is_not_second_guessed() -> None:
    async def script(call: Call) -> None:
        call.turns.take(AnswerEnds("resp_1", told=False))
        call.turns.take(AnswerEnds("resp_1"))
        await asyncio.sleep(0.6)

    assert on_a_call(script).silent == []


def test_an_answer_whose_frames_stop_coming_ends_all_the_same() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.1)
        call.turns.take(AnswerEnds("resp_1"))
        await asyncio.sleep(0.6)

    assert on_a_call(script).said() == ["answer_started", "answer_stopped"]


def test_what_is_left_of_an_answer_that_is_over_is_no_turn() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.1)
        call.turns.take(AnswerEnds("resp_1", cut=True))
        await call.speak(0.1)

    assert on_a_call(script).said() == ["answer_started", "answer_cut", "answer_stopped"]


def test_where_it_was_cut_is_what_the_loudspeaker_had_played() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.2)
        call.loudspeaker.take(PlaybackStarted(at=0.15, position_s=0.0, response_id="resp_1"))
        await call.speak(0.8)
        call.turns.take(AnswerEnds("resp_1", cut=True))

        await call.silence(0.5)

    call = on_a_call(script)
    cut = next(event for event in call.events if isinstance(event, TurnAnswerCut))
    assert cut.heard_ms == pytest.approx(850, abs=1)  # a second was given out, 150 ms ahead
    assert cut.heard_chars == int(0.85 * USUAL_RATE)
    assert call.progress[-1].heard_chars <= cut.heard_chars
    assert call.progress[-1].at < cut.at


def test_an_answer_is_heard_on_when_all_of_it_was_given_out() -> None:
    async def script(call: Call) -> None:
        call.tells = True
        await call.speak(0.2)
        call.loudspeaker.take(PlaybackStarted(at=0.3, position_s=0.0, response_id="resp_1"))
        await call.speak(0.8)
        call.turns.take(AnswerEnds("resp_1"))
        await call.silence(0.6)

    call = on_a_call(script)
    stopped = next(event for event in call.events if isinstance(event, TurnAnswerStopped))
    last = call.progress[-1]
    assert last.at > stopped.at + 0.1
    assert (last.heard_ms, last.heard_chars) == (pytest.approx(1000, abs=1), 100)
    assert [event.heard_ms for event in call.progress[:-1]] == [
        pytest.approx((event.at - 0.3) * 1000, abs=1) for event in call.progress[:-1]
    ]


def test_the_next_answer_ends_the_one_before() -> None:
    async def script(call: Call) -> None:
        await call.speak(0.1, "resp_1")
        await call.speak(0.1, "resp_2")
        call.turns.take(AnswerEnds("resp_2"))
        await call.silence(0.1)

    call = on_a_call(script)
    assert call.said() == ["answer_started", "answer_stopped"] * 2
    stopped = [event for event in call.events if isinstance(event, TurnAnswerStopped)]
    assert [event.response_id for event in stopped] == ["resp_1", "resp_2"]


def test_the_user_has_one_stop_whoever_tells_it() -> None:
    async def script(call: Call) -> None:
        call.turns.take(UserSpeaks(speaking=True, item_id="item_1"))
        call.turns.take(UserSpeaks(speaking=False, item_id="item_1"))  # speech_stopped
        call.turns.take(UserSpeaks(speaking=False, item_id="item_1"))  # committed
        call.turns.take(UserSpeaks(speaking=True, item_id="item_2"))
        call.turns.take(UserSpeaks(speaking=False, item_id="item_1"))  # late news

    call = on_a_call(script)
    assert call.said() == ["user_started", "user_stopped", "user_started"]


def test_a_call_that_dies_stops_both() -> None:
    async def script(call: Call) -> None:
        call.turns.take(UserSpeaks(speaking=True, item_id="item_1"))
        await call.speak(0.1)
        call.turns.end()
        call.turns.end()

    assert on_a_call(script).said() == [
        "user_started", "answer_started", "user_stopped", "answer_cut", "answer_stopped",
    ]  # fmt: skip


ids = st.sampled_from(["", "a", "b"])
steps = st.one_of(
    st.builds(UserSpeaks, speaking=st.booleans(), item_id=ids),
    st.builds(AnswerEnds, ids, cut=st.booleans(), told=st.booleans()),
    st.tuples(ids, st.sampled_from([0, 8000]), st.integers(1, 40)),
)


@settings(deadline=None, max_examples=60)  # the machine is shared
@given(st.lists(steps, max_size=30))
def test_every_start_gets_exactly_one_stop(steps: list[Any]) -> None:
    async def script(call: Call) -> None:
        for step in steps:
            if isinstance(step, tuple):
                response_id, peak, frames = step
                await call.speak(frames * SLOT_S, response_id, peak)
            else:
                call.turns.take(step)
        call.turns.end()

    said = on_a_call(script).said()
    for who in ("user", "answer"):
        turns = [each for each in said if each in {f"{who}_started", f"{who}_stopped"}]
        assert turns == [f"{who}_started", f"{who}_stopped"] * (len(turns) // 2)
