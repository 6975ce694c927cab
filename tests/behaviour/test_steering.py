"""A running pipeline is steered from another shell, without anything in its file."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.command import rtpipe, running
from helpers.event_file import events_in, wait_for_events
from helpers.listening import tracks

pytestmark = pytest.mark.slow
RATE = 48_000
TONE = """
version: 1
name: hall
stages:
  - tone: {frequency: 997, level_dbfs: -6, realtime: true}
  - mute_gate: {ramp_ms: 0}
  - recorder: {path: hall.wav}
events:
  - jsonl: events.jsonl
"""


@pytest.fixture(autouse=True)
def _sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


def test_a_gate_is_closed_and_the_recording_is_silent_from_the_next_frame(tmp_path: Path) -> None:
    (tmp_path / "hall.yaml").write_text(TONE)
    told = tmp_path / "events.jsonl"
    with running("run", "--for", "6", "hall.yaml", cwd=tmp_path) as run:
        _wait_until_open(tmp_path)
        closed = rtpipe("ctl", "hall", "mute_gate.close", cwd=tmp_path)
        assert (closed.code, closed.err) == (0, "")
        assert rtpipe("ctl", "hall", "mute_gate.open", cwd=tmp_path).code == 0
        [_, opened] = wait_for_events(told, "mute_gate.opened", 2)  # the next frame's
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    (recording,) = tracks(tmp_path / "hall.wav", rate=RATE)
    [shut] = events_in(told, "mute_gate.closed")
    begin, end = (shut["at_ms"] * RATE // 1000, opened["at_ms"] * RATE // 1000)
    assert begin % 960 == 0, "from a frame's beginning"
    assert not recording[begin:end].any()
    assert np.abs(recording[begin - 480 : begin]).max() > 10_000
    assert np.abs(recording[end : end + 480]).max() > 10_000
    [used, *_] = events_in(told, "control.used")
    assert shut["at_ms"] / 1000 <= used["at"] + 0.04, "the next frame, not one after"


def _wait_until_open(folder: Path) -> None:
    """Look until the run is there and its audio flows."""
    for _ in range(300):
        listed = rtpipe("ps", "--json", cwd=folder)
        if listed.code == 0 and any(run["state"] == "running" for run in json.loads(listed.out)):
            return
    pytest.fail("the run never opened")
