"""What transforms say of actions that would change nothing now: for buttons and command lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.media_files import write_wav
from rtpipe import Transform
from rtpipe.testing import cut, run_stage, run_virtual
from rtpipe_plugins.transforms.chime import Chime
from rtpipe_plugins.transforms.gain import Gain
from rtpipe_plugins.transforms.mute_gate.stage import MuteGate


def reasons(
    kind: type[Transform[Any]], options: dict[str, Any], does: list[str], audio_ms: int = 0
) -> dict[str, str]:
    """Return the reasons by action, once methods were called and so much audio has passed."""
    seen: dict[str, str] = {}

    def act(stage: Transform[Any]) -> None:
        for method in does:
            getattr(stage, method)()

    def look(stage: Transform[Any]) -> None:
        seen.update({name: why for name in stage.actions() if (why := stage.why_not(name))})

    audio = cut(np.zeros(audio_ms * 48, np.int16)) if audio_ms else []
    run_virtual(run_stage(kind, options, [act, *audio, look]))
    return seen


@pytest.mark.parametrize(
    ("options", "does", "expected"),
    [
        ({}, [], {"unmute": "it is not muted"}),
        ({}, ["mute"], {"mute": "it is muted already"}),
        ({"mute": True}, [], {"mute": "it is muted already"}),
        ({}, ["mute", "unmute"], {"unmute": "it is not muted"}),
    ],
)
def test_gain(options: dict[str, Any], does: list[str], expected: dict[str, str]) -> None:
    assert reasons(Gain, options, does) == expected


@pytest.mark.parametrize(
    ("mode", "does", "expected"),
    [
        ("open", [], {"open": "it is open"}),
        ("open", ["close_gate"], {"close": "it is closed already"}),
        ("closed", [], {"close": "it is closed already"}),
        ("closed", ["open_gate"], {"open": "it is open"}),
        ("half_duplex", [], {"open": "mode half_duplex decides already"}),
    ],
)
def test_mute_gate(mode: str, does: list[str], expected: dict[str, str]) -> None:
    without_button = dict.fromkeys(("talk", "release"), "it is not in mode push_to_talk")
    assert reasons(MuteGate, {"mode": mode}, does) == expected | without_button


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        ([], {"release": "no button is pressed"}),
        (["talk"], {"talk": "the button is pressed"}),
        (["talk", "release"], {"release": "no button is pressed"}),
    ],
)
def test_push_to_talk(does: list[str], expected: dict[str, str]) -> None:
    always = {"open": "mode push_to_talk decides already"}
    assert reasons(MuteGate, {"mode": "push_to_talk"}, does) == expected | always


@pytest.mark.parametrize(
    ("does", "audio_ms", "expected"),
    [
        ([], 20, {}),
        (["play"], 20, {"play": "it is being heard"}),
        (["play"], 60, {}),
    ],
)
def test_chime(tmp_path: Path, does: list[str], audio_ms: int, expected: dict[str, str]) -> None:
    ding = write_wav(tmp_path / "ding.wav", np.arange(1, 2001, dtype=np.int16))
    assert reasons(Chime, {"path": ding}, does, audio_ms) == expected
