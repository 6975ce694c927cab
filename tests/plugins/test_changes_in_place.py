"""Options that change while a stage runs: from the next frame on, and no sample is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtpipe import AudioFrame, Event, StageContext, StageError, audio
from rtpipe.catalogue.plugins import Registry
from rtpipe.testing import joined, noise, run_stage, run_virtual
from rtpipe_plugins.sinks.recorder.options import RecorderOptions
from rtpipe_plugins.sinks.recorder.stage import Recorder
from rtpipe_plugins.sources.tone import Tone
from rtpipe_plugins.transforms.chime import Chime
from rtpipe_plugins.transforms.delay import Delay
from rtpipe_plugins.transforms.filter import Filter
from rtpipe_plugins.transforms.gain import Gain
from rtpipe_plugins.transforms.level import Level
from rtpipe_plugins.transforms.mute_gate.stage import MuteGate
from rtpipe_plugins.transforms.vad import Vad

FRAMES = list(noise(seconds=1, level_dbfs=-20))


def to(stage_type: Any, **options: Any) -> Callable[[Any], object]:
    return lambda stage: stage.change(stage_type.options_type(**options))


def changed(stage_type: Any, before: dict[str, Any], after: dict[str, Any]) -> Any:
    """Return what comes of a second of noise, in whose middle the options change."""
    steps = [*FRAMES[:25], to(stage_type, **after), *FRAMES[25:]]
    return run_virtual(run_stage(stage_type, before, steps))


def test_what_may_change_is_an_option() -> None:
    for stage_type in Registry.discover().kinds.importable().values():
        assert stage_type.live <= set(stage_type.options_type.model_fields), stage_type.kind


def test_gain_fades_to_what_the_file_says_and_leaves_what_an_action_set() -> None:
    out = joined(changed(Gain, {"gain_db": 0}, {"gain_db": -20}).frames)[:, 0].astype(float)
    whole = joined(FRAMES)[:, 0].astype(float)
    assert np.array_equal(out[:24_000], whole[:24_000])
    assert np.allclose(out[24_960:], whole[24_960:] / 10, atol=1)
    ratio = out[24_000:24_960] / np.where(whole[24_000:24_960], whole[24_000:24_960], 1)
    assert 0.1 <= np.median(ratio) <= 1
    steps = [lambda stage: stage.set(-20), to(Gain, gain_db=0, limiter=False), *FRAMES]
    kept = joined(run_virtual(run_stage(Gain, {"gain_db": 0}, steps)).frames)[960:, 0]
    assert np.allclose(kept, whole[960:] / 10, atol=1)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"gain_db": 3}, {"gain_db": 6}, "a fade of 20 ms"),
        ({"gain_db": 3}, {"gain_db": 3, "limiter": False}, "nothing"),
    ],
)
def test_gain_says_what_is_heard(before: Any, after: Any, words: str) -> None:
    options = Gain.options_type
    assert Gain.change_heard(options(**before), options(**after)) == words


def test_vad_judges_otherwise_and_whoever_speaks_goes_on() -> None:
    speaking = {"waveform": "speech_like", "duration_s": 1, "realtime": True}
    speech = run_virtual(run_stage(Tone, speaking, [])).frames
    silent = [audio.silence(960, pts=48_000 + index * 960) for index in range(50)]
    steps = [*speech, to(Vad, min_silence_ms=100, aggressiveness=3), *silent]
    events = run_virtual(run_stage(Vad, {"min_silence_ms": 500}, steps)).events
    types = [event.type for event in events if event.type.startswith("vad.")]
    assert types == ["vad.speech_started", "vad.speech_stopped"]
    slow = run_virtual(run_stage(Vad, {"min_silence_ms": 500}, [*speech, *silent]))
    assert joined(slow.frames).shape == (96_000, 1)
    frames = run_virtual(
        run_stage(Vad, {"frame_ms": 30}, [*speech, to(Vad, frame_ms=10), *silent])
    ).frames
    assert len(joined(frames)) == 96_000


def gate_steps(*change: Any) -> list[Any]:
    return [*FRAMES[:25], *change, *FRAMES[25:]]


def test_the_gate_takes_another_mode_between_two_frames() -> None:
    out = joined(changed(MuteGate, {"mode": "open"}, {"mode": "closed"}).frames)[:, 0]
    assert np.array_equal(out[:24_000], joined(FRAMES)[:24_000, 0])
    assert not out[24_000 + 240 :].any()


def test_the_gate_gives_out_what_mode_vad_held() -> None:
    spoken = [audio.copy(frame) for frame in FRAMES]
    for frame in spoken:
        audio.meta(frame).speech = (True,)
    steps = [*spoken[:25], to(MuteGate, mode="open"), *spoken[25:]]
    frames = run_virtual(run_stage(MuteGate, {"mode": "vad", "preroll_ms": 300}, steps)).frames
    assert len(joined(frames)) == 48_000
    starts = [frame.pts for frame in frames]
    assert starts == sorted(starts)


def test_the_gate_closes_by_other_events() -> None:
    steps = [
        to(MuteGate, close_on="shut"),
        Event(type="close"),  # by which it closed before
        *FRAMES[:25],
        Event(type="shut"),
        *FRAMES[25:],
    ]
    out = joined(run_virtual(run_stage(MuteGate, {"close_on": "close"}, steps)).frames)[:, 0]
    assert out[1000:24_000].any()
    assert not out[24_300:].any()


def test_the_gates_ramp_is_another_from_then_on() -> None:
    steps = gate_steps(to(MuteGate, ramp_ms=100), lambda stage: stage.close_gate())
    out = joined(run_virtual(run_stage(MuteGate, {"ramp_ms": 5}, steps)).frames)[:, 0]
    assert out[24_000 + 2400 : 24_000 + 4000].any()
    assert not out[24_000 + 4800 :].any()


@pytest.mark.parametrize(("delay_ms", "shift"), [(200, 9600), (50, 2400), (0, 0)])
def test_a_delay_becomes_longer_or_shorter(delay_ms: float, shift: int) -> None:
    out = joined(changed(Delay, {"delay_ms": 100}, {"delay_ms": delay_ms}).frames)[:, 0]
    whole = joined(FRAMES)[:, 0]
    assert np.array_equal(out[4800:24_000], whole[: 24_000 - 4800])
    assert np.array_equal(
        out[24_000 + max(shift, 4800) : 48_000],
        whole[24_000 + max(shift, 4800) - shift : 48_000 - shift],
    )
    words = Delay.change_heard(
        Delay.options_type(delay_ms=100), Delay.options_type(delay_ms=delay_ms)
    )
    assert words == ("a gap of 100 ms" if shift > 4800 else f"{100 - delay_ms:g} ms are left out")


def test_filters_are_exchanged_without_losing_a_sample() -> None:
    run = changed(Filter, {"graph": "volume=0dB"}, {"graph": "volume=-20dB"})
    out, whole = joined(run.frames)[:, 0].astype(float), joined(FRAMES)[:, 0]
    assert len(out) == 48_000
    assert np.allclose(out[24_000:], whole[24_000:] / 10, atol=1.5)
    with pytest.raises(StageError, match="FFmpeg refuses it"):
        changed(Filter, {"graph": "volume=0dB"}, {"graph": "pan=mono|c0=c7,channelmap=5"})


def test_a_level_is_told_of_in_other_intervals() -> None:
    events = changed(Level, {"interval_ms": 100}, {"interval_ms": 250}).events
    at_ms = [event.payload()["at_ms"] for event in events if event.type == "level"]
    assert at_ms == [100, 200, 300, 400, 500, 750, 1000]


def test_a_chime_is_set_off_by_other_events_and_softer(tmp_path: Path) -> None:
    from wave import open as wave_open

    path = tmp_path / "ding.wav"
    with wave_open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.full(4800, 10_000, np.int16).tobytes())
    silent: list[AudioFrame] = [audio.silence(960, pts=index * 960) for index in range(50)]
    before = {"path": path, "on": "first"}
    after = to(Chime, path=path, on="second", gain_db=-20)
    steps = [after, Event(type="first"), *silent[:25], Event(type="second"), *silent[25:]]
    out = joined(run_virtual(run_stage(Chime, before, steps)).frames)[:, 0]
    assert not out[:24_000].any()
    assert np.all(out[24_000:28_800] == 1000)


def test_a_recorder_may_move_to_a_file_of_the_same_sort_alone(tmp_path: Path) -> None:
    def options(name: str, **more: Any) -> RecorderOptions:
        return RecorderOptions(path=tmp_path / name, **more)

    assert Recorder.change_heard(options("a.wav"), options("b.wav", segment_s=60)) == "nothing"
    assert Recorder.change_heard(options("a.wav"), options("a.mka")) is None
    assert Recorder.change_heard(options("a.wav"), options("a.wav", turns=True)) is None


def test_who_paused_a_recorder_finds_it_paused_in_another_instance(tmp_path: Path) -> None:
    context = StageContext("recorder", *[None] * 3)  # type: ignore[arg-type]
    first = Recorder(RecorderOptions(path=tmp_path / "a.wav"), context)
    first._switch.turn("pause", 0)
    Recorder._states[context.place] = first._switch.state
    again = Recorder(RecorderOptions(path=tmp_path / "a.mka"), context)
    assert again.gauge() == "paused"


def test_the_how_to_names_what_changes_in_place() -> None:
    how_to = Path(__file__).parents[2] / "docs" / "how-to" / "change-a-running-kiosk.md"
    written = {line for line in how_to.read_text("utf-8").splitlines() if line.startswith("| `")}
    rows = set()
    for kind, stage_type in Registry.discover().kinds.importable().items():
        names = [
            f"`{name}`" for name in stage_type.options_type.model_fields if name in stage_type.live
        ]
        if names and stage_type.__module__.startswith("rtpipe_"):
            rows.add(f"| `{kind}` | {', '.join(names)} |")
    assert written == rows
