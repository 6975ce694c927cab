"""Routes: events set off actions at once and reach subscribers in order."""

from __future__ import annotations

from helpers.actors import diary, play
from rtpipe.testing import run_virtual


def test_a_route_performs_an_action_with_arguments() -> None:
    run_virtual(
        play("""
stages: [ramp, collect]
events:
  - match: pipeline.started
    do: collect.note("hello there")
""")
    )
    assert "hello there" in diary


def test_where_and_from_choose_events() -> None:
    run_virtual(
        play("""
stages: [ramp, collect]
events:
  - match: stage.status_changed
    where: {status: stopped}
    from: ramp
    do: collect.note("ramp stopped")
  - match: stage.status_changed
    where: {status: exploded}
    do: collect.note("never")
""")
    )
    assert diary.count("ramp stopped") == 1
    assert "never" not in diary


def test_an_action_that_raises_is_reported_and_ends_nothing() -> None:
    played = run_virtual(
        play("""
stages: [ramp, collect]
events:
  - match: pipeline.started
    do: [collect.trip, collect.note]
""")
    )
    assert played.error is None
    assert played.of("route.failed")[0].payload() == {"action": "collect.trip", "error": "tripped"}
    assert "noted" in diary


def test_a_subscriber_hears_everything_in_order_to_the_very_end() -> None:
    played = run_virtual(play("stages: [ramp, collect]\nevents: [ear]"))
    told = [line for line in diary if "." in line]
    assert told == played.types()[-len(told) :]
    assert told[-1] == "pipeline.ended"


def test_a_slow_subscriber_delays_nobody() -> None:
    played = run_virtual(play("stages: [ramp, collect]\nevents: [ear: {delay_s: 100}]"))
    assert played.error is None
    assert played.events[-1].at < 3


def test_who_only_publishes_finds_every_stage_open_from_its_first_event_to_its_last() -> None:
    played = run_virtual(
        play("""
stages: [ramp, collect]
events:
  - bell
  - bell:
    id: door
  - {match: bell.opened, from: door, do: collect.note("rang at the door")}
  - {match: bell.closed, from: door, do: collect.note("silent at the door")}
""")
    )
    assert played.error is None
    assert not played.of("route.failed")
    assert not played.of("stage.failed")  # nothing is handed to who has no `on_event`
    assert diary.count("rang at the door") == diary.count("silent at the door") == 1
    assert len(played.of("bell.opened")) == 2


def test_another_takes_the_place_of_a_subscriber_that_cannot_open() -> None:
    played = run_virtual(
        play("""
stages: [ramp, collect]
events:
  - bell: {fail_at: 0}
    fallback: {bell: {fail_at: 0}, fallback: bell}
  - {match: bell.opened, from: bell, do: collect.note(rang)}
""")
    )
    assert played.error is None
    assert [event.payload()["reason"] for event in played.of("stage.fell_back")] == [
        "no clapper",
        "no clapper",
    ]
    assert "rang" in diary
