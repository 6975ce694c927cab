"""Runs the `rtpipe` command as a user would: a process of its own in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_KEPT_FROM_THE_MACHINE = (
    "PATH",
    "HOME",
    "LANG",
    "SSL_CERT_FILE",
    "VIRTUAL_ENV",
    "XDG_RUNTIME_DIR",  # the tests' own
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A machine without key, sound server or colours, whatever the one has that tests run on.

    The tests wrote the plugins that they look at, and leave nothing trusted behind.
    """
    kept = {name: os.environ[name] for name in _KEPT_FROM_THE_MACHINE if name in os.environ}
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "RTPIPE_TRUST": "1",
        **(extra or {}),
    }


def rtpipe(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "rtpipe", *map(str, args)],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Running:
    """A command that goes on beside the test; its stderr is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self.lines.append("")
            self._news.notify_all()

    def wait_for(self, text: str, timeout: float = 60) -> str:
        """Return the first line of stderr that holds `text`."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._news:
            ended = self._news.wait_for(lambda: found() or "" in self.lines, timeout)
        line = found()
        said = "".join(self.lines)
        assert ended, f"no {text!r} within {timeout} s in:\n{said}"
        assert line is not None, f"no {text!r} in:\n{said}"
        return line

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 60) -> int:
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code


@contextmanager
def running(
    *args: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start a command; it is killed at the end of the block if it still runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "rtpipe", *map(str, args)],
        cwd=cwd,
        env=environment(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        started = Running(process)
        try:
            yield started
        finally:
            if process.poll() is None:
                process.kill()
            started.wait()


def copy_pipelines(to: Path) -> Path:
    """Copy `pipelines/` without what earlier runs left there; return the copy's folder."""
    return Path(
        shutil.copytree(ROOT / "pipelines", to / "pipelines", ignore=shutil.ignore_patterns("out"))
    )
