"""A pipeline that runs in a process of its own, for the commands that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.command import Running, running

TONER = """
version: 1
name: NAME
stages:
  - tone: {level_dbfs: -20, frequency: 1000, realtime: true}
  - gain: 0
  - blackhole
"""


MOODY = """
from dataclasses import dataclass
from rtpipe import Event, Importance, Options, StageError, Transform, action, hookimpl


@dataclass(frozen=True, kw_only=True)
class MoodyRefused(Event):
    importance = Importance.WARNING
    type: str = "moody.refused"

    def line(self):
        return "not \\x1b[31mtoday"


class Moody(Transform[Options]):
    kind = "moody"
    publishes = (MoodyRefused,)

    def process(self, frame):
        return frame

    @action
    def never(self):
        raise StageError("I do not \\x1b[31mwant to", help="ask tomorrow")

    @action
    def breaks(self):
        raise ValueError("oh")

    @action(outcome=["moody.refused"])
    def later(self):
        self.ctx.publish(MoodyRefused())

    @action
    def chatter(self, events: int):
        for _ in range(events):
            self.ctx.publish(MoodyRefused())


@hookimpl
def rtpipe_stages():
    return [Moody]
"""


@pytest.fixture(scope="session")
def toner_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the pipeline that all tests look at."""
    path = tmp_path_factory.mktemp("toner") / "toner.yaml"
    path.write_text(TONER.replace("NAME", "toner"))
    return path


@pytest.fixture(scope="module")
def toner(toner_file: Path) -> Iterator[Running]:
    """The pipeline `toner`, running, with a page."""
    with running("run", toner_file.name, "--control", "127.0.0.1:0", cwd=toner_file.parent) as run:
        run.wait_for("steers this run")
        yield run


@pytest.fixture(scope="module")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The run `moody`, of a stage that refuses, breaks, and says what nobody should print."""
    folder = tmp_path_factory.mktemp("moody")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "moody.py").write_text(MOODY)
    path = folder / "moody.yaml"
    path.write_text("version: 1\nname: moody\nstages: [tone: {realtime: true}, moody, blackhole]\n")
    with running("run", path.name, "--control", "127.0.0.1:0", cwd=folder) as run:
        run.wait_for("steers this run")
        yield run


@pytest.fixture
def a_run(tmp_path: Path) -> Iterator[Running]:
    """A run called `short` of the test's own, which it may end."""
    path = tmp_path / "short.yaml"
    path.write_text(TONER.replace("NAME", "short"))
    with running("run", path.name, "--control", "127.0.0.1:0", cwd=tmp_path) as run:
        run.wait_for("steers this run")
        yield run
