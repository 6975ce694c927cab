"""No output onto an input, none onto another output: by every name that a file has."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.specimens import mistakes, registry, stages, understood
from rtpipe.errors import ConfigError
from rtpipe.language.loading import load

ALIASES = ("the same", "dot", "folder and back", "hard", "link", "chain", "linked folder")
_number = count()


def alias(path: Path, sort: str) -> Path:
    """Return another name of the same file."""
    fresh = path.with_name(f"other{next(_number)}.wav")
    if sort == "dot":
        return path.parent / "." / path.name
    if sort == "folder and back":
        return path.parent / ".." / path.parent.name / path.name
    if sort == "hard":
        os.link(path, fresh)
    elif sort == "link":
        fresh.symlink_to(path.name)
    elif sort == "chain":
        between = path.with_name(f"between{next(_number)}.wav")
        between.symlink_to(path)
        fresh.symlink_to(between)
    elif sort == "linked folder":
        folder = path.parent.with_name(f"folder{next(_number)}")
        folder.symlink_to(path.parent, target_is_directory=True)
        return folder / path.name
    else:
        return path
    return fresh


def pipeline(source: Path, output: Path, sink: str) -> str:
    """Return a file that reads one path and writes the other, by a stage or a route."""
    text = f"  - file: {source}\n"
    if sink == "jsonl":
        return stages(f"{text}  - blackhole\nevents:\n  - match: pipeline.*\n    jsonl: {output}\n")
    return stages(f"{text}  - {sink}: {output}\n")


def codes(text: str, **choices: Any) -> list[str]:
    return [found.code for found in mistakes(text, **choices)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@given(
    names=st.lists(st.sampled_from(ALIASES), max_size=3),
    sink=st.sampled_from(["file_sink", "recorder", "jsonl"]),
)
def test_no_output_goes_onto_an_input_under_any_name(
    folder: Path, names: list[str], sink: str
) -> None:
    inside = folder / f"run{next(_number)}"
    inside.mkdir()
    path = inside / "talk.wav"
    path.write_bytes(b"precious")
    other = path
    for sort in names:
        other = alias(other, sort)
    (found,) = mistakes(pipeline(path, other, sink))
    assert found.code == "E114"
    assert "would write to what `file` reads" in found.message
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("sort", ALIASES[3:])
def test_no_two_outputs_go_to_one_file_under_two_names(tmp_path: Path, sort: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = inside / "a.wav"
    path.touch()
    text = f"  - tone\n  - file_sink: {path}\n  - recorder: {alias(path, sort)}\n    from: tone\n"
    assert codes(stages(text)) == ["E114"]


@pytest.mark.parametrize("sink", ["file_sink", "recorder"])
def test_a_link_to_what_is_not_there_yet_is_the_same_file_too(tmp_path: Path, sink: str) -> None:
    (tmp_path / "link.wav").symlink_to("later.wav")
    names = (tmp_path / "later.wav", tmp_path / "link.wav")
    text = f"  - tone\n  - file_sink: {names[0]}\n  - {sink}: {names[1]}\n    from: tone\n"
    assert codes(stages(text)) == ["E114"]


def test_one_file_may_be_read_twice_and_a_device_be_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.touch()
    (tmp_path / "null").symlink_to("/dev/null")
    text = (
        f"  - file: {path}\n  - file_sink: /dev/null\n"
        f"  - file: {path}\n    id: again\n  - file_sink: {tmp_path / 'null'}\n    id: second\n"
    )
    understood(stages(text))


@pytest.mark.parametrize("written", ["desk.yaml", "shared.yaml", "link.jsonl"])
def test_nothing_is_written_to_a_file_of_the_pipeline(tmp_path: Path, written: str) -> None:
    (tmp_path / "link.jsonl").symlink_to("desk.yaml")
    (tmp_path / "shared.yaml").write_text("vars: {a: b}\n")
    path = tmp_path / "desk.yaml"
    path.write_text(
        "version: 1\ninclude: [shared.yaml]\nstages: [tone, blackhole]\n"
        f"events: [{{jsonl: {written}}}]\n"
    )
    with pytest.raises(ConfigError) as caught:
        load([path], registry=registry(), env={})
    (found,) = caught.value.diagnostics
    assert (found.code, found.span and found.span.line) == ("E114", 4)
