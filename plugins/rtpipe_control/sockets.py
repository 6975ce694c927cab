"""Where the sockets of running pipelines are, and which name a run gets.

`$XDG_RUNTIME_DIR/rtpipe/NAME.sock`; a folder of the user's own where that variable is unset. Nobody
else can enter the folder (0700) or the socket (0600).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import stat
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".sock"
_SYSTEM = Path("/run/rtpipe")
_MOST_BYTES = 100
"""Of a path: the system takes 107."""
_OTHER = re.compile(r"[^A-Za-z0-9_.-]+")
_ANSWERS_S = 1.0


def reduced(name: str) -> str:
    """Return a pipeline's name as that of a run: what stands in no file name is a dash."""
    return _OTHER.sub("-", name).strip("-") or "pipeline"


def folders() -> list[Path]:
    """Return where this user's sockets are, the place for new ones first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and len(os.fsencode(runtime)) < _MOST_BYTES - 40:
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
        with _alone_in(folder):
            run, path = _free(reduced(name), folder)
            before = os.umask(0o177)
            try:
                listener.bind(f"{path}")
            finally:
                os.umask(before)
            listener.listen(128)  # before others look: who does not listen is taken for dead
    except OSError as error:
        listener.close()
        raise EnvironmentProblem(f"no control socket in {folder}: {error}") from error
    try:
        yield run, listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _free(name: str, folder: Path) -> tuple[str, Path]:
    for number in count(1):
        run = name if number == 1 else f"{name}-{number}"
        path = path_of(run, folder)
        if not answers(path):
            path.unlink(missing_ok=True)  # of a run that was killed
            return run, path
    raise AssertionError


def answers(path: Path) -> bool:
    """Return whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_ANSWERS_S)
        try:
            caller.connect(f"{path}")
        except (BlockingIOError, TimeoutError):  # it is there, and busy
            return True
        except OSError:
            return False
        return True


def found() -> list[Path]:
    """Return the sockets of running pipelines; those of dead ones are removed."""
    alive = []
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
    paths = (path_of(reduced(name), folder) for folder in filter(_is_ours, folders()))
    return next((path for path in paths if answers(path)), None)


def _is_ours(folder: Path) -> bool:
    """Return whether nobody else can have put a socket there."""
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, see that it is ours alone, and keep others from choosing a name now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise OSError(f"{folder} belongs to somebody else")
    if seen.st_mode & 0o077:
        folder.chmod(0o700)
    lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
