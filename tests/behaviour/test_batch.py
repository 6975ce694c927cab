"""Ten minutes of a file through the transforms: every sample comes out, and nothing else."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from helpers.command import rtpipe

PIPELINE = """
version: 1
name: batch
fuse: {fuse}
stages:
  - file: in.wav
  - gain: 3
  - vad: 2
  - mute_gate: {{mode: {mode}}}
  - file_sink: {{path: out.wav, overwrite: true}}
"""


def write(path: Path, rate: int, channels: int, samples: int) -> None:
    noise = np.random.default_rng(1).normal(0, 1500, (samples, channels)).astype(np.int16)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(noise.tobytes())


def shape(path: Path) -> tuple[int, int, int]:
    with wave.open(str(path)) as file:
        return file.getframerate(), file.getnchannels(), file.getnframes()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["open", "vad"])
def test_ten_minutes_have_exactly_their_samples(tmp_path: Path, mode: str) -> None:
    samples = 600 * 48_000 + 137  # not a whole number of frames
    write(tmp_path / "in.wav", 48_000, 1, samples)
    (tmp_path / "batch.yaml").write_text(PIPELINE.format(fuse="true", mode=mode))
    ended = rtpipe("run", "batch.yaml", cwd=tmp_path, timeout=300)
    assert ended.code == 0, ended.err
    assert shape(tmp_path / "out.wav") == (48_000, 1, samples)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1), (22_050, 1), (48_000, 2)])
def test_other_formats_keep_theirs(tmp_path: Path, rate: int, channels: int) -> None:
    write(tmp_path / "in.wav", rate, channels, rate * 2 + 13)
    (tmp_path / "batch.yaml").write_text(PIPELINE.format(fuse="true", mode="open"))
    ended = rtpipe("run", "batch.yaml", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert shape(tmp_path / "out.wav") == (rate, channels, rate * 2 + 13)


@pytest.mark.slow
def test_a_queue_each_gives_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "in.wav", 48_000, 1, 48_000 * 5 + 7)
    outputs = []
    for fuse in ("true", "false"):
        (tmp_path / "batch.yaml").write_text(PIPELINE.format(fuse=fuse, mode="vad"))
        ended = rtpipe("run", "batch.yaml", cwd=tmp_path)
        assert ended.code == 0, ended.err
        outputs.append((tmp_path / "out.wav").read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.slow
def test_long_blocks_become_the_same_file_and_tell_the_same_as_short_ones(tmp_path: Path) -> None:
    """Where a route acts, frames have 20 ms; this one waits for what never comes."""
    speech = Path(__file__).parents[2] / "pipelines" / "audio" / "visitor.wav"
    text = PIPELINE.format(fuse="true", mode="vad").replace("in.wav", str(speech))
    route = "  - {match: link.dropped, do: gain.mute}\n"
    results = []
    for acting in ("", route):
        log = tmp_path / f"told{len(acting)}.jsonl"
        events = f"events:\n  - jsonl: {log}\n{acting}"
        (tmp_path / "batch.yaml").write_text(text + events)
        ended = rtpipe("run", "batch.yaml", cwd=tmp_path)
        assert ended.code == 0, ended.err
        told = map(json.loads, log.read_text().splitlines())
        times = [(event["at_ms"], event["type"]) for event in told if "at_ms" in event]
        results.append(((tmp_path / "out.wav").read_bytes(), sorted(times)))
    assert results[0] == results[1]
    assert {name for _, name in results[0][1]} >= {"vad.speech_started", "mute_gate.opened"}
