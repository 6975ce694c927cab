"""A syntax error in any line of a pipeline has no false errors behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers.documentation import ROOT
from rtpipe.errors import ConfigError
from rtpipe.language.loading import from_text
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtpipe.wording.diagnostics import Diagnostic

LONG = {"kiosk", "notice", "tools", "rtsp_monitor"}
PIPELINES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else [])
    for path in sorted((ROOT / "pipelines").glob("*.yaml"))
]
ENVIRONMENT = {"OPENAI_API_KEY": "k", "CAMERA_URL": "rtsp://camera/", "CAMERA": "rtsp://camera/"}
SPOILT = ("{line} [", "{line} }}", '{line} "x', "{indent}a: b: c", "{indent}-x: [")


@pytest.mark.parametrize("path", PIPELINES)
def test_an_error_in_any_line_has_no_false_ones_behind_it(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = line[: len(line) - len(line.lstrip(" -"))]
        for spoilt in SPOILT:
            text = "\n".join(
                [*lines[:number], spoilt.format(line=line, indent=indent), *lines[number + 1 :]]
            )
            found = diagnostics(text, path)
            if any(each.code.startswith("E0") for each in found):
                assert all(each.code.startswith("E0") for each in found), render(found)


def diagnostics(text: str, path: Path) -> Sequence[Diagnostic]:
    try:
        from_text(text, path=path, env=ENVIRONMENT)
    except ConfigError as error:
        return error.diagnostics
    return ()
