"""`rtpipe ps`: what runs, what ails it, and what no longer runs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from helpers.command import Running, rtpipe, running
from rtpipe import ExitCode
from rtpipe_control import sockets

pytestmark = pytest.mark.slow


def rows(out: str) -> dict[str, list[str]]:
    """Return what stands under each name: the columns, then what is indented."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in out.splitlines()[1:]:
        if not line.startswith(" "):
            name, *columns = line.split(maxsplit=3)
            found[name] = columns
        else:
            found[name].append(line.strip())
    return found


def test_what_is_not_well_stands_under_its_run(toner: Running, tmp_path: Path) -> None:
    (tmp_path / "second.yaml").write_text(
        "version: 1\nname: second\nstages:\n"
        "  - tone: {realtime: true}\n"
        "  - speaker: {device: no such device at all}\n    id: loud\n    fallback: blackhole\n"
    )
    with running("run", "second.yaml", "--control", "127.0.0.1:0", cwd=tmp_path) as run:
        run.wait_for("steers this run")
        run.wait_for("takes over")
        done = rtpipe("ps", cwd=tmp_path, env={"COLUMNS": "80"})
        assert done.code == ExitCode.OK
        assert max(map(len, done.out.splitlines())) <= 80
        assert done.out.split()[:4] == ["NAME", "STATE", "UP", "FILE"]
        found = rows(done.out)
        assert found["toner"][0] == "running"
        assert found["toner"][2:3] == ["toner.yaml"]
        assert found["toner"][3].startswith("http://127.0.0.1:")
        assert found["second"][3] == "Stand-ins: loud (blackhole)."
        listed = {
            each["run"]: each for each in json.loads(rtpipe("ps", "--json", cwd=tmp_path).out)
        }
        assert listed["toner"]["pid"] == toner.process.pid
        assert listed["toner"]["troubles"] == []
        assert listed["second"]["troubles"] == ["Stand-ins: loud (blackhole)."]
        assert listed["second"]["page"].startswith("http://127.0.0.1:")


def test_a_run_that_was_killed_is_gone_with_its_socket(a_run: Running, tmp_path: Path) -> None:
    path = sockets.find("short")
    assert path is not None
    a_run.process.kill()
    a_run.wait()
    assert path.exists()
    assert "short" not in rows(rtpipe("ps", cwd=tmp_path).out)
    assert not path.exists()


def test_a_run_that_hangs_is_told_and_keeps_nobody(a_run: Running, tmp_path: Path) -> None:
    a_run.signal(signal.SIGSTOP)
    try:
        found = rows(rtpipe("ps", cwd=tmp_path).out)
        assert found["short"] == ["silent", "does not answer"]
        hung = rtpipe("ctl", "short", "gain.set", "1", cwd=tmp_path)
        assert hung.code == ExitCode.UNAVAILABLE
        assert "`short` does not answer" in hung.err
    finally:
        a_run.signal(signal.SIGCONT)


def test_a_name_with_slashes_is_found_under_what_it_was_reduced_to(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(
        "version: 1\nname: ../../etc/a b\nstages: [tone: {realtime: true}, blackhole]\n"
    )
    with running("run", "odd.yaml", "--control", "127.0.0.1:0", cwd=tmp_path) as run:
        run.wait_for("steers this run")
        assert "etc-a-b" in rows(rtpipe("ps", cwd=tmp_path).out)
        for name in ("etc-a-b", "../../etc/a b"):
            assert rtpipe("ctl", name, "tone.flush", cwd=tmp_path).code == ExitCode.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone looks into /run/rtpipe")
def test_root_sees_the_services_of_the_system_too(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text(
        f"version: 1\nname: service-{os.getpid()}\nstages: [tone: {{realtime: true}}, blackhole]\n"
    )
    without = {"XDG_RUNTIME_DIR": ""}  # as systemd's services of the system have it
    with running(
        "run", "service.yaml", "--control", "127.0.0.1:0", cwd=tmp_path, env=without
    ) as run:
        run.wait_for("steers this run")
        assert f"service-{os.getpid()}" in rows(rtpipe("ps", cwd=tmp_path).out)
