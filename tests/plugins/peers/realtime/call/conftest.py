"""The far end of the calls of a conversation in virtual time."""

from __future__ import annotations

import pytest

from plugins.peers.realtime.call.life import FarEnd, ScriptedTransport
from rtpipe_plugins.peers.realtime.call.factory import CallFactory


@pytest.fixture
def far_end(monkeypatch: pytest.MonkeyPatch) -> FarEnd:
    scripted = FarEnd()
    monkeypatch.setattr(
        CallFactory, "_transport", lambda _, on_message: ScriptedTransport(scripted, on_message)
    )
    return scripted
