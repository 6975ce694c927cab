"""A computer with sound devices that are not there."""

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
