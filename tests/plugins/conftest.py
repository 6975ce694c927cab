"""A computer with sound devices that are not there."""

import pytest

from helpers import fake_sounddevice
from helpers.fake_sounddevice import SoundDevice


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> SoundDevice:
    return fake_sounddevice.install(monkeypatch)
