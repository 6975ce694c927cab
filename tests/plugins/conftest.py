"""A computer with sound devices that are not there, or without what could be installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

from helpers import fake_sounddevice
from helpers.fake_sounddevice import SoundDevice


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> SoundDevice:
    return fake_sounddevice.install(monkeypatch)


@pytest.fixture(autouse=True)
def no_sound_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the developer's own alone."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere/native")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a module be not installed."""
    gone: set[str] = set()
    find_spec = importlib.util.find_spec

    def found(name: str, *args: Any) -> Any:
        return None if name in gone else find_spec(name, *args)

    monkeypatch.setattr("rtpipe.examination.find_spec", found)
    return gone.add
