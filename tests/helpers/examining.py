"""What stages find when they examine themselves, and where in the file."""

from __future__ import annotations

from pathlib import Path

from rtpipe import ConfigError
from rtpipe.language.loading import load
from rtpipe.wording.diagnostics import Diagnostic


def diagnosed(folder: Path, text: str) -> list[Diagnostic]:
    path = folder / "desk.yaml"
    path.write_text(f"version: 1\n{text}")
    try:
        return list(load([path], env={}, examine="machine").warnings)
    except ConfigError as error:
        return list(error.diagnostics)


def place(found: Diagnostic) -> tuple[str, int, str]:
    """Return the code, the line, and what is written above the carets."""
    assert found.span is not None
    start = found.span.column - 1
    line = found.span.path.read_text("utf-8").splitlines()[found.span.line - 1]
    return found.code, found.span.line, line[start : start + found.span.length]


def one(folder: Path, text: str) -> tuple[str, int, str, str]:
    """Return the place and the message of the one thing that is found."""
    (found,) = diagnosed(folder, text)
    return *place(found), found.message


def stages(*lines: str) -> str:
    return "stages:\n" + "".join(f"  {line}\n" for line in lines)
