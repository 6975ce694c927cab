"""A real `rtpipe run` in a folder of its own, and what is left of it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tools.reliability.stages.counting import NOTE

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

ROOT = Path(__file__).parents[2]
STAGES = Path(__file__).parent / "stages"
_MARK = "RTPIPE_RELIABILITY_RUN"
_KEPT = ("PATH", "HOME", "LANG")
_POLL_S = 0.002


class Run:
    """A pipeline that runs; killed at the end of the block if it still does.

    Args:
        folder: Where; its `pipeline.yaml` is run, the file `note` is made.
        arguments: More words for `rtpipe run`.
        environment: More variables for it.
    """

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._mark = uuid.uuid4().hex
        self._note = folder / "note"
        self._note.write_bytes(bytes(NOTE.size))
        self._stderr = folder / "stderr"
        command = [sys.executable, "-m", "rtpipe", "run", "pipeline.yaml"]
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        with self._stderr.open("wb") as stderr:
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                [*command, "--plugins-dir", str(STAGES), *arguments],
                cwd=folder,
                env={**kept, "PYTHONPATH": str(ROOT), _MARK: self._mark, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def given(self) -> int:
        """How many samples the source has given."""
        return int(self._noted()[0])

    @property
    def sounds_since(self) -> float:
        """When it gave the first, by `time.monotonic` (s); 0 if it has not."""
        return self._noted()[1]

    @property
    def lateness(self) -> tuple[float, float]:
        """How late its frames were: the worst, and the last (s)."""
        return self._noted()[2:]

    @property
    def said(self) -> str:
        """What it has written to stderr."""
        return self._stderr.read_text("utf-8", "replace")

    def _noted(self) -> tuple[int, float, float, float]:
        return NOTE.unpack(self._note.read_bytes())

    def wait_until(self, fulfilled: Callable[[], bool], timeout_s: float = 30) -> bool:
        """Return when something is so, or the process has ended; whether it is so."""
        limit = time.monotonic() + timeout_s
        while time.monotonic() < limit and self.process.poll() is None:
            if fulfilled():
                return True
            time.sleep(_POLL_S)
        return fulfilled()

    def end(self, number: signal.Signals, timeout_s: float = 30) -> float:
        """Send a signal and return after how many seconds it has ended."""
        sent = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout_s)
        return time.monotonic() - sent

    def wait(self, timeout_s: float = 60) -> int:
        """Return its exit code, once it has one."""
        return self.process.wait(timeout_s)

    def left_behind(self, patience_s: float = 2) -> list[str]:
        """Return the commands that it has started and that go on without it."""
        limit = time.monotonic() + patience_s
        while (left := self._marked()) and time.monotonic() < limit:
            time.sleep(0.05)
        return left

    def _marked(self) -> list[str]:
        mark = f"{_MARK}={self._mark}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    found.append(b" ".join(words).decode("utf-8", "replace"))
        return found
