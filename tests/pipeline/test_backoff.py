"""Exponential back-off: how pauses grow, what chance does to them, and what the far end may ask."""

from __future__ import annotations

from rtpipe import Backoff


def longest(initial_s: float, max_s: float) -> Backoff:
    return Backoff(initial_s, max_s, chance=lambda: 1.0)


def test_pauses_double_up_to_the_longest() -> None:
    backoff = longest(0.5, 15)
    assert [backoff.pause_s(n) for n in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]


def test_so_much_of_a_pause_is_left_to_chance_as_jitter_says() -> None:
    for jitter, least in ((0.0, 8.0), (0.5, 4.0), (1.0, 0.0)):
        shortest = Backoff(1, 100, jitter=jitter, chance=lambda: 0.0)
        assert shortest.pause_s(3) == least
        assert {least <= Backoff(1, 100, jitter=jitter).pause_s(3) <= 8 for _ in range(99)} == {
            True
        }


def test_what_the_far_end_asks_for_is_the_least_but_not_for_ever() -> None:
    backoff = longest(0.5, 15)
    assert backoff.pause_s(0, 7.0) == 7.0
    assert backoff.pause_s(1, 0.1) == 1.0
    assert backoff.pause_s(2, 1e9) == 3600.0
    assert Backoff(0.5, 15, patience_s=300.0).pause_s(2, 1e9) == 300.0


def test_a_month_of_attempts_does_not_overflow() -> None:
    assert longest(0.5, 15).pause_s(10**9) == 15.0
