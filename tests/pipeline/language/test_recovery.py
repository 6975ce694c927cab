"""A syntax error hides nothing that can still be read, and what it hides is not missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers.documentation import ROOT
from helpers.specimens import mistakes, stages
from rtpipe.errors import ConfigError
from rtpipe.language.loading import from_text
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtpipe.wording.diagnostics import Diagnostic

LONG = {"kiosk", "tools", "rtsp_monitor"}
PIPELINES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LONG else [])
    for path in sorted((ROOT / "pipelines").glob("*.yaml"))
]
ENVIRONMENT = {"OPENAI_API_KEY": "k", "CAMERA_URL": "rtsp://camera/", "CAMERA": "rtsp://camera/"}
SPOILT = ("{line} [", "{line} }}", '{line} "x', "{indent}a: b: c", "{indent}-x: [")


def codes(text: str) -> list[str]:
    return [each.code for each in mistakes(text)]


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


def test_what_stands_before_and_behind_is_checked() -> None:
    text = stages("  - mci\n  - gain: {gain_db: 3\n  - speaker: {volum: 1}\n")
    assert codes(f"{text}events:\n  - match: vad.speech_begun\n    log:\n") == [
        "E101", "E006", "E102", "E701",
    ]  # fmt: skip


def test_two_errors_are_both_told() -> None:
    assert codes("version: 1\nvars: {a: [}\nstages:\n  - mic: {\n  - speaker: @\n") == [
        "E006", "E006", "E010",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "  - mic: {\n  - gain: 3\n  - speaker\n",  # who reads it has an input all the same
        "  - mic\n  - gain: {\n    id: louder\n  - speaker:\n    from: louder\n",
        "  - mic\n  - speaker: {\n",
        "  - mic: {\n",
        "  - mic: {\n  - speaker\nevents:\n  - match: playback.started\n    do: mic.x\n",
    ],
)
def test_what_could_not_be_read_is_not_missed(text: str) -> None:
    assert codes(stages(text)) == ["E006"]


def test_variables_that_could_not_be_read_are_not_missed() -> None:
    assert codes("version: 1\nvars: {a: [}\nstages: [{gain: '${a}'}, nothing]\n") == [
        "E006", "E101",
    ]  # fmt: skip


def test_kinds_of_plugins_that_could_not_be_read_are_not_missed() -> None:
    assert codes("version: 1\nplugins: [\nstages: [tremolo]\n") == ["E006"]


def test_an_anchor_in_it_ends_the_reading() -> None:
    assert codes(stages("  - mic: &a {\n  - gain: *a\n  - nothing\n")) == ["E006"]
