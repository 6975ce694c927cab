"""Every kind that ships keeps the contract, found the way a stranger's plugin is found."""

import functools
import os
import pty
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from rtpipe.catalogue.plugins import Registry
from rtpipe.stage import Stage
from rtpipe.testing import check_stage
from rtpipe.testing.declaration import declaration_findings
from rtpipe.testing.examining import examination_findings

VOICE = Path(__file__).parents[2] / "pipelines" / "audio" / "visitor.wav"
ELSEWHERE = {
    "mic": "needs a sound server",
    "speaker": "needs a sound server",
    "rtsp": "needs a server",
    "url": "needs a server",
    "realtime": "needs a call",
    "mqtt": "needs a broker",
    "stream": "needs a server",
}
"""Kinds that cannot be opened on any machine; tests of their own bring the surroundings along."""


def shipped() -> list[type[Stage[Any]]]:
    (point,) = (point for point in entry_points(group="rtpipe") if point.name == "ships")
    found = Registry()
    found.register(point.load())
    return list(found.kinds.values())


@functools.cache
def keyboard() -> str:
    """Return the path of a terminal at which nobody types, open as long as these tests run."""
    return os.ttyname(pty.openpty()[1])


def options(kind: str, folder: Path) -> dict[str, Any]:
    """Return what a kind needs that has no default, so that it can be opened again and again."""
    needed: dict[str, dict[str, Any]] = {
        "chime": {"path": VOICE},
        "delay": {"delay_ms": 120},
        "echo_cancel": {"reference": "speaker"},
        "file": {"path": VOICE},
        "file_sink": {"path": folder / "out.wav", "overwrite": True},
        "filter": {"graph": "volume=0.5"},
        "recorder": {"path": folder / "%H%M%S-%f.mka"},
        "jsonl": {"path": folder / "events.jsonl"},
        "exec": {"command": "true"},
        "key": {"device": keyboard()},
        "lines": {"command": "seq 1 100"},
        "process": {"command": "head -c 96000 /dev/zero"},
        "process_sink": {"command": "cat"},
        "python": {"target": "builtins:repr"},
        "transcript": {"path": folder / "words.vtt"},
        "webhook": {"url": ""},
        "rtsp": {"url": "rtsp://camera/1"},
        "url": {"url": "https://radio.example/live"},
        "stream": {"url": "rtsp://server/desk"},
        "mqtt": {"topic": "desk"},
    }
    return needed.get(kind, {})


@pytest.mark.parametrize("stage_type", shipped(), ids=lambda stage_type: stage_type.kind)
def test_a_shipped_kind_declares_itself(stage_type: type[Stage[Any]]) -> None:
    assert list(declaration_findings(stage_type)) == []


@pytest.mark.parametrize("stage_type", shipped(), ids=lambda stage_type: stage_type.kind)
def test_a_shipped_kind_examines_itself_quickly(
    stage_type: type[Stage[Any]], tmp_path: Path
) -> None:
    given = stage_type.options_type.model_validate(options(stage_type.kind, tmp_path))
    assert list(examination_findings(stage_type, given)) == []


@pytest.mark.parametrize("stage_type", shipped(), ids=lambda stage_type: stage_type.kind)
def test_a_shipped_kind_keeps_the_contract(stage_type: type[Stage[Any]], tmp_path: Path) -> None:
    if stage_type.kind in ELSEWHERE:
        pytest.skip(ELSEWHERE[stage_type.kind])
    check_stage(
        stage_type,
        options(stage_type.kind, tmp_path),
        tolerance=0,
        real_time=stage_type.kind
        in {"exec", "key", "lines", "process", "process_sink"},  # those keep real time
    )


def test_what_ships_is_found_by_its_entry_point() -> None:
    found = Registry.discover()
    assert found.kinds.owner("mic").origin.startswith("rtpipe-media ")
    assert not found.faulty
