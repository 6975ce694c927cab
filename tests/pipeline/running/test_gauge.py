"""gauge: a stage says in a few words how it is doing, and `run` shows it in its status line."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from helpers.actors import Collect, Ramp, play
from rtpipe import audio
from rtpipe.cli.display import status_line
from rtpipe.cli.narration import Narrator
from rtpipe.running.runtime import Pipeline
from rtpipe.running.state import StageState
from rtpipe.running.supervisor import Status
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


def test_the_status_line_shows_it_behind_the_meter_or_alone() -> None:
    loud = audio.from_pcm(np.full(960, 32767, np.int16), sample_rate=48_000, pts=0)

    def state(id: str, *, meter: bool, gauge: str) -> StageState:
        return StageState(id, id, Status.OK, meter, loud, (), 0, gauge)

    line = status_line(
        [
            state("mic", meter=True, gauge="+38 ppm"),
            state("camera", meter=True, gauge=""),
            state("speaker", meter=False, gauge="-2 ppm"),
            state("recorder", meter=False, gauge=""),
        ],
        61.5,
        Narrator(),
    )
    shown = "01:01.5 │ mic ██████ +38 ppm │ camera ██████ │ speaker -2 ppm │ quiet"
    assert line.startswith(shown)
