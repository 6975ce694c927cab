"""Rollback, with real processes and the socket of a service manager."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.command import Running, running
from helpers.service_manager import Manager
from rtpipe_service.trial import Files

GOOD = "version: 1\nname: good\nstages: [{tone: {realtime: true}}, blackhole]\n"
BETTER = GOOD.replace("good", "better")
WRONG = GOOD.replace("tone", "tune")

SLOW = (
    "import asyncio\nfrom rtpipe import Options, Transform, hookimpl\n"
    "class Slow(Transform[Options]):\n    'Never opens.'\n    kind = 'slow'\n"
    "    async def open(self):\n        await asyncio.sleep(600)\n"
    "    def process(self, frame):\n        return [frame]\n"
    "@hookimpl\ndef rtpipe_stages():\n    return [Slow]\n"
)

pytestmark = pytest.mark.slow


@contextmanager
def served(folder: Path, manager: Manager, *options: str) -> Iterator[Running]:
    env = manager.environment(STATE_DIRECTORY=f"{folder / 'state'}", XDG_RUNTIME_DIR=f"{folder}")
    with running("service", "run", *options, "kiosk.yaml", cwd=folder, env=env) as run:
        yield run


def ended(run: Running) -> int:
    run.signal(signal.SIGTERM)
    return run.wait()


@pytest.fixture
def kiosk(tmp_path: Path, manager: Manager) -> Path:
    """A service that became ready once."""
    file = tmp_path / "kiosk.yaml"
    file.write_text(GOOD)
    with served(tmp_path, manager) as run:
        manager.wait_for("READY")
        assert ended(run) == 0
        manager.wait_for("STOPPING")
    assert (tmp_path / "kiosk.yaml.good").read_text() == GOOD
    return file


def test_a_change_that_becomes_ready_is_the_good_one(kiosk: Path, manager: Manager) -> None:
    kiosk.write_text(BETTER)
    with served(kiosk.parent, manager) as run:
        manager.wait_for("READY")
        run.signal(signal.SIGTERM)
        manager.wait_for("STOPPING", "1")
        assert run.wait() == 0  # one signal, handed on once: it drained
    assert kiosk.with_name("kiosk.yaml.good").read_text() == BETTER


def test_a_wrong_file_is_rolled_back_at_once_and_not_tried_again(
    kiosk: Path, manager: Manager
) -> None:
    kiosk.write_text(WRONG)
    for time in ("first", "second"):
        with served(kiosk.parent, manager) as run:
            ready = manager.wait_for("READY")
            assert ready["STATUS"].startswith(
                "rolled back: the new kiosk.yaml ended with exit code 78"
            )
            assert ended(run) == 0
            assert any("rolled back" in line for line in run.lines)
            tried = sum("error[E" in line for line in run.lines)
            assert tried == (1 if time == "first" else 0)
    assert kiosk.read_text() == WRONG  # what somebody wrote is theirs
    kiosk.write_text(BETTER)
    with served(kiosk.parent, manager) as run:
        assert manager.wait_for("READY")["STATUS"] == "running"
        assert ended(run) == 0


def test_what_is_lacking_outside_is_tried_again(kiosk: Path, manager: Manager) -> None:
    (kiosk.parent / "plugins").mkdir()
    (kiosk.parent / "plugins/late.py").write_text(
        "import pathlib\nfrom rtpipe import EnvironmentProblem, Options, Transform, hookimpl\n"
        "class Late(Transform[Options]):\n    'Opens the second time.'\n    kind = 'late'\n"
        "    async def open(self):\n"
        "        try:\n            pathlib.Path('tried').touch(exist_ok=False)\n"
        "        except FileExistsError:\n            return\n"
        "        raise EnvironmentProblem('not there yet')\n"
        "    def process(self, frame):\n        return [frame]\n"
        "@hookimpl\ndef rtpipe_stages():\n    return [Late]\n"
    )
    late = GOOD.replace("blackhole", "late, blackhole")
    kiosk.write_text(late)
    with served(kiosk.parent, manager) as run:
        assert manager.wait_for("READY")["STATUS"] == "running"
        assert ended(run) == 0
        assert sum("error: " in line and "not there yet" in line for line in run.lines) == 1
    assert kiosk.with_name("kiosk.yaml.good").read_text() == late


def test_one_that_hangs_is_ended(kiosk: Path, manager: Manager) -> None:
    (kiosk.parent / "plugins").mkdir()
    (kiosk.parent / "plugins/slow.py").write_text(SLOW)
    kiosk.write_text(GOOD.replace("blackhole", "slow, blackhole"))
    with served(kiosk.parent, manager, "--within", "2") as run:
        assert "was not ready within 2 s" in manager.wait_for("READY")["STATUS"]
        assert ended(run) == 0


def test_stopped_during_a_trial_nothing_is_refused(kiosk: Path, manager: Manager) -> None:
    (kiosk.parent / "plugins").mkdir()
    (kiosk.parent / "plugins/slow.py").write_text(SLOW)
    kiosk.write_text(GOOD.replace("blackhole", "slow, blackhole"))
    with served(kiosk.parent, manager) as run:
        manager.wait_for("EXTEND_TIMEOUT_USEC")
        assert ended(run) == 0
    assert Files((kiosk,), kiosk.parent / "state").refused == ""


def test_the_first_file_has_nothing_to_go_back_to(tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "kiosk.yaml").write_text(WRONG)
    with served(tmp_path, manager) as run:
        assert run.wait() == 78
    assert not (tmp_path / "kiosk.yaml.good").exists()
    assert not (tmp_path / "state/refused").exists()
