"""The tests in pipelines/: more than ten minutes of calls, the same twice, and none is idle."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.command import ROOT, rtpipe
from helpers.documentation import blocks
from helpers.packages import needs_server
from rtpipe.cli import cli
from rtpipe.documents import read_section
from rtpipe_test.section import cases_of

pytestmark = [pytest.mark.slow, needs_server]
PIPELINES = ROOT / "pipelines"
BROKEN = {
    "file_to_file": {"Speech is louder": ("gain: 6", "gain: -30")},
    "hello": {"Two seconds": ("frequency: 440", "frequency: 400")},
    "kiosk": {
        "Two questions": ("mode: half_duplex", "mode: open"),
        "A call that is lost": ("voice: ${voice}", "reconnect: false"),
        "A microphone that breaks": ("    enabled: ${record}\n", "    enabled: false\n"),
        "Nothing is kept": ("    enabled: ${record}\n", ""),
        "A long morning": ("tail_ms: 400}", "tail_ms: 9000}"),
    },
    "notice": {"Nothing is recorded": ("autostart: false", "autostart: true")},
    "push_to_talk": {
        "Each pressing": ("do: realtime.release", "do: realtime.cancel"),
        "Whoever presses": ("do: realtime.press", "do: speaker.flush"),
        "A long morning": ("do: realtime.release", "do: realtime.cancel"),
    },
    "record": {"What the microphone": ("recorder: out/", "recorder: elsewhere/")},
    "rtsp_monitor": {"Each speech": ("- vad: 3", "- vad: {min_speech_ms: 2000}")},
    "tools": {
        "The model looks": ("timeout_s: 2", "name: hours"),
        "A place": ("desk_tools:get_opening_hours", "builtins:print"),
    },
    "transcribe": {
        "Every turn": ("create_response: false", "create_response: true"),
        "A long recording": ("silence_duration_ms: 500", "silence_duration_ms: 10000"),
    },
}
"""By file and by the beginning of a test's name: what is changed, so that the test must fail."""


def names_in(path: Path) -> list[str]:
    section = read_section([path], "tests")
    return [] if section is None else [case.name for case in cases_of(section)]


def test_ten_minutes_of_calls_are_the_same_twice_byte_by_byte(tmp_path: Path) -> None:
    told, kept = [], tmp_path / "kept"
    for again in ("once", "twice"):
        ended = rtpipe("test", PIPELINES, "--json", "--keep", kept, cwd=tmp_path)
        assert ended.code == 0, ended.out
        kept.rename(tmp_path / again)
        told.append(json.loads(ended.out)["tests"])
    assert sum(test["ran_s"] for test in told[0]) > 600
    assert [test["ran_s"] for test in told[0]] == [test["ran_s"] for test in told[1]]
    written = [path.relative_to(tmp_path / "once") for path in (tmp_path / "once").rglob("*")]
    files = [str(path) for path in written if (tmp_path / "once" / path).is_file()]
    assert any(name.endswith(".mka") for name in files)
    same, other, lost = filecmp.cmpfiles(
        tmp_path / "once", tmp_path / "twice", files, shallow=False
    )
    assert (other, lost) == ([], [])
    assert len(same) == len(files)


def test_every_test_is_broken_below() -> None:
    for path in PIPELINES.glob("*.yaml"):
        names = names_in(path)
        assert names
        left = [n for n in names if not any(n.startswith(each) for each in BROKEN[path.stem])]
        assert not left, path


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, broken in BROKEN.items() for name in broken]
)
def test_a_pipeline_that_is_broken_on_purpose_fails(file: str, name: str, tmp_path: Path) -> None:
    for folder in ("audio", "prompts"):
        (tmp_path / folder).symlink_to(PIPELINES / folder)
    shutil.copy(PIPELINES / "desk_tools.py", tmp_path)
    text = (PIPELINES / f"{file}.yaml").read_text("utf-8")
    old, new = BROKEN[file][name]
    assert old in text
    (tmp_path / "broken.yaml").write_text(text.replace(old, new), "utf-8")
    ran = CliRunner().invoke(cli, ["test", str(tmp_path / "broken.yaml"), "-k", name, "--trust"])
    assert ran.exit_code == 1, ran.output
    assert "error[E801]" in ran.output


def test_what_the_documents_show_passes(tmp_path: Path) -> None:
    (tmp_path / "audio").symlink_to(PIPELINES / "audio")
    page = ROOT / "docs" / "how-to" / "test-a-pipeline.md"
    for number, block in enumerate(blocks("yaml", page=page)):
        (tmp_path / f"{number}.yaml").write_text(block.text, "utf-8")
    ended = rtpipe("test", cwd=tmp_path)
    assert ended.code == 0, ended.out + ended.err
