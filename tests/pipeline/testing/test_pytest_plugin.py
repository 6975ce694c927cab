"""The pytest plugin, in a project of a stranger's: found by its entry point, and of no weight."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rtpipe
from helpers.imports import HEAVY
from helpers.packages import needs_server

STAGE = '''
from rtpipe import Options, Specimen, Transform, audio, hookimpl


class HalfOptions(Options):
    by: float = 0.5
    """What is left of the volume."""


class Half(Transform[HalfOptions]):
    """Half as loud."""

    kind = "half"

    @classmethod
    def specimens(cls, folder):
        yield Specimen({"by": 0.25}, label="a quarter")
        yield Specimen({"by": 0.5})

    def process(self, frame):
        return audio.like(frame, audio.samples(frame) * self.options.by)


@hookimpl
def rtpipe_stages():
    return [Half]
'''
TESTS = '''
import asyncio
from pathlib import Path

import pytest
from rtpipe_half import Half
from rtpipe import RtpipeError
from rtpipe.testing import check_stage, run_stage, stage_types, tone

FILE = """
version: 1
stages:
  - tone: {duration_s: 60, realtime: true}
  - half: {by: 0.1}
  - level
  - file_sink: {path: out.wav, overwrite: true}
"""


@pytest.mark.parametrize("stage_type", stage_types("rtpipe-half"))
def test_it_keeps_the_contract(stage_type):
    check_stage(stage_type)


def test_a_text_runs_beside_the_test_s_own_files(run_pipeline, tmp_path):
    events = run_pipeline(FILE, "level")
    assert events[-1].rms_dbfs == pytest.approx(-40, abs=0.1)
    assert (tmp_path / "out.wav").is_file()


def test_a_file(run_pipeline, tmp_path):
    path = tmp_path / "whole.yaml"
    path.write_text(FILE)
    events = run_pipeline(path, "pipeline.ended", sets=["tone.duration_s=3"])
    assert [round(event.at) for event in events] == [3]


def test_a_stage_that_is_not_installed(run_pipeline):
    class Quarter(Half):
        """A quarter as loud."""

        kind = "quarter"

    text = FILE.replace("half:", "quarter:")
    assert run_pipeline(text, "level", stages=[Quarter])[-1].rms_dbfs < -39
    with pytest.raises(RtpipeError, match="quarter"):
        run_pipeline(text)
    assert run_pipeline(FILE, "pipeline.ended", stages=[Half])  # one that is


def test_a_call(run_pipeline, scripted_peer):
    text = """
    version: 1
    stages:
      - tone: {waveform: speech_like, duration_s: 2, realtime: true}
      - realtime: {instructions: Be brief.}
      - blackhole
    """
    turns = [{"transcribe": "Where is the café?", "say": "On the left."}]
    for script in (turns, {"turns": turns}, "turns: [{transcribe: x, say: On the left.}]"):
        said = run_pipeline(text, "transcript.assistant", sets=scripted_peer(script))
        assert [event.text for event in said] == ["On the left."]


def test_virtual_time_for_a_plain_test(virtual_time):
    assert virtual_time(run_stage(Half, {}, tone(seconds=1))).samples == 48_000


async def test_an_async_test_is_in_virtual_time(virtual_time, tmp_path):
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == 3600
    assert tmp_path.is_dir()


class TestMethods:
    async def test_a_method_too(self, virtual_time):
        await asyncio.sleep(1800)
        assert asyncio.get_running_loop().time() == 1800


@pytest.mark.xfail(strict=True, raises=AssertionError)
async def test_what_fails_in_virtual_time_fails(virtual_time):
    await asyncio.sleep(60)
    raise AssertionError
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A stranger's package, installed, beside a rtpipe that is installed."""
    site = tmp_path / "site"
    for name, version, points in (
        ("rtpipe_half", "0.1.0", "[rtpipe]\nhalf = rtpipe_half\n"),
        ("pytest_rtpipe", "0", "[pytest11]\nrtpipe = rtpipe.testing.pytest_plugin\n"),
    ):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        dashed = name.replace("_", "-")
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {dashed}\nVersion: {version}\n"
        )
        info.joinpath("entry_points.txt").write_text(points)
    (site / "rtpipe_half.py").write_text(STAGE)
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def run_tests(project: Path, tests: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a stranger's tests; warnings are errors there, too."""
    (project / "test_it.py").write_text(tests)
    (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    paths = [str(project.parent / "site"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=project,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


ALONE = ("-p", "no:asyncio", "-p", "no:xdist", "-p", "no:hypothesispytest")
SCOPE = ("-o", "asyncio_default_fixture_loop_scope=function")
STRICT = ("-o", "asyncio_mode=strict", *SCOPE)
AUTO = ("-o", "asyncio_mode=auto", *SCOPE)


@needs_server
@pytest.mark.slow
@pytest.mark.parametrize("words", [ALONE, STRICT, AUTO], ids=["pytest alone", "strict", "auto"])
def test_the_fixtures_work(words: tuple[str, ...], project: Path) -> None:
    ran = run_tests(project, TESTS, *words)
    assert "8 passed, 1 xfailed" in ran.stdout, ran.stdout + ran.stderr


def test_who_uses_none_of_it_loads_none_of_it(project: Path) -> None:
    forbidden = sorted({*HEAVY, "pydantic", "ruamel", "rtpipe.stage"})
    tests = f"""
import sys

def test_nothing():
    assert "rtpipe.testing.pytest_plugin" in sys.modules
    assert not set({forbidden}) & set(sys.modules)
    assert sorted(m for m in sys.modules if m.split(".")[0] == "rtpipe") == [
        "rtpipe", "rtpipe.testing", "rtpipe.testing.pytest_plugin"
    ]

async def test_other_async_tests_are_left_alone():
    pass
"""
    ran = run_tests(project, tests, *ALONE, "-W", "ignore")
    assert "1 failed, 1 passed" in ran.stdout, ran.stdout
    assert "async def functions are not natively supported" in ran.stdout


def test_who_has_imported_it_before_is_not_warned(project: Path) -> None:
    from _pytest.assertion.rewrite import AssertionRewriter

    assert AssertionRewriter.is_rewrite_disabled(rtpipe.__doc__ or "")


def test_the_entry_point_is_declared() -> None:
    import tomllib

    text = (Path(rtpipe.__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    points = tomllib.loads(text)["project"]["entry-points"]
    assert points["pytest11"] == {"rtpipe": "rtpipe.testing.pytest_plugin"}
