"""What a stage has left behind: open files, processes, and what its instances share."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpipe.stage import Stage

_DESCRIPTORS = Path("/proc/self/fd")
_SYSTEM = ("/dev/", "/proc/", "/sys/", "/usr/", "/lib", "anon_inode:")
"""What libraries open once, and keep."""


def open_things() -> dict[tuple[int, str], str]:
    """Return what this process has open, with words for each; nothing where `/proc` is not."""
    found: dict[tuple[int, str], str] = {}
    with suppress(FileNotFoundError):
        for entry in os.listdir(_DESCRIPTORS):  # noqa: PTH208 - entries vanish while Path looks
            with suppress(OSError):
                target = str((_DESCRIPTORS / entry).readlink())
                if not target.startswith(_SYSTEM):
                    found[int(entry), target] = _words(target)
    return found


def _words(target: str) -> str:
    kind, _, _ = target.partition(":")
    return f"a {kind}" if kind in {"socket", "pipe"} else f"the file {target}"


def children() -> set[int]:
    """Return the processes that this one has started and that still run."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found |= {int(pid) for pid in path.read_text().split()}
    return {pid for pid in found if _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command(pid: int) -> str:
    """Return the name of a process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "?"


def is_framework(base: type) -> bool:
    """Return whether a base class of a stage is rtpipe's, or Python's."""
    return base.__module__.startswith(("rtpipe.stage", "typing", "builtins"))


def shared_state(stage_type: type[Stage[Any]]) -> dict[str, str]:
    """Return the lists, sets and mappings of the stage's class itself, as they are now."""
    own = (each for each in stage_type.__mro__ if not is_framework(each))
    return {
        name: repr(value)
        for each in own
        for name, value in vars(each).items()
        if isinstance(value, (list, dict, set, bytearray, deque)) and not name.startswith("__")
    }
