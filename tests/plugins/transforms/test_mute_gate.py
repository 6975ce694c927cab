"""mute_gate: open, closed, half duplex, push to talk, by voice; never a sample more or less."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from rtpipe import AudioFrame, Event, StageError, audio
from rtpipe.events import StageStatusChanged, TurnAnswerStarted, TurnAnswerStopped
from rtpipe.testing import (
    StageRun,
    check_stage,
    cut,
    joined,
    run_stage,
    run_virtual,
    speech_like,
)
from rtpipe_plugins.transforms.mute_gate.stage import MuteGate, MuteGateOptions
from rtpipe_plugins.transforms.vad import Vad

LOUD = 10_000
HARD = {"ramp_ms": 0}


def loud(seconds: float, *, pts: int = 0, size: int = 960) -> list[AudioFrame]:
    return cut(np.full(round(seconds * 48_000), LOUD, np.int16), size, pts=pts)


def gated(options: dict[str, Any], steps: list[Any]) -> StageRun:
    return run_virtual(run_stage(MuteGate, options, steps))


def opened(run: StageRun) -> list[bool]:
    """Return for each millisecond whether it was let through."""
    return [bool(ms.any()) for ms in joined(run.frames).reshape(-1, 48)]


def said(run: StageRun) -> list[tuple[str, int]]:
    return [
        (event.type.removeprefix("mute_gate."), event.as_dict()["at_ms"]) for event in run.events
    ]


def peer(name: str, response_id: str = "resp_1", source: str = "realtime") -> Event:
    kind = {"started": TurnAnswerStarted, "stopped": TurnAnswerStopped}[name]
    return kind(source=source, response_id=response_id)


def marked(verdicts: list[bool], *, sizes: Any = 960, data: Any = None) -> list[AudioFrame]:
    """Return frames that a vad has marked, one verdict for each 20 ms."""
    if data is None:
        data = np.full(960 * len(verdicts), LOUD, np.int16)
    frames = cut(data, sizes)
    for frame in frames:
        pts = frame.pts or 0
        ends = [(pts + end) // 960 - 1 for end in audio.slice_ends(frame)]
        audio.meta(frame).speech = tuple(verdicts[end] for end in ends)
    return frames


@pytest.mark.parametrize("mode", ["open", "closed", "half_duplex", "push_to_talk"])
def test_it_keeps_the_contract(mode: str) -> None:
    check_stage(MuteGate, {"mode": mode}, tolerance=0)


def test_open_lets_everything_through_and_closed_gives_zeros() -> None:
    frames = loud(0.1)
    assert np.array_equal(joined(gated({}, frames).frames), joined(frames))
    run = gated({"mode": "closed"}, frames)
    assert not joined(run.frames).any()
    assert [(f.pts, f.samples) for f in run.frames] == [(f.pts, f.samples) for f in frames]


def test_it_says_how_it_stands_and_every_change_with_its_media_time() -> None:
    a, b, c = loud(0.06)
    run = gated({}, [a, lambda gate: gate.close_gate(), b, lambda gate: gate.open_gate(), c])
    assert said(run) == [("opened", 0), ("closed", 20), ("opened", 40)]
    assert said(gated({"mode": "closed"}, [a])) == [("closed", 0)]


def test_routes_know_its_actions_by_their_plain_names() -> None:
    """`open` and `close` are a stage's own methods, so the actions' are called otherwise."""
    actions = MuteGate.actions()
    assert actions.keys() == {"open", "close", "toggle", "talk", "release"}
    assert (actions["open"].method, actions["close"].method) == ("open_gate", "close_gate")


def test_toggle_turns_the_switch() -> None:
    a, b, c = loud(0.06)
    run = gated(HARD, [a, lambda gate: gate.toggle(), b, lambda gate: gate.toggle(), c])
    assert opened(run) == [True] * 20 + [False] * 20 + [True] * 20


def test_opening_and_closing_fade_without_a_click() -> None:
    a, *rest = loud(0.2)
    steps = [a, lambda gate: gate.close_gate(), *rest[:4], lambda gate: gate.open_gate(), *rest[4:]]
    out = joined(gated({"ramp_ms": 5}, steps).frames)[:, 0].astype(int)
    assert np.max(np.abs(np.diff(out))) <= LOUD / 240 + 1
    assert out[960 + 239] == 0  # closed 5 ms later, and really so
    assert out[960 + 237] > 0
    assert out[-1] == LOUD


def test_turning_back_in_mid_fade_makes_no_click_either() -> None:
    frames = loud(0.02, size=48)
    steps = [frames[0], lambda gate: gate.close_gate(), frames[1], lambda gate: gate.open_gate()]
    out = joined(gated({"ramp_ms": 5}, [*steps, *frames[2:]]).frames)[:, 0].astype(int)
    assert np.max(np.abs(np.diff(out))) <= LOUD / 240 + 1
    assert out.min() == pytest.approx(LOUD * 0.8, abs=1)


def test_push_to_talk_is_open_from_talk_to_release() -> None:
    a, b, c = loud(0.06)
    options = {"mode": "push_to_talk", **HARD}
    run = gated(options, [a, lambda gate: gate.talk(), b, lambda gate: gate.release(), c])
    assert opened(run) == [False] * 20 + [True] * 20 + [False] * 20


def test_close_is_stronger_than_the_button() -> None:
    options = {"mode": "push_to_talk", **HARD}
    run = gated(options, [lambda gate: gate.talk(), lambda gate: gate.close_gate(), *loud(0.02)])
    assert not any(opened(run))


def test_events_open_and_close_it() -> None:
    a, b, c = loud(0.06)
    options = {"mode": "closed", "open_on": "door.*", "close_on": ["night.fell", "alarm.*"], **HARD}
    run = gated(options, [a, Event(type="door.opened"), b, Event(type="alarm.rang"), c])
    assert opened(run) == [False] * 20 + [True] * 20 + [False] * 20


# --- half duplex


def half_duplex(steps: list[Any], tail_ms: float = 40) -> list[bool]:
    return opened(gated({"mode": "half_duplex", "tail_ms": tail_ms, **HARD}, steps))


def test_half_duplex_is_closed_while_the_peer_speaks_and_for_the_tail() -> None:
    a, b, *rest = loud(0.2)
    out = half_duplex([a, peer("started"), b, peer("stopped"), *rest], tail_ms=50)
    assert out == [True] * 20 + [False] * 20 + [False] * 50 + [True] * 110


def test_the_peers_word_is_enough_of_an_end() -> None:
    a, *rest = loud(0.1)
    out = half_duplex([peer("started"), a, peer("stopped"), *rest])
    assert out == [False] * 60 + [True] * 40


def test_half_duplex_waits_for_the_speaker_too() -> None:
    a, b, c, *rest = loud(0.2)
    out = half_duplex(
        [
            peer("started"),
            Event(type="playback.started", source="speaker"),
            a,
            peer("stopped"),
            b,
            Event(type="playback.stopped", source="speaker"),
            c,
            *rest,
        ]
    )
    assert out == [False] * 80 + [True] * 120


def test_two_responses_end_each_for_itself() -> None:
    a, b, c, d, *_ = loud(0.2)
    out = half_duplex(
        [
            peer("started", "one"),
            peer("started", "two"),
            a,
            peer("stopped", "one"),
            b,
            peer("stopped", "two"),
            c,
            d,
        ],
        tail_ms=20,
    )
    assert out == [False] * 60 + [True] * 20


def test_a_stop_without_a_start_closes_nothing() -> None:
    assert all(half_duplex([peer("stopped"), *loud(0.1)]))


def test_speech_during_the_tail_begins_a_new_one() -> None:
    a, b, c, d, *rest = loud(0.2)
    out = half_duplex(
        [
            peer("started"),
            a,
            peer("stopped"),
            b,
            peer("started"),
            c,
            peer("stopped"),
            d,
            *rest,
        ]
    )
    assert out == [False] * 100 + [True] * 100


@pytest.mark.parametrize(
    "trouble",
    [
        Event(type="realtime.disconnected", source="realtime"),
        StageStatusChanged(source="realtime", status="recovering"),
        peer("stopped", ""),
    ],
)
def test_whoever_falls_silent_without_a_word_does_not_close_it_for_ever(trouble: Event) -> None:
    a, *rest = loud(0.1)
    assert half_duplex([peer("started"), a, trouble, *rest]) == [False] * 60 + [True] * 40


def test_the_trouble_of_another_stage_does_not_open_it() -> None:
    a, *rest = loud(0.1)
    trouble = StageStatusChanged(source="recorder", status="failed")
    assert not any(half_duplex([peer("started"), a, trouble, *rest]))


def test_other_modes_do_not_listen_to_the_peer() -> None:
    assert all(opened(gated(HARD, [peer("started"), *loud(0.1)])))


# --- by voice


def by_voice(frames: list[Any], preroll_ms: float = 100) -> StageRun:
    return gated({"mode": "vad", "preroll_ms": preroll_ms, **HARD}, frames)


def test_by_voice_it_opens_a_preroll_before_the_detection() -> None:
    run = by_voice(marked([False] * 10 + [True] * 5 + [False] * 10))
    # the 11th verdict is known at 220 ms, the first one against it at 320 ms
    assert opened(run) == [False] * 120 + [True] * 200 + [False] * 180
    assert said(run) == [("closed", 0), ("opened", 120), ("closed", 320)]


def test_a_pause_shorter_than_the_preroll_does_not_close_it() -> None:
    run = by_voice(marked([True] * 5 + [False] * 4 + [True] * 5 + [False] * 9))
    assert opened(run) == [True] * 300 + [False] * 160
    assert said(run) == [("opened", 0), ("closed", 300)]


def test_a_pause_longer_than_the_preroll_does() -> None:
    run = by_voice(marked([True] * 5 + [False] * 6 + [True] * 5), preroll_ms=100)
    assert opened(run) == [True] * 120 + [False] * 20 + [True] * 180


def test_the_preroll_delays_frames_but_changes_neither_their_times_nor_their_number() -> None:
    frames = marked([True] * 20)
    out_at: list[int] = []

    def count(gate: MuteGate) -> None:
        made = gate.process(frames[len(out_at)])
        assert isinstance(made, list)
        out_at.append(len(made))

    by_voice([count] * 20, preroll_ms=100)
    assert out_at == [0] * 5 + [1] * 15
    run = by_voice(frames, preroll_ms=100)
    assert [f.pts for f in run.frames] == [f.pts for f in frames]


def test_without_preroll_nothing_is_delayed() -> None:
    frames = marked([True])
    kept: list[Any] = []
    by_voice([lambda gate: kept.extend(gate.process(frames[0]))], preroll_ms=0)
    assert [frame.pts for frame in kept] == [0]


def test_close_silences_at_once_what_is_held_too() -> None:
    frames = marked([True] * 10)
    run = by_voice([*frames[:8], lambda gate: gate.close_gate(), *frames[8:]])
    assert opened(run) == [True] * 60 + [False] * 140


def test_a_reset_drops_what_is_held() -> None:
    first = marked([True] * 5)
    after = cut(np.full(960, LOUD, np.int16), pts=480_000)
    audio.meta(after[0]).speech = (False,)
    run = by_voice([*first, lambda gate: gate.reset(), *after], preroll_ms=1000)
    assert [f.pts for f in run.frames] == [480_000]


def test_by_voice_without_a_vad_is_refused() -> None:
    with pytest.raises(StageError, match="needs to be told what is speech"):
        by_voice(loud(0.02))


def test_verdicts_of_a_frame_that_was_cut_since_still_open_it() -> None:
    frames = loud(0.04)
    for frame in frames:
        audio.meta(frame).speech = (False,) * 9 + (True,)  # what 200 ms were marked with
    assert any(opened(by_voice(frames, preroll_ms=20)))


# --- the same however the stream is cut


@settings(deadline=None)
@given(
    verdicts=st.lists(st.booleans(), min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 12_000), min_size=1, max_size=5).filter(lambda s: sum(s) > 100),
    preroll_ms=st.sampled_from([0, 7, 20, 100, 333]),
    ramp_ms=st.sampled_from([0, 1, 5, 50]),
)
def test_by_voice_the_cut_makes_no_difference(
    verdicts: list[bool], sizes: list[int], preroll_ms: float, ramp_ms: float
) -> None:
    data = np.random.default_rng(2).integers(-32768, 32768, 960 * len(verdicts)).astype(np.int16)
    options = {"mode": "vad", "preroll_ms": preroll_ms, "ramp_ms": ramp_ms}
    whole = gated(options, marked(verdicts, data=data))
    parts = gated(options, marked(verdicts, data=data, sizes=sizes))
    assert np.array_equal(joined(parts.frames), joined(whole.frames))
    assert said(parts) == said(whole)
    assert [f.pts for f in parts.frames] == [f.pts for f in marked(verdicts, sizes=sizes)]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12_000), min_size=1, max_size=5).filter(lambda s: sum(s) > 100),
    tail_ms=st.sampled_from([0, 13, 40, 400]),
    ramp_ms=st.sampled_from([0, 1, 5, 50]),
    changes=st.lists(
        st.sampled_from(["started", "stopped", "close_gate", "open_gate", "toggle"]), max_size=5
    ),
)
def test_in_half_duplex_the_cut_makes_no_difference(
    sizes: list[int], tail_ms: float, ramp_ms: float, changes: list[str]
) -> None:
    """Events and actions come at the same places of the stream; between them it is cut anyhow."""
    data = np.random.default_rng(3).integers(-32768, 32768, 12_000).astype(np.int16)

    def change(name: str) -> Any:
        return peer(name) if name in {"started", "stopped"} else lambda g: getattr(g, name)()

    def run(sizes: list[int]) -> NDArray[np.int16]:
        steps: list[Any] = []
        for number, name in enumerate([*changes, None]):
            part = data[number * 2000 : (number + 1) * 2000]
            steps += cut(part, sizes, pts=number * 2000)
            steps += [change(name)] if name else []
        options = {"mode": "half_duplex", "tail_ms": tail_ms, "ramp_ms": ramp_ms}
        made = gated(options, steps)
        assert made.samples == 2000 * (len(changes) + 1)
        return joined(made.frames)

    assert np.array_equal(run(sizes), run([960]))


def test_behind_a_real_vad_the_cut_makes_no_difference() -> None:
    spoken = joined(speech_like(seconds=0.6))
    data = np.concatenate([spoken // 2000, spoken, spoken // 2000, spoken])

    def run(sizes: Any) -> StageRun:
        heard = run_virtual(run_stage(Vad, {"min_silence_ms": 200}, cut(data, sizes)))
        return gated({"mode": "vad"}, heard.frames)

    whole = run(960)
    assert [name for name, _ in said(whole)] == ["closed", "opened", "closed", "opened"]
    for sizes in (9600, (1, 7, 441, 959, 961, 4801)):
        parts = run(sizes)
        assert np.array_equal(joined(parts.frames), joined(whole.frames))
        assert said(parts) == said(whole)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValidationError, match="half_duplex"):
        MuteGateOptions.model_validate({"mode": "half duplex"})
