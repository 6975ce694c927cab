"""The sidecar: what happened, in the recording's own time."""

import json
from pathlib import Path

from plugins.sinks.recorder.recording import heard, in_turn, recorded, voice
from rtpipe import Event
from rtpipe.testing import Bench


def test_the_sidecar_tells_what_happened_in_the_recordings_own_time(tmp_path: Path) -> None:
    def say(bench: Bench) -> None:
        bench.bus.publish(Event(type="vad.speech_started", source="vad", at=5.25))

    frames = in_turn(heard(voice(1.0), at_s=5.0))
    bench = recorded(tmp_path / "a.mka", [*frames[:25], say, *frames[25:]])
    lines = [json.loads(line) for line in (tmp_path / "a.events.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines] == [
        "recorder.started",
        "vad.speech_started",
        "recorder.stopped",
    ]
    assert lines[0]["tracks"] == ["visitor", "desk"]
    assert lines[0]["zero_s"] == 5.0
    assert lines[1] == {"type": "vad.speech_started", "source": "vad", "at": 0.25}
    (stopped,) = bench.run.of_type("recorder.stopped")
    assert stopped.payload() == {
        "path": str(tmp_path / "a.mka"),
        "duration_s": 1.0,
        "segments": 1,
        "lost_s": 0.0,
    }


def test_without_a_sidecar_there_is_none(tmp_path: Path) -> None:
    recorded(tmp_path / "a.mka", in_turn(heard(voice(0.1), at_s=0.0)), sidecar=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mka"]
