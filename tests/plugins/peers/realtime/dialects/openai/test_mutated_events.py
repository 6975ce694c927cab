"""Recorded events, each spoilt in some way: nothing raises, and the next turn in order is heard."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.peers.realtime.dialects.openai.mutations import run


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_spoilt_event_ends_a_call_or_costs_the_next_turn(seed: int) -> None:
    run(100, seed)


@pytest.mark.slow
def test_a_great_many_spoilt_events() -> None:
    """`mutations.py` as a command runs a million."""
    seed = random.SystemRandom().randrange(2**32)
    assert run(30_000, seed) > 3_000  # what fails names the seed
