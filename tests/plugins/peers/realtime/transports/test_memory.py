"""Whole calls in memory: a pipeline file, the embedded server's script, and no real time at all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

import rtpipe
from helpers.media_files import write_wav
from helpers.packages import needs_server
from rtpipe import audio
from rtpipe.testing import joined, run_pipeline, speech_like

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_server

_RANDOM = re.compile(r"\b(event|item|resp|sess|call|conv|rtpipe_\w+)_\w+")
_CLOCK = re.compile(r'"(time|expires_at|obfuscation)": [^,}]*,?')
SCRIPT = """
turns:
  - {transcribe: Where is the café?, say: On the left., sound: {tone_hz: 600, duration_s: 0.6}}
  - {transcribe: Thank you., say: You are welcome., sound: {tone_hz: 900, duration_s: 0.6}}
"""


class Run:
    """What happened, and what was heard."""

    def __init__(self, events: list[Any], path: Path) -> None:
        self.events = events
        self.path = path

    def of(self, match: str) -> list[Any]:
        return [event for event in self.events if event.type == match]

    def told(self) -> list[str]:
        """Return all that happened, without what is random."""
        lines = (json.dumps(event.as_dict(), default=str) for event in self.events)
        return [_RANDOM.sub(r"\1", _CLOCK.sub("", line)) for line in lines]

    def heard_s(self, frequency_hz: float) -> float:
        """Return for how long a tone of this frequency was heard."""
        with av.open(str(self.path)) as file:
            pcm = np.concatenate([audio.pcm(frame)[:, 0] for frame in file.decode(audio=0)])
        blocks = pcm[: len(pcm) // 960 * 960].reshape(-1, 960).astype(np.float64)
        loudest = np.abs(np.fft.rfft(blocks * np.hanning(960))).argmax(axis=1) * 50
        loud = np.abs(blocks).max(axis=1) > 3000
        return float((loud & (np.abs(loudest - frequency_hz) <= 50)).sum() * 0.02)


def call(folder: Path, *, visitor: str, script: str = SCRIPT, options: str = "") -> Run:
    """Run a pipeline with a call in it to its end."""
    (folder / "script.yaml").write_text(script)
    pipeline = rtpipe.loads(
        f"""
version: 1
stages:
  - {visitor}
  - realtime: {{provider: embedded, transport: memory, script: script.yaml{options}}}
  - file_sink: {{path: out.wav, overwrite: true}}
""",
        path=folder / "pipeline.yaml",
    )
    return Run(run_pipeline(pipeline), folder / "out.wav")


VISITOR = "file: {path: visitor.wav, realtime: true}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a visitor who asks two questions and waits for the answers."""
    quiet = np.zeros((96_000, 1), np.int16)
    ask = np.concatenate([joined(speech_like(seconds=1.2)), quiet])
    write_wav(tmp_path / "visitor.wav", np.concatenate([quiet[:24_000], ask, ask]))
    return tmp_path


def test_two_turns_are_heard_and_every_run_is_the_same(folder: Path) -> None:
    first, second = (call(folder, visitor=VISITOR) for _ in range(2))
    assert [event.text for event in first.of("transcript.user")] == [
        "Where is the café?",
        "Thank you.",
    ]
    assert [event.text for event in first.of("transcript.assistant")] == [
        "On the left.",
        "You are welcome.",
    ]
    assert first.heard_s(600) == pytest.approx(0.6, abs=0.06)
    assert first.heard_s(900) == pytest.approx(0.6, abs=0.06)
    assert first.told() == second.told()


def test_a_lost_call_is_placed_again_and_the_conversation_goes_on(folder: Path) -> None:
    options = ", faults: {hang_up_s: 3.2}, reconnect: {initial_s: 0.01}"
    run = call(folder, visitor=VISITOR, options=options)
    assert [round(event.at, 1) for event in run.of("realtime.reconnecting")] == [3.2, 6.4]
    assert len(run.of("realtime.connected")) == 3
    assert [event.text for event in run.of("transcript.assistant")][-1] == "You are welcome."


def test_a_function_is_called(folder: Path) -> None:
    script = """
turns:
  - transcribe: Is it open?
    call: {name: hours, arguments: {day: Sunday}}
  - {say: "Until six.", sound: {tone_hz: 700, duration_s: 0.6}}
"""
    tools = ", tools: [{name: hours, command: [echo, until six]}]"
    run = call(folder, visitor=VISITOR, script=script, options=tools)
    (called,) = run.of("tool.called")[:1]
    assert called.name == "hours"
    assert run.heard_s(700) == pytest.approx(1.2, abs=0.1), "asked twice"


@pytest.mark.parametrize(
    "options",
    ["provider: openai, script: s.yaml", "provider: embedded", "ephemeral: true, script: s.yaml"],
)
def test_it_is_for_the_embedded_servers_script_alone(options: str) -> None:
    text = "{version: 1, stages: [tone, realtime: {transport: memory, %s}, blackhole]}"
    with pytest.raises(rtpipe.ConfigError, match="transport: memory"):
        rtpipe.loads(text % options)
