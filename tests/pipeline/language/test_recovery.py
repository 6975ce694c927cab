"""A syntax error hides nothing that can still be read, and what it hides is not missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers.specimens import mistakes, stages

if TYPE_CHECKING:
    pass


def codes(text: str) -> list[str]:
    return [each.code for each in mistakes(text)]


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
