"""The state, message by message."""

from __future__ import annotations

from typing import Any

from helpers.recorded_run import kiosk
from rtpipe_control.commands.top.follow import stages_in


def _event(type: str, **payload: Any) -> dict[str, Any]:
    about = {"source": "realtime", "at": 30.0, "line": "", "importance": "info"}
    return {"type": type, **about, **payload}


def test_pieces_grow_into_a_line_and_the_whole_takes_their_place() -> None:
    state = kiosk()
    for delta in ("Good ", "mor"):
        state.take("event", _event("transcript_delta.user", item_id="i", delta=delta))
    assert state.said["i"].text == "Good mor"
    state.take("event", _event("transcript.user", item_id="i", text="Good morning."))
    state.take("event", _event("transcript_delta.user", item_id="i", delta="late"))
    assert (state.said["i"].text, state.said["i"].whole) == ("Good morning.", True)


def test_a_wait_stands_at_the_second_in_which_the_visitor_stopped() -> None:
    state = kiosk()
    state.take("event", _event("turn.user_stopped", at=31.0))
    state.take("event", _event("turn.answer_started", at=32.5, response_id="r"))
    measured = {"total_ms": 1500.0, "model_ms": 900.0, "hangover_ms": 600.0}
    state.take("event", _event("latency.turn_measured", at=36.0, response_id="r", **measured))
    wait = state.waits[-1]
    assert (wait.at, wait.total_ms) == (31.0, 1500.0)
    assert sum(wait.parts.values()) == 1500.0


def test_a_snapshot_brings_what_was_before_and_forgets_what_was_of_another_run() -> None:
    state, again = kiosk(), kiosk()
    said = [*state.said]
    assert said
    event = {**_event("transcript.user", text="Only this.", item_id="x"), "speaker": "visitor"}
    stages = [{**each} for each in again.stages.values()]
    changing = {"state": "running", "now": 1.0, "links": [], "condition": again.condition}
    recent = {"events": [event], "conversation": [event], "warnings": [], "last": [], "levels": []}
    state.take("snapshot", {**again.about, **changing, "stages": stages, "recent": recent})
    assert [line.text for line in state.said.values()] == ["Only this."]
    assert (state.waits, state.levels, state.now) == ([], {}, 1.0)


def test_another_kind_in_a_stages_place_is_seen() -> None:
    before = {"mic": {"kind": "mic", "wanted": None}}
    after = {"mic": {"kind": "file", "wanted": {"stage": "mic: default", "reason": "no device"}}}
    assert stages_in({"stages": before}) != stages_in({"stages": after})
    state = kiosk()
    mic = {**state.stages["mic"], "kind": "tone", "options": {}}
    state.take("renewed", {"stages": [mic]})
    assert [*state.stages] == ["mic"]
    assert state.stages["mic"]["kind"] == "tone"
