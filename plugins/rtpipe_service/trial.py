"""Rollback: a file that was changed must become ready, or the last good one runs in its place.

Beside each file stands a copy of the last text with which the service became ready, `NAME.good`.
Files like their copies are simply run. Others are on trial: this process stays in front of the run,
hands on what it says and what it is sent, and keeps the files once it is ready. One that is not, in
time or ever, is refused: its copy is run, and the text that stands there is not tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from rtpipe_service import restarts
from rtpipe_service.notify import Notifier
from rtpipe_service.reporting import ROLLED_BACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WITHIN_S = 60.0
"""How long a new file has to become ready."""
GOOD = ".good"
_AGAIN_S = 5.0
_END_S = 15.0
_KILL_S = 5.0
_HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a service, what is good of them and what is refused.

    Attributes:
        files: The pipeline file and its overlays.
        state: A folder of the service's own.
    """

    files: tuple[Path, ...]
    state: Path

    @classmethod
    def of(cls, files: Sequence[Path]) -> Files:
        """Return those of the service that this process belongs to."""
        home = os.environ.get("XDG_STATE_HOME") or f"{Path.home() / '.local/state'}"
        folder = os.environ.get("STATE_DIRECTORY") or f"{home}/rtpipe/{files[0].stem}"
        return cls(tuple(files), Path(folder))

    @property
    def good(self) -> tuple[Path, ...]:
        """The copies."""
        return tuple(file.with_name(file.name + GOOD) for file in self.files)

    @property
    def is_good(self) -> bool:
        """Whether the files are like their copies."""
        return _digest(self.files) == _digest(self.good)

    @property
    def has_good(self) -> bool:
        """Whether there are copies."""
        return all(copy.is_file() for copy in self.good)

    def keep(self) -> str:
        """Copy the files; returns why not, "" where that is done."""
        try:
            for file, copy in zip(self.files, self.good, strict=True):
                problem = replaced(copy, file.read_bytes(), mode=file.stat().st_mode & 0o777)
                if problem:
                    return problem
        except OSError as error:
            return f"cannot read {error.filename}: {error.strerror}"
        self._refusal.unlink(missing_ok=True)
        return ""

    def refuse(self, why: str) -> None:
        """Remember that the files as they are now did not become ready."""
        with contextlib.suppress(OSError):  # it is tried again at the next start, then
            self.state.mkdir(parents=True, exist_ok=True)
            replaced(self._refusal, f"{_digest(self.files)}\n{why}\n".encode())

    @property
    def refused(self) -> str:
        """Why the files as they are now were refused; "" where they were not."""
        try:
            digest, _, why = self._refusal.read_text("utf-8").partition("\n")
        except OSError:
            return ""
        return why.strip() if digest == _digest(self.files) else ""

    @property
    def _refusal(self) -> Path:
        return self.state / "refused"


def _digest(files: Sequence[Path]) -> str:
    """Return what tells texts apart; those that cannot be read are like each other."""
    digest = hashlib.sha256()
    for file in files:
        try:
            data = file.read_bytes()
        except OSError:
            return ""
        digest.update(b"%d\n" % len(data) + data)
    return digest.hexdigest()


def replaced(path: Path, data: bytes, *, mode: int | None = None) -> str:
    """Write a file whole or not at all; returns why not, "" where that is done.

    Args:
        path: The file; whose it was, and who may read it, stays.
        data: What it is to hold.
        mode: Who may read it; None: as before, else the owner alone.
    """
    try:
        before = path.stat() if path.exists() else None
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        return f"cannot write {path}: {error.strerror}"
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(number)
            if before is not None:
                mode = before.st_mode & 0o777 if mode is None else mode
                if os.geteuid() == 0:
                    os.fchown(number, before.st_uid, before.st_gid)
            if mode is not None:
                os.fchmod(number, mode)
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        return f"cannot write {path}: {error.strerror}"
    return ""


class Supervisor:
    """Runs a service's files, or the last good ones.

    Args:
        files: Which.
        command: What runs them; their names follow.
        say: Called with what a person should know.
        within_s: How long new files have to become ready.
    """

    def __init__(
        self,
        files: Files,
        command: Sequence[str],
        say: Callable[[str], None],
        *,
        within_s: float = WITHIN_S,
    ) -> None:
        self._files = files
        self._command = [*command]
        self._say = say
        self._within_s = within_s
        self._asked_to_end = False
        address = os.environ.get("NOTIFY_SOCKET")
        self._manager = None if not address else Notifier(address)

    def run(self) -> int:
        """Run until the pipeline ends; returns its exit code. With nothing to try, becomes it."""
        files = self._files
        if files.is_good:
            self._become(files.files)
        if files.has_good and (why := files.refused):
            self._stand_in(why)
        code, why = self._try()
        if not why or self._asked_to_end or not files.has_good:
            return code
        files.refuse(why)
        return self._stand_in(why)

    def _stand_in(self, why: str) -> NoReturn:
        """Run the last good files."""
        name = self._files.files[0].name
        told = f"rolled back: the new {name} {why}; {name}{GOOD} runs in its place"
        self._say(told)
        os.environ[ROLLED_BACK] = told
        self._become(self._files.good)

    def _become(self, files: Sequence[Path]) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(self._command[0], [*self._command, *map(str, files)])  # noqa: S606 - ourselves

    def _try(self) -> tuple[int, str]:
        """Run the files; returns the exit code, and why they are refused or ""."""
        deadline = time.monotonic() + self._within_s
        while True:
            began = time.monotonic()
            code, was_ready = self._run_once(deadline)
            if code is None:
                return 1, f"was not ready within {self._within_s:g} s"
            if was_ready or self._asked_to_end:
                return code, ""
            again_at = began + _AGAIN_S
            if code in restarts.FINAL or not self._files.has_good or again_at >= deadline:
                return code, f"ended with exit code {code} before it was ready"
            time.sleep(max(0.0, again_at - time.monotonic()))

    def _run_once(self, deadline: float) -> tuple[int | None, bool]:
        """Return the exit code, None for what was not ready in time; and whether it was ready."""
        with _listening() as (listener, address):
            # the number in WATCHDOG_PID is ours, and the run has another
            environment = {**os.environ, "NOTIFY_SOCKET": address}
            environment.pop("WATCHDOG_PID", None)
            with self._signals_kept() as read_signals:
                run = subprocess.Popen(  # noqa: S603 - ourselves
                    [*self._command, *map(str, self._files.files)], env=environment
                )
                ended = os.pidfd_open(run.pid)
                try:
                    ready = self._watch(run, listener, ended, read_signals, deadline)
                    if run.poll() is None:
                        _end(run)
                        return None, False
                    return _exit_code(run.returncode), ready
                finally:
                    os.close(ended)

    def _watch(
        self,
        run: subprocess.Popen[bytes],
        listener: socket.socket,
        ended: int,
        signals: int,
        deadline: float,
    ) -> bool:
        """Hand on what is said and sent until the run ends or is late; returns if it was ready."""
        ready = False
        wait_s: float | None
        while True:
            wait_s = None if ready else max(0.0, deadline - time.monotonic())
            said = listener.fileno()
            found, _, _ = select.select([said, ended, signals], [], [], wait_s)
            if said in found:
                datagram = listener.recv(65_536)
                if not ready and b"READY=1" in datagram.split(b"\n"):
                    ready = True
                    self._keep()
                if self._manager is not None:
                    self._manager.forward(datagram)
            elif signals in found:
                for number in os.read(signals, 64):
                    self._asked_to_end |= number != signal.SIGHUP
                    run.send_signal(number)
            elif ended in found:
                run.wait()
                return ready
            elif not ready and not self._asked_to_end:
                if self._files.has_good:
                    return False
                deadline = float("inf")  # there is nothing to go back to

    def _keep(self) -> None:
        if problem := self._files.keep():
            self._say(f"{problem}: the next change of this file cannot be rolled back")

    @contextlib.contextmanager
    def _signals_kept(self) -> Iterator[int]:
        """Let the signals that are handed on be read as bytes from what is yielded."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = {number: signal.signal(number, lambda *_: None) for number in _HANDED_ON}
        woken = signal.set_wakeup_fd(writer)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)


@contextlib.contextmanager
def _listening() -> Iterator[tuple[socket.socket, str]]:
    with (
        tempfile.TemporaryDirectory(prefix="rtpipe-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        address = f"{folder}/notify"
        listener.bind(address)
        yield listener, address


def _end(run: subprocess.Popen[bytes]) -> None:
    """End a run that is late: it may complete what it has begun."""
    run.terminate()
    try:
        run.wait(_END_S)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait(_KILL_S)


def _exit_code(returncode: int) -> int:
    """Return what a shell would say of a process that a signal ended."""
    return returncode if returncode >= 0 else 128 - returncode
