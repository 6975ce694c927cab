"""An input device of Linux (evdev): a keyboard, a foot switch, a button of gpio-keys."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, Finding, reason_of
from rtpipe_plugins.subscribers.key.keyboard import Stroke
from rtpipe_plugins.subscribers.key.names import name_of_code

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICES = Path("/dev/input")
NAMES = Path("/sys/class/input")
_EVENT = struct.Struct("@llHHi")
"""`struct input_event`: seconds, microseconds, type, code, value."""
_EVENTS_A_READ = 64
_EV_SYN, _EV_KEY = 0, 1
_SYN_REPORT, _SYN_DROPPED = 0, 3
_KEY_BYTES = 96
_EVIOCGKEY = 2 << 30 | _KEY_BYTES << 16 | ord("E") << 8 | 0x18
"""The `ioctl` that says which keys are down, a bit each."""


class InputDevice:
    """Reads a device's keys; its own key repeat is left out.

    Args:
        device: A path, or the name or a part of the name of a device.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._file: int | None = None
        self._rest = b""
        self.down: set[str] = set()
        self._lost_count = False

    def look(self) -> Iterator[Finding]:
        """See `Keyboard.look`."""
        try:
            path = self._path()
            if not path.exists():
                raise self._missing()
            if not os.access(path, os.R_OK):
                raise _unreadable(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        except EnvironmentProblem as problem:
            yield Finding("missing", problem.message, "device", problem.help)

    def open(self) -> int:
        """See `Keyboard.open`."""
        path = self._path()
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except FileNotFoundError:
            raise self._missing() from None
        except OSError as error:
            raise _unreadable(path, error) from None
        if not stat.S_ISCHR(os.fstat(file).st_mode) and not stat.S_ISFIFO(os.fstat(file).st_mode):
            os.close(file)
            raise EnvironmentProblem(f"{path} is no input device", help=_offered())
        self._file, self._rest, self._lost_count = file, b"", False
        self.down.clear()
        return file

    def read(self) -> list[Stroke]:
        """See `Keyboard.read`."""
        assert self._file is not None
        try:
            data = os.read(self._file, _EVENT.size * _EVENTS_A_READ)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        strokes: list[Stroke] = []
        for _, _, type, code, value in _EVENT.iter_unpack(data[:whole]):
            strokes += self._happened(type, code, value)
        return strokes

    def keep(self) -> None:
        """See `Keyboard.keep`: nobody changes it, and a read tells that it is gone."""

    def close(self) -> None:
        """See `Keyboard.close`."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _path(self) -> Path:
        if os.sep in self._device:
            return Path(self._device)
        wanted = self._device.casefold()
        there = _names()
        for fits in (str.__eq__, str.__contains__):
            for path, name in there.items():
                if fits(name.casefold(), wanted):
                    return path
        raise self._missing()

    def _missing(self) -> EnvironmentProblem:
        return EnvironmentProblem(f"there is no input device {self._device!r}", help=_offered())

    def _happened(self, type: int, code: int, value: int) -> Iterator[Stroke]:
        if type == _EV_SYN:
            if self._lost_count and code == _SYN_REPORT:
                self._lost_count = False
                yield from self._caught_up()
            self._lost_count = self._lost_count or code == _SYN_DROPPED
        elif type == _EV_KEY and not self._lost_count and value in {0, 1}:
            yield from self._turned(name_of_code(code), down=value == 1)

    def _turned(self, key: str, *, down: bool) -> Iterator[Stroke]:
        if down is not (key in self.down):
            (self.down.add if down else self.down.discard)(key)
            yield Stroke(key, down)

    def _caught_up(self) -> Iterator[Stroke]:
        """Yield what has changed since the kernel dropped events: we were too slow."""
        assert self._file is not None
        bits = bytearray(_KEY_BYTES)
        try:
            fcntl.ioctl(self._file, _EVIOCGKEY, bits)
        except OSError:
            bits = bytearray(_KEY_BYTES)  # a key that is taken for released does no harm
        down = {
            name_of_code(code) for code in range(_KEY_BYTES * 8) if bits[code // 8] >> code % 8 & 1
        }
        for key in sorted(self.down - down):
            yield from self._turned(key, down=False)
        for key in sorted(down - self.down):
            yield from self._turned(key, down=True)


def _names() -> dict[Path, str]:
    """Return the devices that there are, each with its name, in the order of their numbers."""
    found: dict[Path, str] = {}
    entries = NAMES.glob("event*")
    for entry in sorted(entries, key=lambda entry: (len(entry.name), entry.name)):
        try:
            found[DEVICES / entry.name] = (entry / "device" / "name").read_text("utf-8").strip()
        except OSError:  # unplugged since
            continue
    return found


def _offered() -> str:
    there = [f"{name!r} ({path})" for path, name in _names().items()]
    return f"there is {', '.join(there)}" if there else "this computer has no input device"


def _unreadable(path: Path, error: OSError) -> EnvironmentProblem:
    remedy = "sudo usermod -aG input $USER, then log in again"
    return EnvironmentProblem(
        f"cannot read {path}: {reason_of(error)}",
        help=remedy if isinstance(error, PermissionError) else None,
    )
