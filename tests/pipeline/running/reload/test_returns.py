"""A fallback gives its place back when what it stands in for is there again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.actors import diary, heard, loads, whole
from pipeline.running.reload.outages import MIC, Cable, Devices, marks, of, run
from rtpipe import (
    Event,
    Pipeline,
)
from rtpipe.events import (
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnUserStarted,
    TurnUserStopped,
)
from rtpipe.running.reload.returns import PATIENCE_S


def test_what_was_away_at_the_start_is_tried_again_until_it_is_there() -> None:
    events = run(MIC, 120, (0, 70))
    assert [round(at) for _, at in Cable.opened] == [0, 30, 60, 90]
    assert marks() == [2, 1]
    [away] = of(events, "stage.still_away")  # told once: nothing new was learnt at 60 s
    assert (away.source, away.reason, away.away_s) == ("device", "no cable", 30)
    [back] = of(events, "stage.returned")
    assert (back.used, back.instead_of, back.paused) == (
        "device: 1",
        "device: {mark: 2, wired: false}",
        True,
    )
    assert back.away_s == pytest.approx(90.5, abs=0.1)
    assert back.waited_s == 0.5
    told = [event.type for event in events if event.type.startswith("stage.re")]
    assert told == ["stage.returning", "stage.returned"]
    assert not of(events, "link.dropped") + of(events, "stage.failed")
    assert len(whole("collect")) == pytest.approx(120 * 48_000, abs=2 * 960)


def test_what_fails_while_it_runs_comes_back_too_as_often_as_it_goes() -> None:
    events = run(MIC, 200, (10, 25), (100, 125))
    assert marks() == [1, 2, 1, 2, 1]
    assert len(of(events, "stage.fell_back")) == len(of(events, "stage.returned")) == 2
    assert len(whole("collect")) == pytest.approx(200 * 48_000, abs=4 * 960)


def test_without_return_after_s_a_fallback_is_for_life() -> None:
    events = run(MIC.replace(", return_after_s: 30", ""), 120, (0, 10))
    assert [round(at) for _, at in Cable.opened] == [0]
    assert marks() == [2]
    assert not of(events, "stage.returned")


def say(pipeline: Pipeline, event: type[Event]) -> None:
    pipeline.bus.publish(event(source="host"))


async def talk(pipeline: Pipeline, *, until_s: float) -> None:
    """Ask at 25 s, answer until `until_s`."""
    await asyncio.sleep(25 - pipeline.clock.now())
    say(pipeline, TurnUserStarted)
    await asyncio.sleep(10)
    say(pipeline, TurnUserStopped)
    say(pipeline, TurnAnswerStarted)
    await asyncio.sleep(until_s - pipeline.clock.now())
    say(pipeline, TurnAnswerStopped)


@pytest.mark.parametrize(
    "text",
    [
        MIC,
        MIC.replace(
            "device: 1\n    fallback: {device:",
            "device: {wired: false}\n  - player: 1\n    fallback: {player:",
        ).replace("  - collect\n", ""),
    ],
    ids=["source", "sink"],
)
def test_nobody_is_cut_off(text: str) -> None:
    events = run(text, 80, (0, 20), meanwhile=lambda pipeline: talk(pipeline, until_s=47))
    [back] = of(events, "stage.returned")
    assert back.at == pytest.approx(47.5, abs=0.05)
    assert back.waited_s == pytest.approx(17.5, abs=0.05)
    assert back.paused


def test_who_never_stops_is_cut_off_in_the_end_and_that_is_said() -> None:
    events = run(MIC, 120, (0, 20), meanwhile=lambda pipeline: talk(pipeline, until_s=110))
    [back] = of(events, "stage.returned")
    assert (back.paused, back.waited_s) == (False, PATIENCE_S)
    assert "no pause came in 60 s" in back.line()


def test_a_sink_that_stood_in_plays_what_it_was_given() -> None:
    text = """
version: 1
stages:
  - ramp: {live: true, frames: 3000}
  - player: 1
    fallback: {player: {mark: 2, wired: false}, return_after_s: 5}
"""
    events = run(text, 55, (0, 12), (30, 31))
    assert "drained 2" in diary
    assert len(of(events, "stage.returned")) == 2
    accounted = len(heard["1"]) + len(heard["2"]) + len(heard["lost"])
    assert len(heard["lost"]) == 1  # under which it was pulled out
    assert accounted == pytest.approx(55 * 50, abs=1)
    assert len(heard["2"]) == pytest.approx((15.5 + 5.5) * 50, abs=6)


def test_a_transform_comes_back_between_two_frames() -> None:
    text = """
version: 1
stages:
  - ramp: {live: true, frames: 2000}
  - sign: 1
    fallback: {sign: {mark: 2, wired: false}, return_after_s: 5}
  - collect
"""
    events = run(text, 45, (0, 12))
    assert marks() == [2, 1]
    assert len(heard["collect"]) == 2000
    assert not of(events, "link.dropped")


def test_a_peer_comes_back_when_the_conversation_is_over() -> None:
    text = """
version: 1
stages:
  - ramp: {live: true, frames: 6000}
  - host: 1
    fallback: {host: {mark: 2, wired: false}, return_after_s: 30}
  - collect
"""
    events = run(text, 100, (0, 20), meanwhile=lambda pipeline: talk(pipeline, until_s=47))
    [back] = of(events, "stage.returned")
    assert (
        next(each for each in diary if "call" in each) == "call 57"
    )  # nobody talks to a call that waits
    assert back.at == pytest.approx(67, abs=0.1)
    assert marks() == [2, 1]


def test_a_subscriber_comes_back_and_misses_nothing() -> None:
    text = """
version: 1
stages: [device: {wired: false}, collect]
events:
  - lamp: 1
    match: turn.*
    fallback: {lamp: {mark: 2, wired: false}, return_after_s: 30}
"""
    run(text, 60, (0, 20), meanwhile=lambda pipeline: talk(pipeline, until_s=47))
    assert [each for each in diary if "turn" in each] == [
        "2 turn.user_started",
        "1 turn.user_stopped",
        "1 turn.answer_started",
        "1 turn.answer_stopped",
    ]


def test_of_several_fallbacks_the_first_that_opens_is_gone_back_to() -> None:
    text = """
version: 1
stages:
  - device: 1
    fallback:
      player: 9
  - collect
""".replace(
        "player: 9",
        "device: 2\n      return_after_s: 40\n"
        "      fallback: {device: {mark: 3, wired: false}, return_after_s: 30}",
    )
    events = run(text, 120, (0, 20))
    assert marks() == [3, 1]
    assert [event.used for event in of(events, "stage.fell_back")][-1].startswith(
        "device: {mark: 3"
    )


def test_a_reload_comes_first_and_what_waits_is_closed() -> None:
    async def reload(pipeline: Pipeline) -> None:
        asking = asyncio.ensure_future(talk(pipeline, until_s=50))
        await asyncio.sleep(40 - pipeline.clock.now())  # it is open by then, and waits
        other = MIC.replace(
            "- collect", "- collect\n  - collect: {}\n    id: other\n    from: device"
        )
        await pipeline.apply(loads(other, Devices()).graph)
        await asking

    events = run(MIC, 90, (0, 20), meanwhile=reload)
    types = [event.type for event in events]
    at = types.index("pipeline.reloaded")
    assert types.index("stage.returning") < at < types.index("stage.returned")
    [back] = of(events, "stage.returned")
    assert back.at == pytest.approx(70.5, abs=0.1)  # tried again from the reload on
    assert back.away_s == pytest.approx(70.5, abs=0.1)
    assert diary.count("close 1") == 3  # at the start, that which waited, at the end


def test_the_end_finds_nothing_left_open_that_waits_for_a_pause() -> None:
    async def ask(pipeline: Pipeline) -> None:
        await asyncio.sleep(25 - pipeline.clock.now())
        say(pipeline, TurnUserStarted)

    events = run(MIC, 40, (0, 20), meanwhile=ask)
    assert of(events, "stage.returning")
    assert not of(events, "stage.returned")
    assert diary.count("close 1") == 2


def test_a_fallback_that_goes_on_to_another_does_not_go_back_in_its_name() -> None:
    text = (
        """
version: 1
stages:
  - device: 1
    fallback:
      sign: 1
""".replace(
            "sign: 1",
            "device: 2\n      return_after_s: 5\n      fallback: {device: {mark: 3, wired: false}}",
        )
        + "  - collect\n"
    )
    events = run(text, 60, (0, 20))
    assert marks() == [3]
    assert not of(events, "stage.returned")


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.tuples(st.floats(2, 50), st.floats(0.1, 50)), min_size=1, max_size=4),
    period=st.integers(1, 20),
)
def test_every_second_has_its_frames_whenever_the_cable_goes(
    gaps: list[tuple[float, float]], period: int
) -> None:
    out, now = [], 0.0
    for pause, length in gaps:
        out.append((now + pause, now + pause + length))
        now = out[-1][1]
    events = run(MIC.replace("30", f"{period}"), now + period + 5, *out)
    assert len(of(events, "stage.fell_back")) == len(of(events, "stage.returned"))
    assert marks()[-1] == 1
    length = len(whole("collect")) / 48_000
    assert length == pytest.approx(now + period + 5, abs=0.05 * (1 + len(gaps)))
    assert not of(events, "link.dropped")


def test_state_and_description_say_how_far_it_is() -> None:
    seen: list[tuple[str, str, str]] = []

    async def look(pipeline: Pipeline) -> None:
        asking = asyncio.ensure_future(talk(pipeline, until_s=47))
        for at_s in (10, 40, 60):
            await asyncio.sleep(at_s - pipeline.clock.now())
            state = next(each for each in pipeline.state() if each.id == "device")
            about = next(each for each in pipeline.describe() if each.id == "device")
            seen.append((state.kind, state.away, about.wanted))
        await asking

    run(MIC, 65, (0, 20), meanwhile=look)
    assert seen == [
        ("device", "away, tried every 30 s", "device: 1"),
        ("device", "is back, waits for a pause", "device: 1"),
        ("device", "", ""),
    ]
