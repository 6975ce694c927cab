"""The view on a real pipeline, its keys pressed as on a terminal."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from textual.pilot import Pilot

import rtpipe
from rtpipe import EnvironmentProblem
from rtpipe_control import sockets, surface
from rtpipe_control.commands.top import command
from rtpipe_control.commands.top.app import Top
from rtpipe_control.commands.top.command import top
from rtpipe_control.options import Wanted

TONE = """
version: 1
name: NAME
stages:
  - tone: {level_dbfs: -20, realtime: true}
  - gain: 0
  - blackhole
"""


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setattr(sockets, "_SYSTEM", Path(folder))  # root's own would be found, too
        yield


def shown(app: Top) -> str:
    return "\n".join("".join(span.text for span in line) for line in app._canvas.lines)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await pilot.pause(0.05)


def gain_of(app: Top) -> float:
    level = app.state.level("gain")
    return 0.0 if level is None else level[0]


@pytest.mark.slow
async def test_a_pipeline_is_muted_by_a_key_and_goes_on_without_the_view() -> None:
    pipeline = rtpipe.loads(TONE.replace("NAME", "desk"))
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        app = Top("desk", interval_s=0.05)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: -21 < gain_of(app) < -19)
            assert "0 dB" in shown(app)
            assert "█" in shown(app)
            await pilot.press("m")
            await until(pilot, lambda: gain_of(app) < -100)
            await until(pilot, lambda: "m unmute" in shown(app))
            assert app.state.level("tone") is not None
            assert app.state.level("tone")[0] > -21  # type: ignore[index]
            await pilot.press("m")
            await until(pilot, lambda: gain_of(app) > -21)
            await pilot.press("x")
            await until(pilot, lambda: "stop: nobody speaks in this pipeline" in shown(app))
            await pilot.press("down", "down")
            await until(pilot, lambda: "gain_db 0.0" in shown(app))
            await pilot.press("question_mark")
            await until(pilot, lambda: "Mute `gain`." in shown(app))
            await pilot.press("escape", "escape")
            await until(pilot, lambda: app.look.selected == "")
            await pilot.resize_terminal(40, 10)
            await until(pilot, lambda: len(app._canvas.lines) == 10)
            assert all(
                sum(map(len, (span.text for span in line))) <= 40 for line in app._canvas.lines
            )
            await pilot.press("q")
        assert app.left == "desk goes on"
        assert pipeline.state()[0].status.value == "ok"


@pytest.mark.slow
async def test_events_are_matched_by_what_is_typed() -> None:
    pipeline = rtpipe.loads(TONE.replace("NAME", "desk"))
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        app = Top("desk", interval_s=0.05)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "stage.status_changed" in shown(app))
            await pilot.press("slash", *"pipeline.st*", "enter")
            await until(pilot, lambda: app.look.match == "pipeline.st*")
            await until(pilot, lambda: "stage.status_changed" not in shown(app))
            assert "pipeline.started" in shown(app)
            await pilot.press("q")


@pytest.mark.slow
async def test_an_end_is_said_and_a_new_run_of_the_name_is_taken_up() -> None:
    app = Top("desk", interval_s=0.05)
    async with app.run_test(size=(80, 24)) as pilot:
        pipeline = rtpipe.loads(TONE.replace("NAME", "desk"))
        async with surface.opened(pipeline, Wanted(None)), pipeline:
            await until(pilot, lambda: -21 < gain_of(app) < -19)
        await until(pilot, lambda: "THE PIPELINE HAS ENDED" in shown(app))
        await pilot.press("m")
        await until(pilot, lambda: "mute: it is over" in shown(app))
        again = rtpipe.loads(TONE.replace("NAME", "desk").replace("gain: 0", "gain: -6"))
        async with surface.opened(again, Wanted(None)), again:
            await until(pilot, lambda: -27 < gain_of(app) < -25)
            assert "HAS ENDED" not in shown(app)
            await pilot.press("q")


async def test_several_are_listed_and_one_is_opened_and_left() -> None:
    first = rtpipe.loads(TONE.replace("NAME", "first"))
    second = rtpipe.loads(TONE.replace("NAME", "second"))
    async with (
        surface.opened(first, Wanted(None)),
        first,
        surface.opened(second, Wanted(None)),
        second,
    ):
        app = Top(None, interval_s=0.05)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "2 pipelines" in shown(app))
            assert shown(app).index("first") < shown(app).index("second")
            await pilot.press("down", "enter")
            await until(pilot, lambda: shown(app).startswith(" second "))
            await pilot.press("escape")
            await until(pilot, lambda: "2 pipelines" in shown(app))
            await pilot.press("q")


def ended(*args: str) -> Exception:
    """Run the command; returns what it ends with."""
    found = CliRunner().invoke(top, args).exception
    assert isinstance(found, EnvironmentProblem)
    assert found.exit_code == 69
    return found


async def test_without_a_pipeline_a_terminal_or_textual_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert f"{ended('gone')}" == "no pipeline `gone` runs here"
    assert f"{ended()}" == "no pipeline of yours runs here"
    pipeline = rtpipe.loads(TONE.replace("NAME", "desk"))
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        assert f"{await asyncio.to_thread(ended)}" == "`rtpipe top` needs a terminal"
    monkeypatch.setitem(sys.modules, "textual", None)
    problem = ended()
    assert isinstance(problem, EnvironmentProblem)
    assert problem.help == "pip install 'rtpipe-media[top]'"


@pytest.mark.parametrize(("names", "opened"), [(["desk"], "desk"), (["desk", "hall"], None)])
def test_one_is_opened_at_once(
    names: list[str], opened: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str | None] = []

    class Seen:
        left = ""

        def __init__(self, name: str | None, **_: object) -> None:
            made.append(name)

        def run(self, **_: object) -> None: ...

    monkeypatch.setattr(sockets, "found", lambda: [Path(f"{name}.sock") for name in names])
    monkeypatch.setattr(command, "_has_terminal", lambda: True)
    monkeypatch.setattr("rtpipe_control.commands.top.app.Top", Seen)
    assert CliRunner().invoke(top, []).exit_code == 0
    assert made == [opened]
