"""Where the sockets of running pipelines are, and which name a run gets.

`$XDG_RUNTIME_DIR/rtpipe/NAME.sock`; a folder of the user's own where that variable is unset. Nobody
else can enter the folder (0700) or the socket (0600).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import socket
import stat
import struct
import time
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".sock"
_LOCK = ".lock"
_SYSTEM = Path("/run/rtpipe")
_MOST_BYTES = 100
"""Of a path: the system takes 107."""
_LONGEST_NAME = 200
_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
_ANSWERS_S = 1.0
_LOCKED_S = 2.0
_LOOKS_S = 0.01
_GONE = (ConnectionRefusedError, FileNotFoundError)
"""What calling a socket raises behind which nobody is; anything else may pass."""


def reduced(name: str) -> str:
    """Return a pipeline's name as that of a run: what stands in no file name is a dash."""
    return _OTHER.sub("-", name).strip("-.")[:_LONGEST_NAME] or "pipeline"


def folders() -> list[Path]:
    """Return where this user's sockets are, the place for new ones first.

    `XDG_RUNTIME_DIR` counts where it is this user's, as its specification asks for: `sudo` may
    have left another one's in the environment.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and len(os.fsencode(runtime)) < _MOST_BYTES - 40 and _may_be_ours(Path(runtime)):
        first = Path(runtime) / "rtpipe"
    elif os.geteuid() == 0:
        first = _SYSTEM
    else:
        first = Path("/tmp") / f"rtpipe-{os.geteuid()}"  # noqa: S108 - checked: ours, and 0700
    return [first, _SYSTEM] if os.geteuid() == 0 and first != _SYSTEM else [first]


def path_of(name: str, folder: Path) -> Path:
    """Return the socket of the run `name`; a hash stands in a path that would be too long."""
    path = folder / f"{name}{SUFFIX}"
    if len(os.fsencode(path)) <= _MOST_BYTES:
        return path
    return folder / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{SUFFIX}"


@contextmanager
def bound(name: str) -> Iterator[tuple[str, socket.socket]]:
    """Bind the private socket of a run; while the block lasts it is there.

    Args:
        name: The pipeline's.

    Yields:
        The run's name, `NAME-2` where another run has it, and the socket.

    Raises:
        EnvironmentProblem: The folder is not this user's own, or cannot be made.
    """
    folder = folders()[0]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)  # noqa: FBT003 - its only way
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(folder):
            run, path = _free(reduced(name), folder)
            listener.bind(f"{path}")
            path.chmod(0o600)  # not by umask: other threads are making files of theirs
            listener.listen(128)  # before anybody may take it for a dead one
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(
            f"no control socket in {folder}: {error.strerror or error}"
        ) from error
    number = path.lstat().st_ino
    try:
        yield run, listener
    finally:
        listener.close()
        with suppress(OSError):
            if path.lstat().st_ino == number:  # or it is another's by now
                path.unlink()


def _free(name: str, folder: Path) -> tuple[str, Path]:
    for number in count(1):
        run = name if number == 1 else f"{name}-{number}"
        path = path_of(run, folder)
        if not answers(path):
            path.unlink(missing_ok=True)  # of a run that was killed
            return run, path
    raise AssertionError


def answers(path: Path) -> bool:
    """Return whether a process listens on a socket, or may: only a refusal says that none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_ANSWERS_S)
        try:
            caller.connect(f"{path}")
        except _GONE:
            return False
        except OSError:  # it is there, and busy; or we have no more sockets
            return path.is_socket()
        return True


def found() -> list[Path]:
    """Return the sockets of running pipelines; those of dead ones are removed."""
    alive: list[Path] = []
    for folder in filter(_is_ours, folders()):
        paths = sorted(folder.glob(f"*{SUFFIX}"))
        answering = [path for path in paths if answers(path)]
        alive += answering
        if len(answering) < len(paths):
            with suppress(OSError), _alone_in(folder):
                for path in set(paths) - set(answering):
                    if not answers(path):  # nor has another run its name by now
                        path.unlink(missing_ok=True)
    return alive


def find(name: str) -> Path | None:
    """Return the socket of the run `name`, if there is one."""
    ours = [folder for folder in folders() if _is_ours(folder)]
    paths = (path_of(reduced(name), folder) for folder in ours)
    return next((path for path in paths if answers(path)), None)


def caller_of(connection: socket.socket) -> int | None:
    """Return the user who called by a private socket; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    told = connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    return int(struct.unpack("3i", told)[1])


def _may_be_ours(folder: Path) -> bool:
    """Return whether a folder is this user's own, or not there yet."""
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:
        return True


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is there, and this user's own: no link, nobody else's."""
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """See that a folder is this user's alone; while the block lasts nobody else chooses a name.

    Raises:
        OSError: It is not, or is not there.
    """
    if not _is_ours(folder):
        raise PermissionError(errno.EPERM, "it belongs to somebody else")
    if folder.lstat().st_mode & 0o077:
        folder.chmod(0o700)
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _take(lock)
        yield
    finally:
        os.close(lock)


def _take(lock: int) -> None:
    """Lock the folder.

    Raises:
        OSError: Somebody has held it for too long: a process that stands still must hold no other.
    """
    until = time.monotonic() + _LOCKED_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock") from None
            time.sleep(_LOOKS_S)
        else:
            return
