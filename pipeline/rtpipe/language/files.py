"""The bytes of the files that a pipeline is made of: never too many, and never waited for.

Only regular files are read: a FIFO or a device may never end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe.errors import reason_of
from rtpipe.language.bounds import MAX_BYTES
from rtpipe.wording.diagnostics import Span, split_lines

if TYPE_CHECKING:
    from rtpipe.wording.diagnostics import Findings

_INHERITED = {Path("/dev/fd"), Path("/proc/self/fd")}
"""Where a shell puts the pipe of `<(command)`."""
_STDIN = Path("/dev/stdin")
_SORTS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a FIFO"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


class _IrregularError(Exception):
    """What is no regular file; the text says what it is."""


def read_bytes(
    path: Path, findings: Findings, code: str, span: Span | None = None, *, piped: bool = False
) -> bytes | None:
    """Return the bytes of a file of at most 512 KiB, or None with `code` in `findings`.

    Never waits: what is no regular file is not opened, unless it is a pipe and `piped`.
    """
    findings.read.add(path)
    try:
        if piped and _is_inherited_pipe(path):
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        else:
            data = _regular(path)
    except _IrregularError as refusal:
        findings.error(
            code,
            f"cannot read {path}: it {refusal}, not a file",
            span,
            label="named here",
            help="name a regular file" + ("; `-` is standard input" if piped else ""),
        )
        return None
    except (OSError, ValueError) as error:
        findings.error(code, f"cannot read {path}: {reason_of(error)}", span, label="named here")
        return None
    if len(data) > MAX_BYTES:
        report_size(path, findings, span)
        return None
    return data


def report_size(path: Path, findings: Findings, span: Span | None = None) -> None:
    """Report a file that holds more than `MAX_BYTES`."""
    findings.error(
        "E002",
        f"{path} is larger than {MAX_BYTES // 1024} KiB",
        span or Span(path, 1, 1),
        help="split it: `include: [part.yaml]`, or `${file:PATH}` for a long text",
    )


def _is_inherited_pipe(path: Path) -> bool:
    inherited = path == _STDIN or path.parent in _INHERITED
    return inherited and stat.S_ISFIFO(path.stat().st_mode)


def _regular(path: Path) -> bytes:
    """Return the first bytes of a regular file; raise OSError, ValueError or _IrregularError."""
    found = path.stat()
    if os.path.samestat(found, os.stat(os.devnull)):  # noqa: PTH116 - of a str
        return b""
    _check_sort(found)  # before it is opened: that alone rewinds a tape
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor is no path
        _check_sort(os.fstat(descriptor))  # it may have been replaced since
        return file.read(MAX_BYTES + 1) or b""


def _check_sort(found: os.stat_result) -> None:
    for is_sort, sort in _SORTS:
        if is_sort(found.st_mode):
            raise _IrregularError(sort)


def decode(data: bytes, path: Path, findings: Findings) -> str | None:
    """Return the text of UTF-8 `data`, a byte order mark taken off."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = split_lines(data[: error.start].decode("utf-8-sig", errors="replace"))
        findings.add_source(path, data.decode("utf-8", errors="replace"))
        findings.error(
            "E003",
            f"{path.name} is not UTF-8 text",
            Span(path, len(before), len(before[-1]) + 1),
            label=f"byte 0x{data[error.start]:02x}",
            help="save the file as UTF-8",
        )
        return None


def expanded(path: str) -> Path:
    """Return a path with `~` and `~user` filled; one that no user has stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of Path raises


def is_module(path: Path) -> bool:
    """Return whether a path is a regular file, or a folder with an `__init__.py` in it.

    A path that no system takes is none.
    """
    return os.path.isfile(path) or os.path.isfile(path / "__init__.py")  # noqa: PTH113 - as above
