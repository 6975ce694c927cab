"""What a mute gate needs around it: a vad before it, the call behind it, somebody who opens it."""

from __future__ import annotations

from typing import Any

import pytest

from rtpipe import ConfigError, Options, Transform, hookimpl, loads

VAD, CALL, SPEAKER = "vad", "realtime: {provider: embedded}", "blackhole"


def found(*stages: str, events: str = "") -> list[tuple[str, str]]:
    lines = "".join(f"  - {stage}\n" for stage in ("tone", *stages))
    text = f"version: 1\nstages:\n{lines}{events}"
    try:
        warnings = loads(text, plugins=[Strangers()], examine="file").warnings
    except ConfigError as error:
        return [(each.code, each.message) for each in error.diagnostics]
    return [(each.code, each.message) for each in warnings]


class Ears(Transform[Options]):
    """May mark speech, for all that is known."""

    kind = "ears"


class Strangers:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Ears]


def test_mode_vad_needs_a_vad_whose_frames_reach_it() -> None:
    code, message = found("mute_gate: vad", "vad", SPEAKER)[0]
    assert (code, message) == ("E212", "mode vad: no `vad` before it says what is speech")
    assert not found("vad", "gain: -3", "mute_gate: vad", SPEAKER)
    assert not found("ears", "mute_gate: vad", SPEAKER)


def test_half_duplex_stands_before_the_call() -> None:
    assert not found("mute_gate: half_duplex", CALL, SPEAKER)
    (behind,) = found(CALL, "mute_gate: half_duplex", SPEAKER)
    assert behind[0] == "E212"
    assert "`realtime`" in behind[1]


@pytest.mark.parametrize(
    ("gate", "do"),
    [
        ("{mode: closed}", "toggle"),
        ("{mode: closed, open_on: pipeline.started}", ""),
        ("{close_on: pipeline.started, open_on: pipeline.stopping}", ""),
        ("{close_on: pipeline.started}", "open"),
        ("push_to_talk", "talk"),
        ("{}", ""),
    ],
)
def test_a_gate_that_something_opens(gate: str, do: str) -> None:
    events = f"events: [{{match: pipeline.started, do: mute_gate.{do}}}]\n" if do else ""
    assert not found(f"mute_gate: {gate}", SPEAKER, events=events)


@pytest.mark.parametrize(
    ("gate", "do"),
    [
        ("closed", ""),
        ("closed", "close"),
        ("{close_on: pipeline.started}", ""),
        ("{}", "close"),
        ("push_to_talk", "release"),
    ],
)
def test_a_gate_that_nothing_opens_is_a_warning(gate: str, do: str) -> None:
    events = f"events: [{{match: pipeline.started, do: mute_gate.{do}}}]\n" if do else ""
    ((code, message),) = found(f"mute_gate: {gate}", SPEAKER, events=events)
    assert code == "E213"
    assert message.startswith("nothing in this file opens it")
