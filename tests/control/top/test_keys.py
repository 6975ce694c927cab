"""What each key does, and why one does nothing."""

from __future__ import annotations

from helpers.recorded_run import kiosk
from rtpipe_control.commands.top.keys import Key, keys
from rtpipe_control.commands.top.state import State


def found(state: State, selected: str = "", *, talking: bool = False) -> dict[str, Key]:
    return keys(state, selected, talking=talking, listener="aplay")


def test_m_mutes_what_the_visitor_says_and_unmutes_it() -> None:
    state = kiosk()
    key = found(state)["m"]
    assert (key.stage, key.action, key.label, key.why_not) == ("gain", "mute", "mute", "")
    state.stages["gain"]["why_not"] = {"mute": "it is muted already"}
    key = found(state)["m"]
    assert (key.action, key.label) == ("unmute", "unmute")
    del state.stages["gain"]
    assert found(state)["m"].why_not


def test_space_talks_where_a_gate_is_in_that_mode_and_else_says_why_not() -> None:
    state = kiosk()
    assert "it is not in mode push_to_talk" in found(state)["space"].why_not
    state.stages["mute_gate"]["why_not"] = {}
    key = found(state)["space"]
    assert (key.stage, key.action, key.why_not) == ("mute_gate", "talk", "")
    key = found(state, talking=True)["space"]
    assert (key.action, key.label) == ("release", "stop talking")
    del state.stages["mute_gate"]
    state.stages["realtime"]["options"]["turn_detection"] = None
    assert found(state)["space"].action == "press"
    state.stages["realtime"]["options"]["turn_detection"] = {"type": "server_vad"}
    assert found(state)["space"].why_not == "no stage is in mode push_to_talk"


def test_x_and_s_belong_to_the_peer_and_its_refusal_is_said() -> None:
    state = kiosk()
    assert (found(state)["x"].stage, found(state)["x"].action) == ("realtime", "cancel")
    state.stages["realtime"]["why_not"] = {"say": "there is no call"}
    assert found(state)["s"].why_not == "there is no call"
    del state.stages["realtime"]
    assert found(state)["x"].why_not == "nobody speaks in this pipeline"


def test_a_stage_is_listened_to_once_it_is_chosen() -> None:
    state = kiosk()
    assert found(state)["l"].why_not == "choose a stage first, with ↑ or ↓"
    assert found(state, "realtime")["l"].why_not == ""
    assert found(state, "recorder")["l"].why_not == "`recorder` gives nothing out"
    nothing = keys(state, "realtime", talking=False, listener="")["l"]
    assert nothing.why_not == "there is no paplay, aplay or ffplay here"


def test_devices_and_volume_are_offered_where_they_are() -> None:
    state = kiosk()
    assert found(state)["d"].why_not == "no stage here has a device"
    assert found(state)["+−"].why_not == "no loudspeaker here"
    offered = [{"name": name} for name in ("use", "devices", "volume")]
    state.stages["speaker"]["actions"] = offered
    assert found(state)["d"].stage == "speaker"
    assert found(state)["+−"].stage == "speaker"


def test_without_a_connection_nothing_can_be_done() -> None:
    state = kiosk()
    state.gone = "refused"
    assert found(state)["m"].why_not == "there is no connection"
    assert found(state)["q"].why_not == ""
