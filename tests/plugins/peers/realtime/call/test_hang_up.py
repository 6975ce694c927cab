"""When a conversation is over although nobody hangs up."""

from __future__ import annotations

from typing import Any

from rtpipe_plugins.peers.realtime.call.hang_up import PATIENCE_S, VERDICT_S, WORDS_S, HangUp


def at(hang_up: HangUp, now: float, **changes: Any) -> bool:
    facts = {"idle": True, "transcribing": False, "hangover_s": 0.5}
    times = {"sent_at": 0.0, "heard_at": 0.0, "news_at": 0.0}
    return hang_up.reached(now, **{**facts, **times, **changes})


def test_speech_that_has_just_ended_gets_time_to_be_noticed() -> None:
    hang_up = HangUp()
    assert not at(hang_up, 0.1)
    assert not at(hang_up, 0.5 + VERDICT_S - 0.01)
    assert at(hang_up, 0.5 + VERDICT_S)


def test_silence_at_the_end_of_the_input_counts() -> None:
    assert at(HangUp(), 30.0, sent_at=27.0)


def test_an_answer_is_waited_for_and_then_its_last_sample() -> None:
    hang_up = HangUp()
    assert not at(hang_up, 5.0, idle=False, news_at=4.9)
    assert not at(hang_up, 9.0, idle=False, heard_at=9.0)
    assert not at(hang_up, 9.1, heard_at=9.05)
    assert at(hang_up, 9.35, heard_at=9.1)
    assert not hang_up.gave_up


def test_a_far_end_that_is_never_silent_does_not_hold_us_for_ever() -> None:
    hang_up = HangUp()
    assert not at(hang_up, 9.0, heard_at=9.0)
    assert not at(hang_up, 9.9, heard_at=9.9)
    assert at(hang_up, 10.0, heard_at=10.0)


def test_an_answer_that_does_not_come_is_given_up() -> None:
    hang_up = HangUp()
    assert not at(hang_up, PATIENCE_S, idle=False, news_at=1.0)
    assert at(hang_up, PATIENCE_S + 1.1, idle=False, news_at=1.0)
    assert hang_up.gave_up


def test_the_visitors_words_are_waited_for_but_not_for_long() -> None:
    hang_up = HangUp()
    assert not at(hang_up, 10.0, transcribing=True)
    assert not at(hang_up, 10.0 + WORDS_S - 0.1, transcribing=True)
    assert at(hang_up, 10.0 + WORDS_S, transcribing=True)
    assert not hang_up.gave_up
