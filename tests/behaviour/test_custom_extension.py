"""An extension of the user's own, as a file beside the YAML, in the real command."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.command import rtpipe

DIARY = '''
"""Writes down what it hears of, from being entered to being left."""

from contextlib import asynccontextmanager

import click

from rtpipe import Options, OutputPath, audio, hookimpl

print("loaded")


class Diary(Options):
    main = "path"

    path: OutputPath
    stage: str = "gain"


@hookimpl
def rtpipe_sections():
    return {"diary": Diary}


@hookimpl
def rtpipe_run_options():
    return [click.Option(["--heading"], default="(no heading)")]


@hookimpl
@asynccontextmanager
async def rtpipe_running(pipeline):
    lines = [pipeline.run_options["heading"]]
    heard = 0

    def hear(frame):
        nonlocal heard
        heard += frame.samples

    def note(event):
        lines.append(f"{event.source} {event.type} {event.payload().get('status', '')}".strip())

    pipeline.bus.subscribe(["pipeline.*", "stage.status_changed"], note)
    pipeline.tap_output(pipeline.sections["diary"].stage, hear)
    yield
    lines.append(f"left after {heard} samples")
    pipeline.sections["diary"].path.write_text("\\n".join(lines))
'''
BROKEN = """
from rtpipe import hookimpl

@hookimpl
async def rtpipe_running(pipeline):
    return 3
"""
PIPELINE = """
version: 1
diary: diary.txt
stages:
  - tone: {duration_s: 2}
  - gain: 3
  - file_sink: out.wav
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "diary.py").write_text(DIARY)
    (tmp_path / "desk.yaml").write_text(PIPELINE)
    return tmp_path


def test_it_has_its_section_its_option_and_the_whole_run(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    ended = rtpipe("run", folder / "desk.yaml", "--heading", "Monday", cwd=elsewhere)
    assert (ended.code, "failed" in ended.err) == (0, False), ended.err
    assert ended.out == "loaded\n", "once, though its options are read before the file"
    lines = (folder / "diary.txt").read_text().splitlines()
    assert lines[0] == "Monday"
    assert lines[1] == "file_sink stage.status_changed ok"
    assert lines[-2:] == ["pipeline pipeline.ended", f"left after {2 * 48_000} samples"]
    closed = [line for line in lines if line.endswith("stopped")]
    assert len(closed) == 3
    assert (folder / "out.wav").stat().st_size > 2 * 96_000


@pytest.mark.slow
def test_its_option_has_a_default_and_stands_in_the_help(folder: Path) -> None:
    assert rtpipe("run", "desk.yaml", cwd=folder).code == 0
    assert (folder / "diary.txt").read_text().startswith("(no heading)\n")
    assert "--heading" in rtpipe("run", "desk.yaml", "--help", cwd=folder).out
    assert "--heading" not in rtpipe("run", "--help", cwd=folder.parent).out
    assert rtpipe("run", "desk.yaml", "--headin", "x", cwd=folder).code == 2


@pytest.mark.slow
def test_it_may_be_named_in_the_file_or_stand_in_a_folder_of_the_command_line(
    folder: Path,
) -> None:
    (folder / "plugins").rename(folder / "more")
    again = ("--set", "file_sink.overwrite=true", "--heading", "named")
    assert rtpipe("run", "desk.yaml", *again, cwd=folder).code == 2
    ended = rtpipe("run", "desk.yaml", *again, "--plugins-dir", "more", cwd=folder)
    assert ended.code == 0, ended.err
    (folder / "desk.yaml").write_text(f"plugins: [more/diary.py]\n{PIPELINE}")
    ended = rtpipe("run", "desk.yaml", *again, cwd=folder)
    assert ended.code == 0, ended.err
    assert (folder / "diary.txt").read_text().startswith("named\n")


@pytest.mark.slow
def test_a_mistake_in_its_section_is_found_as_one_in_a_stage_is(folder: Path) -> None:
    (folder / "desk.yaml").write_text(PIPELINE.replace("diary.txt", "{pth: diary.txt}"))
    ended = rtpipe("validate", "desk.yaml", cwd=folder)
    assert ended.code == 78
    assert "error[E102]: `diary` has no option `pth`" in ended.err
    assert "--> desk.yaml:3:9" in ended.err
    assert "did you mean `path`?" in ended.err


def test_a_broken_one_is_named_and_the_recording_is_complete(folder: Path) -> None:
    (folder / "plugins" / "broken.py").write_text(BROKEN)
    ended = rtpipe("run", "desk.yaml", cwd=folder)
    assert ended.code == 0
    assert "the plugin `broken` failed" in ended.err
    assert "no async context manager" in ended.err
    assert (folder / "out.wav").stat().st_size > 2 * 96_000
    assert (folder / "diary.txt").exists()
