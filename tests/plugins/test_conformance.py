"""Every kind that ships keeps the contract, found the way a stranger's plugin is found."""

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from rtpipe import EnvironmentProblem, Subscriber, Transform
from rtpipe.stage import Stage
from rtpipe.testing import check_stage, cut, speech_like


def shipped() -> list[type[Stage[Any]]]:
    (point,) = (point for point in entry_points(group="rtpipe") if point.name == "ships")
    stages: list[type[Stage[Any]]] = point.load().rtpipe_stages()
    return stages


def options(kind: str, folder: Path) -> dict[str, Any]:
    """Return what a kind needs that has no default, so that it can be opened again and again."""
    voice = str(Path(__file__).parents[2] / "pipelines" / "audio" / "visitor.wav")
    needed: dict[str, dict[str, Any]] = {
        "file": {"path": voice},
        "tone": {"duration_s": 2},
        "file_sink": {"path": folder / "out.wav", "overwrite": True},
        "recorder": {"path": folder / "%H%M%S-%f.mka"},
        "jsonl": {"path": folder / "events.jsonl"},
        "exec": {"command": "true"},
        "python": {"target": "builtins:repr"},
        "rtsp": {"url": "rtsp://127.0.0.1:9/none"},
        "url": {"url": voice},
    }
    return needed.get(kind, {})


REAL_TIME = {"exec"}
ELSEWHERE = {
    "mic": "needs a sound server",
    "speaker": "needs a sound server",
    "rtsp": "needs a server",
    "url": "needs a server",
    "realtime": "needs a call",
}
"""Kinds whose own tests bring their surroundings with them and check the contract there."""


@pytest.mark.parametrize("stage_type", shipped(), ids=lambda stage_type: stage_type.kind)
def test_a_shipped_kind_keeps_the_contract(stage_type: type[Stage[Any]], tmp_path: Path) -> None:
    if stage_type.kind in ELSEWHERE:
        pytest.skip(ELSEWHERE[stage_type.kind])
    check_stage(
        stage_type,
        options(stage_type.kind, tmp_path),
        tolerance=0,
        real_time=stage_type.kind in REAL_TIME,
    )
