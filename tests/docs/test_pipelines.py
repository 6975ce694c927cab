"""Every file in pipelines/ is valid, runs on a machine that has nothing, and keeps its promise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from helpers.documentation import ROOT, Block, blocks, exchanges, shown_as
from rtpipe.errors import EnvironmentProblem
from rtpipe.language.loading import load

FILES = sorted((ROOT / "pipelines").glob("*.yaml"))
QUESTIONS = ["opening hours", "cafe"]
"""What the visitor in audio/visitor.wav asks for."""
END_S = 120
AT_ONCE = 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_pipeline_is_valid_without_a_warning(path: Path) -> None:
    assert not load([path], env={}).warnings


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_profile_is_valid(path: Path) -> None:
    for profile in _profiles(path):
        load([path], env={}, profile=profile)


def test_every_pipeline_is_run_below() -> None:
    here = Path(__file__).read_text("utf-8")
    assert not [path.stem for path in FILES if f"def test_{path.stem}(" not in here]


def _profiles(path: Path) -> list[str]:
    from ruamel.yaml import YAML

    return list(YAML(typ="safe").load(path.read_text("utf-8")).get("profiles", ()))


# -- what really runs ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A pipeline that ran in a folder of its own.

    Attributes:
        folder: `pipelines/` there.
        said: What the visitor and the model said: stdout.
        told: Everything else: stderr.
    """

    code: int
    folder: Path
    said: str
    told: str

    def file(self, name: str) -> Path:
        """Return the one output file of this name (a glob)."""
        (path,) = self.folder.glob(f"out/{name}")
        return path

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events in the one output file of this name (a glob)."""
        lines = self.file(name).read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def recording(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the tracks of the recording by their titles."""
        path = self.file("*.mka")
        with av.open(str(path)) as container:
            titles = [stream.metadata.get("title", "") for stream in container.streams.audio]
        return {title: samples(path, index) for index, title in enumerate(titles)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Every pipeline, some at a time: most of them wait for the clock, and speak and listen."""
    from rtpipe_plugins.commands.devices import all_devices

    try:
        if all_devices():
            pytest.skip("the outputs are those of a machine without a sound card")
    except EnvironmentProblem:
        pass  # no PortAudio: no sound card either
    pytest.importorskip("faster_whisper", reason="the extra `speech` is not installed")
    private = ("OPENAI_", "AZURE_", "KIOSK_", "CAMERA_")
    env = {key: value for key, value in os.environ.items() if not key.startswith(private)}

    def run(path: Path) -> Run:
        work = tmp_path_factory.mktemp(path.stem)
        ignored = shutil.ignore_patterns("out")
        shutil.copytree(ROOT / "pipelines", work / "pipelines", ignore=ignored)
        command = [sys.executable, "-m", "rtpipe", "run", f"pipelines/{path.name}"]
        ended = subprocess.run(
            command, cwd=work, env=env, capture_output=True, text=True, timeout=END_S, check=False
        )
        return Run(ended.returncode, work / "pipelines", ended.stdout, ended.stderr)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip([path.stem for path in FILES], pool.map(run, FILES), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_it_ends_well(name: str, runs: dict[str, Run]) -> None:
    run = runs[name]
    assert run.code == 0, run.told
    assert "ended: end of stream" in run.told
    assert "Traceback" not in run.told


@pytest.mark.slow
def test_hello(runs: dict[str, Run]) -> None:
    tone = samples(runs["hello"].file("hello.wav"))
    assert abs(len(tone) / 48_000 - 2) < 0.1
    assert _pitch(tone) == pytest.approx(440, abs=2)


@pytest.mark.slow
def test_file_to_file(runs: dict[str, Run]) -> None:
    """Not a sample more or less, the pauses silent, the voice louder."""
    run = runs["file_to_file"]
    before = samples(run.folder / "audio" / "visitor.wav")
    after = samples(run.file("visitor-clean.wav"))
    assert len(after) == len(before)
    assert np.mean(after == 0) > 0.5
    assert _level_dbfs(after) - _level_dbfs(before) == pytest.approx(6, abs=1)


@pytest.mark.slow
def test_record(runs: dict[str, Run]) -> None:
    run = runs["record"]
    recording = run.recording()
    assert list(recording) == ["mic"]
    assert abs(len(recording["mic"]) / 48_000 - 3) < 0.2
    assert _level_dbfs(recording["mic"]) > -40
    assert "recorder.started" in [event["type"] for event in run.events("*.events.jsonl")]


@pytest.mark.slow
def test_notice(runs: dict[str, Run]) -> None:
    """The notice is heard, whole, before the recording begins."""
    run = runs["notice"]
    notice = samples(run.folder / "audio" / "notice.wav")
    heard = samples(run.file("notice-heard.wav"))
    at = int(np.flatnonzero(np.abs(heard) > 0.01)[0] - np.flatnonzero(np.abs(notice) > 0.01)[0])
    alone = 48_000  # the desk answers a visitor who has not waited for the end, over it
    assert np.allclose(heard[at : at + alone], notice[:alone], atol=1e-3)
    events = run.events("notice-*.events.jsonl")
    (started,) = [event for event in events if event["type"] == "recorder.started"]
    (track, _) = run.recording().values()
    assert started["zero_s"] > len(notice) / 48_000
    assert len(heard) - len(track) > at + len(notice) - 0.5 * 48_000


@pytest.mark.slow
def test_rtsp_monitor(runs: dict[str, Run]) -> None:
    heard = [event["type"] for event in runs["rtsp_monitor"].events("speech.jsonl")]
    assert heard == ["vad.speech_started", "vad.speech_stopped"] * len(QUESTIONS)


@pytest.mark.slow
def test_transcribe(runs: dict[str, Run]) -> None:
    """Both questions as text, in the file and on stdout, and no answer."""
    run = runs["transcribe"]
    texts = [event["text"].lower() for event in run.events("transcript.jsonl")]
    assert len(texts) == len(QUESTIONS)
    assert all(word in text for word, text in zip(QUESTIONS, texts, strict=True))
    assert run.said.count(" visitor  ") == len(QUESTIONS)
    assert " model  " not in run.said


@pytest.mark.slow
def test_tools(runs: dict[str, Run]) -> None:
    """What a function returned is what the visitor is told."""
    run = runs["tools"]
    events = run.events("tools.jsonl")
    (returned,) = [event for event in events if event["type"] == "tool.returned"]
    assert returned["name"] == "get_opening_hours"
    assert returned["output"] in run.said
    assert _level_dbfs(samples(run.file("tools-answer.wav"))) > -45


@pytest.mark.slow
def test_push_to_talk(runs: dict[str, Run]) -> None:
    """Each press is a turn, nothing else is."""
    run = runs["push_to_talk"]
    events = [event["type"] for event in run.events("push-to-talk.jsonl")]
    assert events.count("mute_gate.opened") == len(QUESTIONS)
    assert events.count("input_audio_buffer.committed") == len(QUESTIONS)
    assert events.count("response.done") == len(QUESTIONS)
    assert "input_audio_buffer.speech_started" not in events
    assert "ten in the morning" in run.said
    assert "ground floor" in run.said


@pytest.mark.slow
def test_kiosk(runs: dict[str, Run]) -> None:
    """Two questions and two answers, heard, seen, recorded apart and written down."""
    run = runs["kiosk"]
    speakers = [line.split()[1] for line in run.said.splitlines()]
    assert speakers == ["visitor", "model"] * len(QUESTIONS)
    assert "ten in the morning" in run.said
    assert "ground floor" in run.said

    recording = run.recording()
    assert list(recording) == ["mute_gate", "realtime"]
    visitor, desk = recording.values()
    assert len(visitor) == len(desk)
    assert _level_dbfs(visitor) > -45
    assert _level_dbfs(desk) > -45

    answer = samples(run.file("kiosk-answer.wav"))
    assert _level_dbfs(answer) > -45

    events = [event["type"] for event in run.events("[0-9]*[0-9].jsonl")]
    assert events.count("response.done") == len(QUESTIONS)
    assert events.count("stage.fell_back") == 3


def _run_here() -> list[Block]:
    name = f"run by {Path(__file__).name}"
    return [block for block in blocks("console") if block.note(name) is not None]


@pytest.mark.slow
@pytest.mark.parametrize("block", _run_here(), ids=str)
def test_a_page_shows_what_it_printed(block: Block, runs: dict[str, Run]) -> None:
    for exchange in exchanges(block):
        run = runs[Path(exchange.command.split()[-1]).stem]
        printed = [*run.said.splitlines(), *run.told.splitlines()]
        for line in exchange.output.splitlines():
            pattern = shown_as(line)
            assert any(pattern.fullmatch(each) for each in printed), (line, printed)


def samples(path: Path, index: int = 0) -> np.ndarray[Any, Any]:
    """Return a track of a file as mono floats at 48 kHz."""
    resampler = av.AudioResampler("flt", "mono", 48_000)
    with av.open(str(path)) as container:
        parts = [
            part.to_ndarray().ravel()
            for frame in container.decode(audio=index)
            for part in resampler.resample(frame)
        ]
    return np.concatenate(parts)


def _pitch(tone: np.ndarray[Any, Any]) -> float:
    spectrum = np.abs(np.fft.rfft(tone))
    return float(np.argmax(spectrum) * 48_000 / len(tone))


def _level_dbfs(x: np.ndarray[Any, Any]) -> float:
    return 10 * float(np.log10(np.mean(np.square(x)) + 1e-12))
