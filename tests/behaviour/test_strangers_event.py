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
