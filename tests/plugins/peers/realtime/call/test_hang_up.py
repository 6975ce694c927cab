"""When a conversation is over although nobody hangs up."""

from __future__ import annotations

from typing import Any

import pytest

from rtpipe_plugins.peers.realtime.call.hang_up import SIGN_S, VERDICT_S, WORDS_S, HangUp

PATIENCE_S = 45.0


def at(hang_up: HangUp, now: float, **changes: Any) -> bool:
    facts = {"idle": True, "answering": False, "transcribing": False}
    times = {"hangover_s": 0.5, "sent_at": 0.0, "heard_at": 0.0, "news_at": 0.0}
    return hang_up.reached(now, **{**facts, **times, **changes})


def test_speech_that_has_just_ended_gets_time_to_be_noticed() -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 0.1)
    assert not at(hang_up, 0.5 + VERDICT_S - 0.01)
    assert at(hang_up, 0.5 + VERDICT_S)


def test_silence_at_the_end_of_the_input_counts() -> None:
    assert at(HangUp(PATIENCE_S), 30.0, sent_at=27.0)


def test_an_answer_is_waited_for_and_then_its_last_sample() -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 5.0, idle=False, news_at=4.9)
    assert not at(hang_up, 9.0, idle=False, heard_at=9.0)
    assert not at(hang_up, 9.1, heard_at=9.05)
    assert at(hang_up, 9.35, heard_at=9.1)
    assert hang_up.gave_up_after_s is None


def test_a_far_end_that_is_never_silent_does_not_hold_us_for_ever() -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 9.0, heard_at=9.0)
    assert not at(hang_up, 9.9, heard_at=9.9)
    assert at(hang_up, 10.0, heard_at=10.0)


@pytest.mark.parametrize(("answering", "patience_s"), [(False, SIGN_S), (True, PATIENCE_S)])
def test_an_answer_that_does_not_come_is_given_up(*, answering: bool, patience_s: float) -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 1.0, idle=False, answering=answering)
    assert not at(hang_up, 1.9 + patience_s, idle=False, answering=answering, news_at=2.0)
    assert hang_up.gave_up_after_s is None
    assert at(hang_up, 2.1 + patience_s, idle=False, answering=answering, news_at=2.0)
    assert hang_up.gave_up_after_s == pytest.approx(patience_s + 0.1)


def test_whoever_is_known_to_be_slow_and_to_work_is_waited_for() -> None:
    hang_up = HangUp(PATIENCE_S)
    for second in range(0, 600, 40):  # a delta every forty seconds
        assert not at(hang_up, second, idle=False, answering=True, news_at=second - 40)


def test_what_was_asked_for_only_now_is_not_given_up_for_an_old_silence() -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 300.0, idle=False)
    assert not at(hang_up, 300.0 + SIGN_S, idle=False)
    assert at(hang_up, 300.1 + SIGN_S, idle=False)


def test_a_function_of_ours_is_no_silence_of_the_servers() -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 1.0, idle=False, news_at=1.0)
    assert not at(hang_up, 300.0, idle=False, news_at=300.0)
    assert not at(hang_up, 301.0, idle=False)


def test_the_visitors_words_are_waited_for_but_not_for_long() -> None:
    hang_up = HangUp(PATIENCE_S)
    assert not at(hang_up, 10.0, transcribing=True)
    assert not at(hang_up, 10.0 + WORDS_S - 0.1, transcribing=True)
    assert at(hang_up, 10.0 + WORDS_S, transcribing=True)
    assert hang_up.gave_up_after_s is None
