"""check_stage: good stages pass, and a bad one is told which promise it breaks and what to do."""

import asyncio
import re
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.testing import bad_stages
from pipeline.testing.bad_stages import (
    GOOD,
    MISTAKES,
    Blurts,
    Good,
    LeavesAThread,
    NormalisesByFrame,
    WaitsInAThread,
)
from pipeline.testing.good_stages import Beep, Count, Echo, Endless, Remember, Wobble
from rtpipe import (
    EnvironmentProblem,
    Options,
    PluginError,
    Specimen,
    Transform,
    import_file,
)
from rtpipe.testing import check_stage, speech_like, stage_types


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


SLOW = {
    "blocks in process",
    "blocks in consume",
    "blocks in open",
    "a slow gauge",
    "a slow examination",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in MISTAKES],
)
def test_a_mistake_is_named_with_its_remedy_and_nothing_else_is(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtpipe.testing.trial._THREAD_END_S", 0.01)
    monkeypatch.setattr(LeavesAThread, "ended", threading.Event())
    monkeypatch.setattr(WaitsInAThread, "pressed", threading.Event())
    mistake = MISTAKES[name]
    if mistake.stage is WaitsInAThread:
        monkeypatch.setattr("rtpipe.testing.trial._THREAD_S", 0.05)
    found = findings(mistake.stage, frames=speech_like(seconds=0.4))
    LeavesAThread.ended.set()
    WaitsInAThread.pressed.set()
    for file in bad_stages.LEFT_OPEN:
        file.close()
    named = [finding for finding in found if not re.search(mistake.also, finding)]
    for finding in named:
        assert re.search(mistake.named, finding), finding
        assert re.search(mistake.remedy, finding), finding
    assert named


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
    assert len(MISTAKES) > 75


def test_all_findings_are_told_at_once() -> None:
    class TwoFaults(Blurts):
        async def open(self) -> None:
            await super().open()
            self.task = asyncio.create_task(asyncio.sleep(3600))

    found = "".join(findings(TwoFaults))
    assert "blurt.out" in found
    assert "task sleep" in found


def test_tolerance_may_be_waived() -> None:
    check_stage(NormalisesByFrame, tolerance=None)


def test_what_swallows_every_cancel_ends_the_trial_all_the_same() -> None:
    class Immortal(Good):
        async def close(self) -> None:
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    continue

    assert "did not come to an end" in findings(Immortal)[0]


def test_a_module_that_imports_much_is_told_so(tmp_path: Path) -> None:
    source = """
import aiohttp
from rtpipe import Options, Transform


class Cloud(Transform[Options]):
    \"\"\"Asks a server.\"\"\"

    kind = "cloud"

    def process(self, frame):
        return frame
"""
    path = tmp_path / "cloud.py"
    path.write_text(source)
    (told,) = findings(import_file(path).Cloud)
    assert "its module imports aiohttp at the top" in told
    assert "import it in open()" in told
    path.write_text(source.replace("import aiohttp\n", ""))
    check_stage(import_file(path, again=True).Cloud)


# --- specimens


class VolumeOptions(Options):
    volume: float
    """From 0 to 1."""


class Choosy(Good, Transform[VolumeOptions]):
    """Works at full volume only."""

    log: list[str]

    @classmethod
    @contextmanager
    def server(cls) -> Any:
        cls.log.append("started")
        yield
        cls.log.append("stopped")

    @classmethod
    def specimens(cls, folder: Path) -> Any:
        cls.log = [str(folder)]
        assert list(folder.iterdir()) == []
        yield Specimen({"volume": 1.0})
        with cls.server():
            yield Specimen({"volume": 0.5}, label="half")

    def process(self, frame: Any) -> Any:
        if self.options.volume < 1.0:  # type: ignore[attr-defined]
            raise ValueError("too soft")
        return frame


def test_every_specimen_is_checked_and_its_surroundings_end() -> None:
    (told,) = findings(Choosy)
    assert "too soft" in told
    assert "[half: frames of 20 ms;" in told
    assert Choosy.log[1:] == ["started", "stopped"]
    assert not Path(Choosy.log[0]).exists()
    check_stage(Choosy, {"volume": 1.0})


def test_the_stages_of_a_distribution() -> None:
    kinds = {each.kind for each in stage_types("rtpipe-media")}
    assert {"mic", "gain", "realtime", "log"} <= kinds
    assert kinds <= {each.kind for each in stage_types()}
    with pytest.raises(PluginError, match="rtpipe-nowhere has no stage"):
        stage_types("rtpipe-nowhere")
