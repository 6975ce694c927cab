"""What `run` says while audio is waited for, how `--for` ends, and what terminals are shown."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.command import Ended, copy_pipelines, environment, rtpipe, running
from helpers.documentation import ROOT, blocks, exchanges, shown_as
from helpers.listening import require_speech
from helpers.terminal import shown
from rtpipe.cli.audio_watch import LATE_S
from rtpipe.cli.columns import columns

pytestmark = pytest.mark.slow
[BLOCK] = [
    block
    for block in blocks("console", page=ROOT / "docs" / "reference" / "exit-codes.md")
    if block.note("run by") is not None
]
[SHOWN] = exchanges(BLOCK)


@contextmanager
def deaf_server() -> Iterator[int]:
    """Give the port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listening.accept()[0])
                except OSError:
                    return

        pool.submit(accept)
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            for each in kept:
                each.close()


def typed(command: str, folder: Path) -> Ended:
    """Type a command of a page into a shell."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment({"PATH": path, "XDG_RUNTIME_DIR": f"{folder}"}),  # its name is its own
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(ran.returncode, ran.stdout, "")


@pytest.fixture(scope="module", autouse=True)
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ended]]]:
    """Runs that wait for half a minute and do nothing: beside the other tests."""
    folder = tmp_path_factory.mktemp("waiting")
    os.mkfifo(folder / "fifo.wav")
    with deaf_server() as port, ThreadPoolExecutor(3) as pool:
        sources = {
            "fifo": "file fifo.wav",
            "camera": f"rtsp url=rtsp://127.0.0.1:{port}/a timeout_s=4",
        }
        runs = {
            name: pool.submit(
                rtpipe, "run", "-x", f"{source} ! blackhole", "--for", "2", cwd=folder
            )
            for name, source in sources.items()
        }
        yield runs | {"page": pool.submit(typed, SHOWN.command, folder)}


def test_a_fifo_whose_writer_comes_late_is_read_whole(tmp_path: Path) -> None:
    made = rtpipe("run", "-x", "tone duration_s=2 ! file_sink t.wav", cwd=tmp_path)
    assert made.code == 0, made.err
    os.mkfifo(tmp_path / "fifo.wav")
    with running("run", "-x", "file fifo.wav ! blackhole", cwd=tmp_path) as waiting:
        waiting.wait_for("has given no audio after 5 s: waits for its writer")
        (tmp_path / "fifo.wav").write_bytes((tmp_path / "t.wav").read_bytes())
        waiting.wait_for("swallowed 2 frames, 2.00 s")
        assert waiting.wait() == 0


def test_the_limit_counts_from_when_audio_flows(tmp_path: Path) -> None:
    late = "sh -c 'sleep 3; exec cat /dev/zero'"
    line = f'process command="{late}" live=true ! file_sink a.wav'
    ended = rtpipe("run", "-x", line, "--for", "1", cwd=tmp_path)
    assert ended.code == 0, ended.err
    flowed = re.search(r"pipeline  audio flows after ([\d.]+) s", ended.err)
    assert flowed is not None, ended.err
    assert float(flowed[1]) >= 3
    assert "stopping: 1 s are over" in ended.err


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_kiosk_on_a_terminal(width: int, tmp_path: Path) -> None:
    require_speech()
    copy_pipelines(tmp_path)
    on_it = shown("run", "pipelines/kiosk.yaml", "--for", "2", columns=width, cwd=tmp_path)
    assert on_it.code == 0, on_it.lines
    assert max(map(columns, on_it.lines)) <= width
    assert max(map(columns, on_it.statuses)) < width
    assert any("opening " in status or "no audio" in status for status in on_it.statuses[:3])
    [ended] = [line for line in on_it.lines if "  stopping: 2 s are over" in line]
    late_s = float(ended[3:7]) - 2 - LATE_S  # lines have tenths
    flowed = any(" pipeline  audio flows after " in line for line in on_it.lines)
    assert flowed == (late_s >= 0) or abs(late_s) < 0.15
    last = on_it.statuses[-1]
    assert "gate open" in last
    assert "dropped" in last or width < 80
    assert (" │ " in last) == (width >= 120)
    at = [last.find(part) for part in ("gate", "mic", "realtime", "dropped", "queue")]
    assert [place for place in at if place >= 0] == sorted(place for place in at if place >= 0)


def test_a_camera_that_accepts_and_never_answers_ends_by_its_own_timeout(
    waiting: dict[str, Future[Ended]],
) -> None:
    ended = waiting["camera"].result()
    assert ended.code == 69
    assert "rtsp  is still being opened after 10 s\n" in ended.err
    assert "nothing moved for 12 s" in ended.err


def test_a_source_that_delivers_nothing_ends_a_timed_run_with_69(
    waiting: dict[str, Future[Ended]],
) -> None:
    fifo = waiting["fifo"].result()
    assert fifo.code == 69
    assert "file  has given no audio after 5 s: waits for its writer\n" in fifo.err
    assert "no audio within 30 s: `file` has given none (waits for its writer)\n" in fifo.err
    assert "could not close" not in fifo.err


def test_a_command_that_delivers_nothing_ends_as_the_page_shows(
    waiting: dict[str, Future[Ended]],
) -> None:
    printed = waiting["page"].result().out.splitlines()
    printed = [line for line in printed if "held the event loop" not in line]
    shown_lines = SHOWN.output.splitlines()
    assert len(printed) == len(shown_lines), printed
    for line, wanted in zip(printed, shown_lines, strict=True):
        assert shown_as(wanted).fullmatch(line), (line, wanted)
