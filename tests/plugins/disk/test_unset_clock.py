"""Names of files on a machine whose clock is not set yet."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import rtpipe
from rtpipe import clock
from rtpipe.testing import run_virtual
from rtpipe_plugins.disk.output_path import dated

START = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]


class Machine:
    """A Raspberry Pi: no clock of its own, and timesyncd that asks the network."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.timesync, self.clocks = folder / "timesync", folder / "rtc"
        self.timesync.mkdir()
        self.clocks.mkdir()
        monkeypatch.setattr(clock, "_TIMESYNC", self.timesync)
        monkeypatch.setattr(clock, "_CLOCKS", self.clocks)

    def set_clock(self) -> None:
        (self.timesync / "synchronized").touch()


@pytest.fixture
def pi(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path_factory.mktemp("pi"), monkeypatch)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("out/%Y%m%d-%H%M%S.mka", rf"out/unset-{START}-\d{{6,}}\.mka"),
        ("out/%Y%m%d.jsonl", rf"out/unset-{START}\.jsonl"),
        ("%Y/%m/talk at %H:%M.wav", rf"unset-{START}/unset-{START}/talk at unset-{START}-\d+\.wav"),
        ("100%%/a.wav", "100%/a.wav"),
        ("plain.wav", "plain.wav"),
    ],
)
def test_what_stands_for_a_date(template: str, name: str) -> None:
    assert re.fullmatch(name, f"{dated(Path(template), None)}")


def test_when_a_clock_is_known_to_be_unset(pi: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has not asked the network" in clock.wall_clock_problem()
    (pi.clocks / "rtc0").touch()
    assert clock.wall_clock_problem() == ""
    (pi.clocks / "rtc0").unlink()
    pi.set_clock()
    assert clock.wall_clock_problem() == ""
    monkeypatch.setattr(clock, "_MADE", datetime.now(UTC) + timedelta(days=1))
    assert "its clock is not set" in clock.wall_clock_problem()


def test_the_next_file_has_the_date_when_the_clock_was_set(pi: Machine, tmp_path: Path) -> None:
    pipeline = rtpipe.loads(
        "version: 1\nstages:\n  - tone: {duration_s: 3}\n"
        "  - recorder: {path: '%Y%m%d-%H%M%S.wav', segment_s: 1}\n"
        "events:\n  - match: recorder.*\n    jsonl: '%Y%m%d.jsonl'\n",
        path=tmp_path / "kiosk.yaml",
    )
    pipeline.bus.subscribe("recorder.started", lambda _: pi.set_clock())
    run_virtual(pipeline.run())
    recordings = sorted(path.name for path in tmp_path.glob("*.wav"))
    assert len(recordings) == 3
    assert sum(name.startswith(f"unset-{START}-") for name in recordings) >= 1
    texts = [path.read_text() for path in tmp_path.glob("*.jsonl")]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert {Path(line["path"]).name for line in lines if "path" in line} == {*recordings}
