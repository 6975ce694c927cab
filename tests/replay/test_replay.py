"""A call is recorded, and replayed: the same words, the same bytes; what is changed is changed."""

from __future__ import annotations

import filecmp
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import rtpipe
from helpers.command import ROOT, copy_pipelines, running
from helpers.command import rtpipe as command
from helpers.listening import require_speech, tracks
from rtpipe.cli import cli
from rtpipe.testing import run_virtual
from rtpipe_replay import recording
from rtpipe_replay.record import Record

SCRIPT = """
turns:
  - {transcribe: Where is the café?, say: On the left.}
  - transcribe: And when do you close?
    call: {name: hours, arguments: {}}
  - {say: At six.}
"""
FILE = """
version: 1
name: desk
stages:
  - file: {path: visitor.ogg, realtime: true}
  - mute_gate: {mode: half_duplex, tail_ms: 400}
  - realtime:
      provider: embedded
      transport: memory
      script: script.yaml
      api_key: sk-never-to-be-seen
      faults: {hang_up_s: 9}
      tools: [{name: hours, command: [echo, six]}]
  - file_sink: {path: answers.wav, overwrite: true}
  - recorder: {path: both.mka}
    from: [mute_gate, realtime]
events:
  - jsonl: all.jsonl
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    audio = ROOT / "plugins" / "rtpipe_new" / "templates" / "kiosk" / "audio"
    shutil.copy(audio / "visitor.ogg", tmp_path)
    (tmp_path / "desk.yaml").write_text(FILE)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return tmp_path


def record(folder: Path, into: str = "rec", **options: Any) -> list[Any]:
    """Record a call in virtual time; return its events."""
    pipeline = rtpipe.load("desk.yaml")
    pipeline.run_options = {**pipeline.run_options, "record": folder / into, **options}
    events: list[Any] = []
    pipeline.bus.subscribe("*", events.append)
    run_virtual(pipeline.run())
    return events


def replay(*arguments: str, code: int = 0) -> Result:
    ran = CliRunner().invoke(cli, ["replay", *arguments])
    assert ran.exit_code == code, ran.output
    return ran


def words(events: list[Any]) -> list[str]:
    return [event.text for event in events if event.type.startswith("transcript.")]


def test_two_replays_are_the_same_byte_by_byte_and_say_the_same_words(folder: Path) -> None:
    said = words(record(folder))
    assert "At six." in said
    told = []
    for again in ("once", "twice"):
        told.append(json.loads(replay("rec", "--json").stdout))
        (folder / "rec" / "replay").rename(folder / again)
    assert told[0] == told[1]
    assert [line["text"] for line in told[0]["words"]] == said
    names = sorted(
        str(path.relative_to(folder / "once"))
        for path in (folder / "once").rglob("*")
        if path.is_file()
    )
    assert names == [".replay", "all.jsonl", "answers.wav", "both.events.jsonl", "both.mka"]
    assert filecmp.cmpfiles(folder / "once", folder / "twice", names, shallow=False)[1:] == ([], [])


@pytest.mark.slow
def test_what_the_peer_gave_is_heard_again_at_the_same_times(folder: Path) -> None:
    record(folder)
    (first,) = tracks(folder / "answers.wav", rate=48_000)
    replay("rec")
    (again,) = tracks(folder / "rec" / "replay" / "answers.wav", rate=48_000)
    assert np.array_equal(first[np.flatnonzero(first)], again[np.flatnonzero(again)])
    events = list(Record(folder / "rec").events("realtime"))
    assert sum(event["type"] == "realtime.connected" for event in events) == 2, "it was lost once"


@pytest.mark.slow
def test_a_changed_gate_changes_what_it_should_and_nothing_else(folder: Path) -> None:
    record(folder)
    replay("rec")
    visitor, model = tracks(folder / "rec" / "replay" / "both.mka", rate=48_000)
    (folder / "open.yaml").write_text(FILE.replace("half_duplex, tail_ms: 400", "closed"))
    ran = replay("rec", "open.yaml")
    assert "other: mute_gate.closed" in ran.stderr
    muted, same = tracks(folder / "rec" / "replay" / "both.mka", rate=48_000)
    assert visitor.any()
    assert not muted.any()
    assert np.array_equal(model[np.flatnonzero(model)], same[np.flatnonzero(same)])


@pytest.mark.slow
def test_secrets_are_nowhere_in_a_record(folder: Path) -> None:
    record(folder)
    for path in (folder / "rec").rglob("*"):
        assert b"never-to-be-seen" not in path.read_bytes()


def test_a_disk_that_fails_ends_the_record_and_not_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording._Recording, "_write", full)
    events = record(folder)
    [failed] = [event for event in events if event.type == "replay.record_failed"]
    assert "No space left on device" in failed.reason
    assert failed.lost_events > 0
    assert not [event for event in events if event.type == "replay.recorded"]
    assert "At six." in words(events)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing"], 2, "holds no record"),
        (["rec", "other.yaml"], 78, "the record has nothing of `mic`"),
        (["rec", "--out", "mine"], 2, "no replay wrote it"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    arguments: list[str], code: int, said: str, folder: Path
) -> None:
    record(folder)
    (folder / "other.yaml").write_text("version: 1\nstages: [mic, blackhole]\n")
    (folder / "mine").mkdir()
    assert said in replay(*arguments, code=code).stderr
    assert (folder / "mine").is_dir()


@pytest.mark.slow
def test_a_call_over_webrtc_is_recorded_killed_and_replayed(folder: Path) -> None:
    require_speech()
    copy_pipelines(folder)
    ended = command("run", "pipelines/kiosk.yaml", "--record", "call", cwd=folder)
    assert ended.code == 0, ended.err
    said = [line.split("  ", 2)[2] for line in ended.out.splitlines()]
    assert len(said) == 4
    for again in ("once", "twice"):
        ran = command("replay", "call", cwd=folder)
        assert [line.split("  ", 2)[2] for line in ran.out.splitlines()] == said, ran.err
        (folder / "call" / "replay").rename(folder / again)
    names = [str(p.relative_to(folder / "once")) for p in (folder / "once").rglob("*.*")]
    same, other, lost = filecmp.cmpfiles(folder / "once", folder / "twice", names, shallow=False)
    assert (len(same), other, lost) == (len(names), [], [])
    with running("run", "pipelines/kiosk.yaml", "--record", "cut", cwd=folder) as run:
        run.wait_for("connected to")
        run.wait_for("takes over")
        while not (folder / "cut" / "mic.wav").is_file():
            assert run.process.poll() is None
        run.signal(signal.SIGKILL)
    assert command("replay", "cut", cwd=folder).code == 0
