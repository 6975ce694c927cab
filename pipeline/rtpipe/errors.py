"""What can go wrong, the exit code of each kind of trouble, and how to say it safely."""

from __future__ import annotations

import errno
import os
import re
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtpipe.wording.diagnostics import Diagnostic


class ExitCode(IntEnum):
    """The one table of exit codes, after BSD's sysexits, for every command."""

    OK = 0
    """It did what it was asked to."""
    FAILED = 1
    """It failed while it ran."""
    USAGE = 2
    """The command line is wrong."""
    UNAVAILABLE = 69
    """Something outside is missing: a device, a server, a key."""
    TEMPORARY = 75
    """The same command may succeed later: 429, 5xx."""
    NO_PERMISSION = 77
    """A key or a device refused us."""
    CONFIGURATION = 78
    """The pipeline file, a plugin or an option is wrong."""


_RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u2028\u2029\u202a-\u202e\u2066-\u2069"  # line separators, bidi overrides and isolates
    "\ud800-\udfff]"  # half a surrogate pair: no encoding has it
)
_OWN_NUMBERS = {"ssl", "socket"}
"""Modules whose errors count apart from the system's: TLS, and resolvers."""


class RtpipeError(Exception):
    """Base of everything rtpipe raises on purpose.

    Args:
        message: One sentence that says what happened.
        help: What the user can do about it.
        exit_code: What the command ends with; each class has its default.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(
        self,
        message: str,
        *,
        help: str | None = None,
        exit_code: ExitCode | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        if exit_code is not None:
            self.exit_code = exit_code


Reached: TypeAlias = Literal["file", "graph", "environment"]


class ConfigError(RtpipeError):
    """A file is wrong; holds every diagnostic found, and tells the first in its message.

    Attributes:
        diagnostics: What was found.
        reached: How far the looking went: `file`, then `graph`, then `environment`.
        looked_at: What `validate` adds to the number of mistakes.
        files: What was read.
    """

    exit_code = ExitCode.CONFIGURATION
    looked_at = ""
    files: frozenset[Path] = frozenset()

    def __init__(
        self,
        diagnostics: Sequence[Diagnostic],
        *,
        reached: Reached = "file",
    ) -> None:
        first, *others = diagnostics
        where = f"{first.span.path}:{first.span.line}: " if first.span else ""
        more = f" (and {len(others)} more)" if others else ""
        super().__init__(f"{where}{first.message}{more}")
        self.diagnostics = tuple(diagnostics)
        self.reached = reached


class PluginError(RtpipeError):
    """A plugin is missing or broken."""

    exit_code = ExitCode.CONFIGURATION


class StageError(RtpipeError):
    """A stage failed while it was running or opening; a fallback does not help."""


class ActionError(StageError):
    """An action is called that there is not, or with arguments that it does not take."""

    exit_code = ExitCode.USAGE


class FormatError(RtpipeError):
    """A frame breaks the rules of the link it travels on, or cannot be converted."""


class EnvironmentProblem(RtpipeError):  # noqa: N818 - the design's word: it is not the program that errs
    """The surroundings lack something (device, key, server); `fallback:` catches this one only."""

    exit_code = ExitCode.UNAVAILABLE


class NotConnected(RtpipeError):  # noqa: N818 - control flow, not an error
    """The far end is gone for now; the supervisor may open the stage again."""

    exit_code = ExitCode.TEMPORARY


def reason_of(error: BaseException, *, own_text: bool = True) -> str:
    """Return why, in the system's words where it has any: "Connection refused".

    The text of an OSError names a path or an address, which whoever tells of it names better.

    Args:
        error: An OSError, one of FFmpeg's, or aiohttp's around one.
        own_text: Whether the error's own text may stand in for the system's words. Not where it
            could hold an address with a password in it: then its class does.
    """
    cause = getattr(error, "os_error", error)
    number = (isinstance(cause, OSError) and cause.errno) or 0
    if number in errno.errorcode and type(cause).__module__ not in _OWN_NUMBERS:
        return os.strerror(number)  # asyncio puts a paragraph of its own into `strerror`
    text = getattr(cause, "strerror", None) or (str(cause) if own_text else "")
    return text or type(cause).__name__


def printable(text: str) -> str:
    r"""Return `text` with control characters as `\u001b`, which is what JSON and YAML write, too.

    C0, C1, DEL, bidi overrides and isolates, and halves of surrogate pairs; tabs and line feeds
    stay.
    """
    return _RAW.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(text: str, longest: int | None = None) -> str:
    """Return `text` printable, its white space joined, and cut after `longest` characters."""
    joined = printable(" ".join(text.split()))
    return joined if longest is None or len(joined) <= longest else joined[: longest - 1] + "…"
