"""Spoken turns with the embedded server over a WebSocket, and a brain that is a script."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugins.peers.realtime.embedded_call import ScriptedBrain, converse, pause, question

pytestmark = pytest.mark.slow
ANSWER_S = 2.0


@pytest.fixture
def visit(monkeypatch: pytest.MonkeyPatch, ctx: Any, patient_link: Any) -> Any:
    from rtpipe_realtime_server.brains import speech

    monkeypatch.setattr(speech, "brain_from_options", lambda **_: ScriptedBrain(ANSWER_S))

    def visit(visitor: np.ndarray) -> Any:
        return converse(ctx, patient_link, visitor, transport="websocket")

    return visit


async def test_a_spoken_turn(visit: Any, published: Any) -> None:
    pcm = await visit(np.concatenate([pause(0.3), question(1.2)]))
    (user,) = published.of("transcript.user")
    assert user.text == "Where is the café?"
    (assistant,) = published.of("transcript.assistant")
    assert (assistant.text, assistant.interrupted) == ("You said: Where is the café?", False)
    types = [event.type for event in published.events]
    assert types.index("output_audio_buffer.started") < types.index("output_audio_buffer.stopped")
    assert types[-1] == "realtime.disconnected"
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(ANSWER_S, abs=0.02)
    assert not published.of("error")


async def test_a_visitor_interrupts(visit: Any, published: Any) -> None:
    speech, gap = question(1.2), pause(1.6)
    await visit(np.concatenate([pause(0.3), speech, gap, speech]))
    first, second = published.of("transcript.assistant")
    assert (first.interrupted, second.interrupted) == (True, False)
    (truncated,) = published.of("conversation.item.truncated")
    assert truncated.payload()["item_id"] == first.item_id
    assert 0 < truncated.payload()["audio_end_ms"] < ANSWER_S * 1000
    (cleared,) = published.of("output_audio_buffer.cleared")
    assert cleared.payload()["response_id"] == first.response_id
    assert not published.of("error")
