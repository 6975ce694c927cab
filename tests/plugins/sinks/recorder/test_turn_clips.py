"""Each turn as a clip of its own."""

from pathlib import Path

import numpy as np
import pytest

from helpers.media_files import read_tracks, read_wav
from plugins.sinks.recorder.recording import (
    RATE,
    events_at,
    heard,
    in_turn,
    recorded,
    voice,
    with_events,
)

TURN = [
    (2.0, "turn.user_started", "realtime"),
    (2.1, "vad.speech_started", "vad"),
    (3.0, "turn.user_stopped", "realtime"),
    (4.0, "turn.answer_started", "realtime"),
    (4.4, "turn.user_started", "realtime"),
    (4.5, "turn.answer_stopped", "realtime"),
    (5.0, "turn.user_stopped", "realtime"),
    (6.0, "turn.answer_started", "realtime"),
]


@pytest.mark.parametrize("inputs", [("gate", "realtime"), ("realtime", "gate")])
def test_each_turn_is_a_clip_of_its_own(tmp_path: Path, inputs: tuple[str, str]) -> None:
    user, desk = voice(6.0, 1), voice(6.0, 2)
    voices = (user, desk) if inputs[0] == "gate" else (desk, user)
    frames = in_turn(heard(voices[0], at_s=1.0), heard(voices[1], at_s=1.0))
    bench = recorded(
        tmp_path / "a.wav", with_events(frames, events_at(*TURN)), inputs=inputs, turns=True
    )
    expected = {
        "001-user.wav": user[24_000:110_400],
        "002-assistant.wav": desk[120_000:182_400],
        "003-user.wav": user[139_200:206_400],
        "004-assistant.wav": desk[216_000:],
    }
    for name, samples in expected.items():
        assert np.array_equal(read_wav(tmp_path / "a.turns" / name)[0][:, 0], samples), name
    assert len(list((tmp_path / "a.turns").iterdir())) == 4
    told = [event.payload() for event in bench.run.of_type("recorder.turn_recorded")]
    assert [(t["role"], t["start_s"], t["duration_s"]) for t in told] == [
        ("user", 0.5, 1.8),
        ("assistant", 2.5, 1.3),
        ("user", 2.9, 1.4),
        ("assistant", 4.5, 1.5),
    ]


def test_a_vad_alone_cuts_the_users_turns(tmp_path: Path) -> None:
    data = voice(3.0)
    events = events_at((1.2, "vad.speech_started", "vad"), (2.0, "vad.speech_stopped", "vad"))
    frames = in_turn(heard(data, at_s=0.0))
    recorded(tmp_path / "a.mka", with_events(frames, events), inputs=("mic",), turns=True)
    (clip,) = (tmp_path / "a.turns").iterdir()
    assert clip.name == "001-user.mka"
    assert len(read_tracks(clip)[0]) == pytest.approx(1.6 * RATE, abs=1000)
