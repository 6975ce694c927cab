"""An event of a stranger's plugin: `run` and `log` say the same of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtpipe.cli import cli

BOILER = '''
from dataclasses import dataclass

from rtpipe import Event, Importance, Options, Sink, hookimpl


@dataclass(frozen=True, kw_only=True)
class Boiled(Event):
    """It boils."""

    importance = Importance.WARNING
    type: str = "boiler.boiled"
    celsius: float

    def line(self):
        return f"boils at {self.celsius:.0f} degrees"


@dataclass(frozen=True, kw_only=True)
class Burst(Event):
    importance = Importance.ERROR
    type: str = "boiler.burst"
    bar: int

    def line(self):
        raise KeyError("nobody thought of that")


@dataclass(frozen=True, kw_only=True)
class Whistled(Event):
    importance = Importance.NOTICE
    speaker = "kettle"
    type: str = "boiler.whistled"

    def line(self):
        return "Wheee"


class Boiler(Sink[Options]):
    kind = "boiler"
    publishes = (Boiled, Burst, Whistled, "boiler.filled")

    async def consume(self, frame):
        pass

    async def close(self):
        self.ctx.publish(Event(type="boiler.filled"))
        self.ctx.publish(Boiled(celsius=99.6))
        self.ctx.publish(Burst(bar=7))
        self.ctx.publish(Whistled())


@hookimpl
def rtpipe_stages():
    return [Boiler]
'''
STAGES = "version: 1\nstages: [tone: {duration_s: 0.1}, boiler]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "boiler.py").write_text(BOILER)
    return tmp_path


def ran(folder: Path, events: str) -> tuple[str, list[str]]:
    """Return what a run said to stdout, and to stderr without the times."""
    (folder / "boiler.yaml").write_text(STAGES + events)
    result = CliRunner().invoke(cli, ["run", "boiler.yaml"])
    assert result.exit_code == 0, result.output
    told = [line[len("00:00.0") :] for line in result.stderr.splitlines()]
    return result.stdout[len("00:00.0") :].strip(), [" ".join(line.split()) for line in told]


def test_run_and_log_say_the_same_of_a_strangers_event(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said, told = ran(folder, "")
    assert said == "kettle  Wheee"
    assert told[:2] == ["boiler boils at 100 degrees", "boiler boiler.burst bar=7"]
    assert not any("boiler.filled" in line for line in told)

    caplog.clear()
    caplog.set_level(logging.DEBUG, "rtpipe.stage.log")
    assert ran(folder, "events: [log: {level: info}]\n")[0] == said
    logged = [(r.levelname, r.getMessage()) for r in caplog.records if r.name.endswith(".log")]
    ours = [entry for entry in logged if entry[1].startswith(("boiler: ", "kettle: "))]
    assert ours == [
        ("INFO", "boiler: boiler.filled"),
        ("WARNING", "boiler: boils at 100 degrees"),
        ("ERROR", "boiler: boiler.burst bar=7"),
        ("INFO", "kettle: Wheee"),
    ]


def test_with_a_log_nothing_is_on_the_terminal_twice(folder: Path) -> None:
    said, told = ran(folder, "events: [log: debug]\n")
    assert said == "kettle  Wheee"
    for once in ("boils at", "boiler.burst", "boiler.filled", "ended: "):
        assert sum(once in line for line in told) == 1, told
    assert not any("Wheee" in line for line in told)


def test_its_importance_is_listed(folder: Path) -> None:
    page = CliRunner().invoke(cli, ["stages", "boiler"]).stdout
    assert "  boiler.boiled    (warning) It boils.\n" in page
    assert "  boiler.whistled  (notice)" in page
    listed = CliRunner().invoke(cli, ["events"]).stdout
    assert "(warning) It boils. [boiler]\n" in listed


BELL = '''
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from rtpipe import Event, Importance, hookimpl


@dataclass(frozen=True, kw_only=True)
class Rung(Event):
    """The bell of the house rings."""

    importance = Importance.NOTICE
    type: str = "bell.rung"
    times: int

    def line(self):
        return f"rings {self.times} times"


@hookimpl
def rtpipe_events():
    return [Rung, "bell.silent"]


@hookimpl
@asynccontextmanager
async def rtpipe_running(pipeline):
    def ring(event):
        pipeline.bus.publish(Rung(source="bell", at=pipeline.clock.now(), times=3))

    pipeline.bus.subscribe("pipeline.started", ring)
    yield
'''


def test_an_event_of_what_hangs_on_a_pipeline_is_known_to_its_file(folder: Path) -> None:
    (folder / "plugins" / "bell.py").write_text(BELL)
    events = (
        "events:\n"
        "- match: bell.rung\n  where: {times: 3}\n  jsonl: rung.jsonl\n"
        "- match: 'bell.*'\n  do: boiler.flush\n"
        "- match: bell.silent\n  log: info\n"
    )
    _, told = ran(folder, events)
    assert "bell rings 3 times" in told
    assert '"times": 3' in (folder / "rung.jsonl").read_text()

    def refused(events: str) -> str:
        (folder / "boiler.yaml").write_text(STAGES + events)
        result = CliRunner().invoke(cli, ["validate", "boiler.yaml"])
        assert result.exit_code == 78
        return result.output

    assert "did you mean `bell.rung`" in refused("events: [{match: bell.rang, log: info}]\n")
    wrong = "events: [{match: bell.rung, where: {tymes: 3}, log: info}]\n"
    assert "did you mean `times`" in refused(wrong)
    listed = CliRunner().invoke(cli, ["events"]).stdout
    assert "(notice) The bell of the house rings. [plugin bell]\n" in listed
    (folder / "boiler.yaml").write_text(STAGES)
    until = CliRunner().invoke(cli, ["run", "boiler.yaml", "--until", "bell.rung"])
    assert until.exit_code == 0
    assert "bell.rung came" in until.stderr


def test_what_is_no_event_is_told_of_the_plugin_and_harms_no_file(folder: Path) -> None:
    (folder / "plugins" / "bell.py").write_text(BELL.replace('[Rung, "bell.silent"]', "[Rung, 7]"))
    (folder / "boiler.yaml").write_text(STAGES + "events: [{match: boiler.burst, log: info}]\n")
    assert CliRunner().invoke(cli, ["validate", "boiler.yaml"]).exit_code == 0
    from rtpipe.catalogue.plugins import Registry

    registry = Registry()
    registry.add_path(folder / "plugins" / "bell.py")
    assert registry.events == {"bell": ()}
    (record,) = registry.faulty
    assert "rtpipe_events() gave 7, which is neither" in str(record.error)
