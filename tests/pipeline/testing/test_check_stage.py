"""check_stage: good stages pass, and a bad one is told which promise it breaks and what to do."""

import asyncio
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pipeline.testing import bad_stages
from pipeline.testing.bad_stages import GOOD, MISTAKES, Blurts, LeavesAThread, NormalisesByFrame
from pipeline.testing.good_stages import Beep, Count, Echo, Endless, Remember, Wobble
from rtpipe import EnvironmentProblem, Specimen, import_file
from rtpipe.testing import check_stage, speech_like


@pytest.mark.parametrize("stage_type", [Wobble, Count, Beep, Endless, Echo, Remember, *GOOD])
def test_good_stages_pass(stage_type: Any) -> None:
    check_stage(stage_type)


def test_a_stage_on_asyncios_own_loop() -> None:
    check_stage(Count, real_time=True)


def test_what_cannot_open_here_is_no_finding() -> None:
    class NeedsDevice(Count):
        kind = "needs_device"

        async def open(self) -> None:
            raise EnvironmentProblem("no device")

        async def close(self) -> None:
            return

    with pytest.raises(EnvironmentProblem, match="no device"):
        check_stage(NeedsDevice)


def findings(stage_type: Any, **choices: Any) -> list[str]:
    with pytest.raises(AssertionError) as caught:
        check_stage(stage_type, **choices)
    return str(caught.value).split("\n  - ")[1:]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_remedy_and_nothing_else_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtpipe.testing.trial._THREAD_END_S", 0.01)
    monkeypatch.setattr(LeavesAThread, "ended", threading.Event())
    mistake = MISTAKES[name]
    found = findings(mistake.stage, frames=speech_like(seconds=0.4), real_time=mistake.real_time)
    LeavesAThread.ended.set()
    for finding in found:
        assert re.search(mistake.named, finding), finding
        assert re.search(mistake.remedy, finding), finding
    assert found


def test_no_bad_stage_is_forgotten() -> None:
    known = {mistake.stage for mistake in MISTAKES.values()} | set(GOOD)
    stages = {
        each
        for each in vars(bad_stages).values()
        if isinstance(each, type)
        and each.__module__ == bad_stages.__name__
        and hasattr(each, "kind")
    }
    assert stages <= known | {bad_stages.ClosesOnlyOnce}
    assert len(MISTAKES) > 60
