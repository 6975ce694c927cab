"""gauge: a stage says in a few words how it is doing, and `run` shows it in its status line."""

from __future__ import annotations

import asyncio

import pytest

from helpers.actors import Collect, Ramp, play
from rtpipe.running.runtime import Pipeline
from rtpipe.running.state import StageState
from rtpipe.testing import run_virtual


def gauges_in_mid_run() -> list[str]:
    """Return what a source and a sink say while audio moves."""
    states: list[StageState] = []

    async def look(pipeline: Pipeline) -> None:
        await asyncio.sleep(0.2)
        states.extend(pipeline.state())

    text = "stages: [ramp: {live: true, frames: 20}, collect]"
    played = run_virtual(play(text, meanwhile=look, secrets=frozenset({"sk-secret-1"})))
    assert played.error is None
    assert played.pipeline is not None
    assert [state.gauge for state in played.pipeline.state()] == ["", ""], "nothing runs any more"
    return [state.gauge for state in states]


def test_what_stages_say_is_read_and_no_secret_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ramp, "gauge", lambda _: "+38 ppm by sk-secret-1")
    assert gauges_in_mid_run() == ["+38 ppm by ***", ""]


def test_a_gauge_that_raises_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Collect, "gauge", lambda _: f"{1 / 0}")
    assert gauges_in_mid_run() == ["", "?"]
