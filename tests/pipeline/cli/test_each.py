"""`run --each`: pipelines beside one another in one process."""

from __future__ import annotations

import logging
import re
import signal
import time
import wave
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from helpers import actors
from helpers.command import rtpipe, running
from helpers.terminal import shown
from rtpipe import Options, Transform, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtpipe.audio import AudioFrame

LIVE = "version: 1\nstages: [ramp: {frames: 20, live: true}, collect]\n"
FAILING = "version: 1\nstages: [ramp: {frames: 20, live: true, unplugged_at: 2}, collect]\n"
FORBIDDEN = "version: 1\nstages: [ramp: {live: true}, fault: {at: 6, for_good: true}, collect]\n"
RECORDING = """
version: 1
stages: [tone: {realtime: true}, file_sink: %s]
events: [{match: pipeline.audio_started*, log: info}]
"""


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    made = actors.registry()
    monkeypatch.setattr(Registry, "discover", lambda: made)
    monkeypatch.chdir(tmp_path)
    actors.heard.clear()
    actors.Ramp.opened = 0
    actors.Fault.instances = 0
    return made


def run(*args: str, **files: str) -> Result:
    for name, text in files.items():
        Path(f"{name}.yaml").write_text(text)
    return CliRunner().invoke(cli, ["run", "--each", *(f"{name}.yaml" for name in files), *args])


@pytest.mark.usefixtures("plugins")
def test_each_file_is_a_pipeline_and_every_line_says_whose_it_is() -> None:
    ran = run(a=LIVE, b=f"name: second\n{LIVE}")
    assert ran.exit_code == 0, ran.output
    assert len(actors.heard["collect"]) == 40
    ends = [line.split()[1:] for line in ran.stderr.splitlines() if "ended" in line]
    assert sorted(ends) == [
        ["a", "pipeline", "ended:", "end", "of", "stream"],
        ["second", "pipeline", "ended:", "end", "of", "stream"],
    ]


@pytest.mark.usefixtures("plugins")
def test_what_fails_ends_no_other_and_the_first_gives_the_exit_code() -> None:
    ran = run(well=LIVE, forbidden=FORBIDDEN, unplugged=FAILING)
    assert ran.exit_code == 69, "unplugged: at its third frame; the other fails at its sixth"
    assert "unplugged: error: ramp: the cable is out" in ran.stderr
    assert "forbidden: error: fault: not for you" in ran.stderr
    assert ran.stderr.endswith("error: 2 of 3 pipelines failed: unplugged, forbidden\n")
    told = ran.stderr.index("unplugged: error"), ran.stderr.index("ended: end of stream")
    assert told == tuple(sorted(told)), "told at once"


@pytest.mark.usefixtures("plugins")
def test_a_file_may_run_twice_and_has_two_names() -> None:
    Path("a.yaml").write_text(LIVE)
    ran = CliRunner().invoke(cli, ["run", "--each", "a.yaml", "a.yaml"])
    assert ran.exit_code == 0, ran.output
    assert {line.split()[1] for line in ran.stderr.splitlines() if "ended" in line} == {"a", "a#2"}


@pytest.mark.usefixtures("plugins")
def test_mistakes_in_all_files_are_told_at_once_and_nothing_is_opened() -> None:
    ran = run(a=LIVE, b="version: 1\nstages: [rmap, collect]\n", c="stages: [ramp, collect]\n")
    assert ran.exit_code == 78
    assert "b.yaml:2:10" in ran.stderr
    assert "c.yaml" in ran.stderr
    assert actors.Ramp.opened == 0


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("args", [["-x", "ramp ! collect"], [], ["-", "-"]])
def test_there_must_be_files(args: list[str]) -> None:
    ran = CliRunner().invoke(cli, ["run", "--each", *args])
    assert ran.exit_code == 2
    assert "Usage" in ran.stderr


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("command", ["run", "validate", "print", "graph"])
def test_two_whole_pipelines_are_refused_with_the_way_out(command: str) -> None:
    for name in "ab":
        Path(f"{name}.yaml").write_text(LIVE)
    ran = CliRunner().invoke(cli, [command, "a.yaml", "b.yaml"])
    assert ran.exit_code == 78
    assert "error[E312]: b.yaml is a pipeline of its own, as is a.yaml" in ran.stderr
    assert "--each" in ran.stderr
    Path("b.yaml").write_text("stages: [ramp: 2, collect]\n")
    assert CliRunner().invoke(cli, [command, "a.yaml", "b.yaml"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [("--for", "0.2", "0.2 s are over"), ("--until", "pipeline.started", "pipeline.started came")],
)
def test_what_is_said_beside_the_files_holds_for_each(option: str, value: str, reason: str) -> None:
    endless = "version: 1\nstages: [ramp: {frames: 100000}, collect]\n"
    ran = run(option, value, "--set", "ramp.live=true", a=endless, b=endless)
    assert ran.exit_code == 0, ran.output
    assert ran.stderr.count(f"stopping: {reason}") == 2


@pytest.mark.usefixtures("plugins")
def test_a_dry_run_draws_each() -> None:
    ran = run("--dry-run", a=LIVE, b=LIVE)
    assert re.findall(r"^(\w+):$", ran.stdout, re.MULTILINE) == ["a", "b"]
    assert actors.Ramp.opened == 0


def test_plugins_hang_on_each_with_the_same_options(plugins: Registry) -> None:
    lit: list[Any] = []

    class Lamp:
        @hookimpl
        def rtpipe_run_options(self) -> list[click.Option]:
            return [click.Option(["--lamp"], help="Which.")]

        @hookimpl
        @asynccontextmanager
        async def rtpipe_running(self, pipeline: Any) -> AsyncIterator[None]:
            lit.append((pipeline.spec.name, pipeline.run_options))
            yield
            lit.append(f"{pipeline.spec.name} out")

    plugins.register(Lamp(), "lamp")
    ran = run("--lamp", "red", a=LIVE, b=LIVE)
    assert ran.exit_code == 0, ran.output
    assert lit[:2] == [("a", {"lamp": "red"}), ("b", {"lamp": "red"})]
    assert sorted(lit[2:]) == ["a out", "b out"]


class DrowsyOptions(Options):
    sleeps: bool = False


class Drowsy(Transform[DrowsyOptions]):
    """Holds the loop for 0.9 s; it also logs its first frame."""

    kind = "drowsy"
    woken = False

    def process(self, frame: AudioFrame) -> AudioFrame:
        if not self.woken:
            self.woken = True
            self.ctx.log.warning("first frame")
            if self.options.sleeps:
                time.sleep(0.9)
        return frame


class DrowsyPlugin:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Drowsy]


@pytest.mark.slow
def test_who_holds_the_loop_and_who_logs_is_told_of_its_pipeline_alone(plugins: Registry) -> None:
    plugins.register(DrowsyPlugin(), "drowsy")
    stages = "version: 1\nstages: [ramp: {frames: 80, live: true}, drowsy: {sleeps: %s}, collect]\n"
    logging.getLogger("rtpipe").setLevel(logging.INFO)
    ran = run(awake=stages % "false", asleep=stages % "true")
    assert ran.exit_code == 0, ran.output
    (line,) = [line for line in ran.stderr.splitlines() if "held the event loop" in line]
    assert line.split()[1:3] == ["asleep", "drowsy"]
    logged = [line.split() for line in ran.stderr.splitlines() if "first frame" in line]
    assert sorted(logged) == [
        ["asleep", "drowsy:", "first", "frame"],
        ["awake", "drowsy:", "first", "frame"],
    ]


@pytest.mark.slow
def test_a_signal_drains_all_and_every_recording_is_whole(tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    for name in names:
        (tmp_path / f"{name}.yaml").write_text(RECORDING % f"{name}.wav")
    files = [f"{name}.yaml" for name in names]
    with running("run", "--each", *files, cwd=tmp_path) as command:
        for name in names:
            command.wait_for(f" {name}  pipeline: audio flows")
        command.signal(signal.SIGINT)
        assert command.wait() == 0
    said = "".join(command.lines)
    assert said.count("stopping: SIGINT") == said.count("ended: SIGINT") == 3
    for name in names:
        with wave.open(str(tmp_path / f"{name}.wav")) as recorded:
            assert recorded.getnframes() > 0


@pytest.mark.slow
def test_two_that_write_one_file_are_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(RECORDING % "same.wav")
    ended = rtpipe("run", "--each", "a.yaml", "b.yaml", "--for", "0.3", cwd=tmp_path)
    assert ended.code != 0
    assert "error: 1 of 2 pipelines failed" in ended.err
    assert "same.wav" in ended.err
    assert "0.3 s are over" in ended.err
    with wave.open(str(tmp_path / "same.wav")) as recorded:
        assert recorded.getnframes() >= 0.28 * 48_000


@pytest.mark.slow
def test_on_a_terminal_one_line_tells_how_all_are_doing(tmp_path: Path) -> None:
    stages = "version: 1\nstages: [tone: {realtime: true, duration_s: %s}, blackhole]\n"
    for name, duration_s in {"short": 0.5, "long": 2.5}.items():
        (tmp_path / f"{name}.yaml").write_text(stages % duration_s)
    on_it = shown("run", "--each", "short.yaml", "long.yaml", columns=80, cwd=tmp_path)
    assert on_it.code == 0
    assert all(len(status) < 80 for status in on_it.statuses)
    assert any("│ 2 run │" in status for status in on_it.statuses)
    assert any("│ 1 run │ 1 ended │" in status for status in on_it.statuses)
