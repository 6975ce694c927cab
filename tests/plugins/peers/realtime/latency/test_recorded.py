"""What is measured of a turn is what a recording of both voices shows, over real devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from devices.pulse import PulseAudio, pulse

pytest.importorskip("rtpipe_realtime_server")

from helpers.latency_room import take

__all__ = ["pulse"]

pytestmark = pytest.mark.slow
TAKES = 2
QUESTIONS = 2
TOLERANCE_MS = 60
"""On a busy machine a sound server is later than its device admits, and a part that is forgotten is
more than this. `benchmarks/latency.py` on a quiet one: within 20 ms."""


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_the_parts_sum_to_what_a_recording_shows(
    pulse: PulseAudio, tmp_path: Path, transport: str
) -> None:
    for number in range(TAKES):
        folder = tmp_path / str(number)
        folder.mkdir()
        shown = await take(pulse, folder, transport, QUESTIONS)
        if not shown.disturbed:
            break
    else:
        pytest.skip("the machine is too busy: its sound has holes, which no sum contains")
    story = f"{shown.said}\n{[(event['at'], event['type']) for event in shown.events]}"
    assert len(shown.turns) == len(shown.waits_ms) == QUESTIONS, story
    for turn, waited_ms in zip(shown.turns, shown.waits_ms, strict=True):
        assert turn["total_ms"] == pytest.approx(waited_ms, abs=TOLERANCE_MS), story
        parts = [ms for name, ms in turn.items() if name.endswith("_ms") and name != "total_ms"]
        assert sum(parts) == pytest.approx(turn["total_ms"])
        assert min(parts) >= 0
    assert f"latency of {QUESTIONS} turns" in shown.said
