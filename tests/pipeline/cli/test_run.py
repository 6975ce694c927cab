"""`run`: the terminal and the watchdog hang on the pipeline as any plugin does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from helpers import actors
from rtpipe import Transform, hookimpl
from rtpipe.audio import AudioFrame
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli

FILE = "version: 1\nstages: [ramp: 20, collect]\n"


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    made = actors.registry()
    monkeypatch.setattr(Registry, "discover", lambda: made)
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(FILE)
    actors.heard.clear()
    return made


def rtpipe(*args: str) -> Result:
    result = CliRunner().invoke(cli, ["run", *args])
    assert result.exit_code == 0, result.output
    assert len(actors.whole("collect")) == 20 * actors.BATCH
    return result


def test_both_are_plugins_of_that_run(plugins: Registry) -> None:
    assert "ended: end of stream" in rtpipe("a.yaml").stderr
    assert [record.name for record in plugins.records][-4:] == [
        "terminal",
        "watchdog",
        "audio_watch",
        "reloads",
    ]
    assert not plugins.faulty


def test_without_them_everything_runs_and_nobody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtpipe.cli.display.Terminal", lambda *_, **__: object())
    monkeypatch.setattr("rtpipe.cli.watchdog", object())
    assert rtpipe("a.yaml").output == ""


def test_the_terminal_is_entered_first_and_tells_of_another_that_fails(plugins: Registry) -> None:
    class Broken:
        @hookimpl
        def rtpipe_running(self, pipeline: Any) -> None:
            raise OSError("no lamp")

    plugins.register(Broken(), "lamp")
    assert "the plugin `lamp` failed: OSError('no lamp')" in rtpipe("a.yaml").stderr


def test_a_stage_that_holds_the_loop_is_named(plugins: Registry) -> None:
    import time

    class Drowsy(Transform[actors.FaultOptions]):
        kind = "drowsy"
        slept = False

        def process(self, frame: AudioFrame) -> AudioFrame:
            if not self.slept:
                self.slept = True
                time.sleep(0.9)
            return frame

    class Plugin:
        @hookimpl
        def rtpipe_stages(self) -> list[Any]:
            return [Drowsy]

    plugins.register(Plugin(), "drowsy")
    expression = "ramp frames=100 live=true ! drowsy ! collect"
    said = CliRunner().invoke(cli, ["run", "-x", expression, "--until", "stage.stalled"]).stderr
    (line,) = [line for line in said.splitlines() if "held the event loop" in line]
    assert "drowsy" in line
    assert "in process" in line
    assert not line.startswith("00:00.0 ")


def test_an_option_of_a_plugin_never_takes_the_place_of_the_commands_own(
    plugins: Registry,
) -> None:
    import click

    class Greedy:
        @hookimpl
        def rtpipe_run_options(self) -> list[click.Option]:
            return [click.Option(["--until"], help="Mine.")]

    record = plugins.register(Greedy(), "greedy")
    said = rtpipe("a.yaml").stderr
    assert "the plugin `greedy` (registered by the program) cannot be used" in said
    assert "`rtpipe run` already has the option --until" in said
    assert record.fault is not None


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("pipeline.startd", "did you mean `pipeline.started`?"),
        ("nothing.*", "in this file there are"),
    ],
)
def test_an_end_that_cannot_come_is_refused_before_anything_is_opened(
    event: str, said: str
) -> None:
    result = CliRunner().invoke(cli, ["run", "-x", "ramp ! collect", "--until", event])
    assert result.exit_code == 78
    assert "--> --until:1:1" in result.stderr
    assert said in result.stderr
