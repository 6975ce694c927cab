"""A diagnostic: what is wrong in the file, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Severity(StrEnum):
    """How bad it is: an error stops the pipeline before anything is opened."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file; line and column count from 1, `length` in characters (at least 1)."""

    path: Path
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Attributes:
        code: `E102`; `rtpipe explain E102` prints its page.
        message: What is wrong, in one sentence without a full stop.
        span: Where; None for what has no place in a file (`--set`, the environment).
        label: A few words beside the caret.
        help: What to do; a snippet in it is itself valid YAML.
        notes: More facts, one line each.
        severity: Error or warning.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    help: str | None = None
    notes: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR
