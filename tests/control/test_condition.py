"""The sentence about a pipeline, and its alerts, event by event."""

from __future__ import annotations

from typing import Any

from rtpipe import Event
from rtpipe_control.view.condition import Condition, StageNow


class Happened(Event):
    """Any event, with any payload."""

    def __init__(self, type: str, at: float, source: str = "realtime", **payload: Any) -> None:
        super().__init__(type=type, source=source, at=at)
        object.__setattr__(self, "told", payload)

    def payload(self) -> dict[str, Any]:
        return self.told  # type: ignore[attr-defined,no-any-return]


GONE = {"device": "USB", "reason": "is gone", "direction": "input", "others": ["HDA"]}


def stages(**changed: Any) -> dict[str, StageNow]:
    def stage(family: str, kind: str, **options: Any) -> StageNow:
        opening = changed.get("opening") == kind
        return StageNow(family, kind, "ok", opening=opening, ended=False, options=options)

    return {
        "mic": stage("source", "mic"),
        "mute_gate": stage("transform", "mute_gate", mode="half_duplex", tail_ms=400),
        "realtime": stage("peer", "realtime"),
        "speaker": stage("sink", "speaker"),
    }


def told(
    condition: Condition, now: float, state: str = "running", **changed: Any
) -> tuple[str, str, float]:
    shown = condition.show(state, stages(**changed), now)
    return shown["text"], shown["tone"], shown["since"]


def test_a_conversation_is_told_turn_by_turn() -> None:
    condition = Condition()
    assert told(condition, 0.0, "opening", opening="speaker")[0] == "Starting."
    condition.take(Happened("realtime.calling", 0.5, timeout_s=10.0))
    shown = condition.show("opening", stages(), 1.9)
    assert shown["text"] == "Calling the model…"
    assert shown["why"] == "For 1.4 s; it may take 10. The microphone opens when the call stands."
    condition.take(Happened("realtime.connected", 2.0))
    assert told(condition, 2.2) == ("Ready. Nobody has spoken yet.", "", 2.2)
    condition.take(Happened("turn.user_started", 3.0))
    assert told(condition, 3.5) == ("The visitor is speaking.", "visitor", 3.0)
    condition.take(Happened("turn.user_stopped", 5.0))
    assert condition.show("running", stages(), 5.9)["why"] == "For 0.9 s."
    condition.take(Happened("mute_gate.closed", 6.0, "mute_gate"))
    condition.take(Happened("turn.answer_started", 6.0))
    shown = condition.show("running", stages(), 6.5)
    assert (shown["text"], shown["tone"]) == ("The desk is speaking.", "model")
    assert "until 0.4 s after the last word" in shown["why"]
    condition.take(Happened("turn.answer_stopped", 9.0))
    condition.take(Happened("mute_gate.opened", 9.4, "mute_gate"))
    assert told(condition, 9.5)[0] == "Ready."
    assert told(condition, 20.0, "ended")[0] == "The pipeline has ended."


def test_a_lost_microphone_is_the_cause_and_goes_when_it_is_back() -> None:
    condition = Condition()
    lost = Happened("device.lost", 7.0, "mic", **GONE)
    assert condition.take(lost)
    shown = condition.show("running", stages(), 9.0)
    assert (shown["text"], shown["tone"], shown["since"]) == ("Nobody can be heard.", "fault", 7.0)
    (alert,) = shown["alerts"]
    assert alert["text"] == 'The microphone "USB" is gone.'
    assert alert["choice"] == {"action": "mic.use", "values": ("HDA",)}
    assert condition.take(Happened("device.returned", 12.0, "mic"))
    shown = condition.show("running", stages(), 12.1)
    assert (shown["tone"], shown["alerts"]) == ("", [])


def test_a_lost_loudspeaker_is_no_microphone_and_of_two_one_still_sounds() -> None:
    condition = Condition()
    both = stages() | {"other": stages()["speaker"]}
    condition.take(Happened("device.lost", 7.0, "speaker", **{**GONE, "direction": "output"}))
    shown = condition.show("running", stages(), 9.0)
    assert (shown["text"], shown["tone"]) == ("Nothing can be heard.", "fault")
    assert shown["why"] == "The loudspeaker is gone; rtpipe waits for it."
    assert shown["alerts"][0]["text"] == 'The loudspeaker "USB" is gone.'
    shown = condition.show("running", both, 9.0)
    assert (shown["tone"], len(shown["alerts"])) == ("", 1)


def test_two_causes_are_two_alerts_and_one_is_told_once() -> None:
    condition = Condition()
    for at in (3.0, 4.0):
        condition.take(Happened("realtime.reconnecting", at, attempt=int(at), reason="it is gone"))
    condition.take(Happened("recorder.failed", 5.0, "recorder"))
    alerts = condition.show("running", stages(), 6.0)["alerts"]
    assert [(each["stage"], each["since"]) for each in alerts] == [
        ("realtime", 3.0),
        ("recorder", 5.0),
    ]


def test_a_stage_that_was_slow_to_open_is_no_trouble_once_it_is_open() -> None:
    condition = Condition()
    condition.take(Happened("stage.waiting", 11.0, waited_s=11.0, opening=True))
    (alert,) = condition.show("running", stages(), 11.0)["alerts"]
    assert alert["since"] == 0.0
    condition.take(Happened("stage.status_changed", 12.0, status="ok", detail=""))
    assert condition.show("running", stages(), 12.0)["alerts"] == []
