"""From another shell: another microphone in the middle of a call, over a real PulseAudio."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from devices.test_pulse_actions import stretches
from helpers.command import rtpipe, running
from helpers.event_file import events_in, wait_for_events
from helpers.listening import require_speech, tracks

if TYPE_CHECKING:
    from pathlib import Path

    from devices.pulse import PulseAudio

pytestmark = pytest.mark.slow
RATE = 48_000
CALL = """\
version: 1
name: kiosk
stages:
  - mic: {device: "pulse:vmic"}
  - mute_gate: {ramp_ms: 0}
  - realtime: {provider: embedded}
  - blackhole
  - recorder: {path: said.wav}
    from: mute_gate
events:
  - jsonl: events.jsonl
"""


def constant(folder: Path, name: str, value: int) -> Path:
    path = folder / f"{name}.raw"
    path.write_bytes(np.full(60 * RATE, value, "<i2").tobytes())
    return path


def test_another_microphone_is_taken_and_the_call_goes_on(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    require_speech()
    pulse.add_mic(2)
    pulse.play("vmic_in", constant(tmp_path, "one", 1000), 1)
    pulse.play("vmic2_in", constant(tmp_path, "two", 2000), 1)
    (tmp_path / "kiosk.yaml").write_text(CALL)
    told = tmp_path / "events.jsonl"
    with running("run", "kiosk.yaml", cwd=tmp_path, env=pulse.env) as run:
        wait_for_events(told, "recorder.started", 1, 60)
        taken = rtpipe("ctl", "kiosk", "mic.use", "VirtualMic2", cwd=tmp_path, env=pulse.env)
        assert (taken.code, taken.err) == (0, "")
        assert "uses pulse:vmic2 now" in taken.out
        refused = rtpipe("ctl", "kiosk", "mic.use", "Nobody", cwd=tmp_path, env=pulse.env)
        assert "Nobody" in refused.out + refused.err
        closed = rtpipe("ctl", "kiosk", "mute_gate.close", cwd=tmp_path, env=pulse.env)
        assert closed.code == 0
        wait_for_events(told, "mute_gate.closed", 1, 10)
        run.signal(signal.SIGINT)
        assert run.wait() == 0
    [recorded] = tracks(tmp_path / "said.wav", rate=RATE)
    values = [value for value, _ in stretches(recorded, least_s=0.05)]
    assert values[-1] == 0 or 2000 in values
    assert values.index(2000) > values.index(1000)
    types = [event["type"] for event in events_in(told)]
    assert types.count("realtime.connected") == 1
    assert types.index("realtime.disconnected") > types.index("pipeline.stopping")
