"""Where the private sockets are, whose they are, and which name a run gets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import rtpipe
from rtpipe import EnvironmentProblem
from rtpipe_control import sockets, surface
from rtpipe_control.options import Wanted

LINE = "version: 1\nname: hall\nstages: [tone: {realtime: true}, blackhole]\n"


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr(sockets, "_SYSTEM", folder / "system")
    return folder


def dead(path: Path) -> None:
    """Leave a socket as a run that was killed does."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))


@pytest.mark.slow
def test_two_hundred_runs_of_one_name(runtime: Path) -> None:
    with ExitStack() as held:
        names = [held.enter_context(sockets.bound("hall"))[0] for _ in range(200)]
        assert names == ["hall", *(f"hall-{number}" for number in range(2, 201))]
        assert len(sockets.found()) == 200
        assert sockets.find("hall-77") == runtime / "rtpipe" / "hall-77.sock"
    assert sockets.found() == []


def test_a_dead_socket_gives_its_name_to_the_next_run(runtime: Path) -> None:
    with sockets.bound("hall"):
        pass
    path = runtime / "rtpipe" / "hall.sock"
    dead(path)
    assert sockets.find("hall") is None
    with sockets.bound("hall") as (run, _):
        assert run == "hall"
        assert path.is_socket()
    dead(path)
    assert sockets.found() == []
    assert not path.exists(), "`ps` has tidied up"


def test_the_end_of_a_run_takes_away_its_own_socket_alone(runtime: Path) -> None:
    path = runtime / "rtpipe" / "hall.sock"
    with ExitStack() as held:
        held.enter_context(sockets.bound("hall"))
        path.unlink()  # somebody tidies up too well
        other = ExitStack()
        assert other.enter_context(sockets.bound("hall"))[0] == "hall"
        held.close()
        assert sockets.found() == [path]
        other.close()
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("a kiosk/of ours", "a-kiosk-of-ours"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "pipeline"),
        (".hidden", "hidden"),
        ("Empfang Süd", "Empfang-S-d"),
        ("\0\n", "pipeline"),
        ("日本", "pipeline"),
    ],
)
def test_names_are_names_of_files(runtime: Path, name: str, run: str) -> None:
    with sockets.bound(name) as (got, _):
        assert got == run
        (path,) = sockets.found()
        assert path == runtime / "rtpipe" / f"{run}.sock"
        assert sockets.find(name) == path
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_long_name_is_a_hash_and_a_long_folder_another(
    monkeypatch: pytest.MonkeyPatch, runtime: Path, tmp_path: Path
) -> None:
    name = "hall" * 80
    with sockets.bound(name) as (run, _), sockets.bound(name) as (second, _):
        assert (len(run), second) == (200, f"{run}-2")
        assert {len(os.fsencode(path)) <= 100 for path in sockets.found()} == {True}
        assert sockets.find(name) in sockets.found()
        assert sockets.find(second) in sockets.found()
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with sockets.bound("hall"):
        (path,) = sockets.found()
        assert not path.is_relative_to(deep)


def test_nothing_of_another_user_is_used_or_believed(
    monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    with sockets.bound("hall"):
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        monkeypatch.setattr(sockets, "folders", lambda: [runtime / "rtpipe"])
        assert sockets.find("hall") is None
        assert sockets.found() == []
        with pytest.raises(EnvironmentProblem, match="it belongs to somebody else"):
            sockets.bound("hall").__enter__()
    monkeypatch.undo()


def test_a_link_in_the_place_of_the_folder_is_not_followed(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (runtime / "rtpipe").symlink_to(tmp_path / "theirs")
    with pytest.raises(EnvironmentProblem, match="it belongs to somebody else"):
        sockets.bound("hall").__enter__()
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_runtime_folder_of_another_user_does_not_count(
    monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    """`sudo` keeps the variable: root must not write there."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert sockets.folders() == [Path("/tmp/rtpipe-4711")]
    own = runtime.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: own)
    assert sockets.folders()[0] == runtime / "rtpipe"


async def test_a_pipeline_runs_where_no_socket_can_be(runtime: Path) -> None:
    (runtime / "rtpipe").write_text("a file")
    pipeline = rtpipe.loads(LINE)
    told: list[rtpipe.Event] = []
    pipeline.bus.subscribe("control.*", told.append)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        (event,) = told
        assert event.type == "control.refused"
        assert "no control socket in" in event.line()
        assert {state.status.value for state in pipeline.state()} == {"ok"}


async def test_what_fails_inside_is_told_as_it_is(runtime: Path) -> None:
    pipeline = rtpipe.loads(LINE)
    with pytest.raises(EnvironmentProblem, match="of the block"):
        async with surface.opened(pipeline, Wanted(None)):
            raise EnvironmentProblem("of the block")


def test_a_process_that_stands_still_holds_no_other(
    monkeypatch: pytest.MonkeyPatch, runtime: Path
) -> None:
    monkeypatch.setattr(sockets, "_LOCKED_S", 0.05)
    with sockets.bound("hall"), sockets._alone_in(runtime / "rtpipe"):
        assert len(sockets.found()) == 1, "to look needs no lock"
        with pytest.raises(EnvironmentProblem, match="another process holds its lock"):
            sockets.bound("hall").__enter__()


RACE = """
import sys, time
from rtpipe_control import sockets
while time.time() < float(sys.argv[1]):
    pass
with sockets.bound("hall") as (run, _):
    sockets.found()
    print(run, flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_runs_that_begin_at_once_get_names_of_their_own() -> None:
    import time

    start = time.time() + 2
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(12)
    ]
    names = {run.stdout.readline().strip() for run in runs}  # type: ignore[union-attr]
    for run in runs:
        run.communicate("")
    assert names == {"hall", *(f"hall-{number}" for number in range(2, 13))}
