"""Servers with a format of their own, that speak as the beta did, or send an answer at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from plugins.peers.realtime.embedded_call import ScriptedBrain, converse, in_call, pause, question
from rtpipe import ExitCode
from rtpipe_plugins.peers.realtime.errors import CallRefused

ANSWER_S = 2.0
ANSWER_HZ = 600
QUESTION_S = 1.2


@pytest.fixture
def brain(monkeypatch: pytest.MonkeyPatch) -> ScriptedBrain:
    from rtpipe_realtime_server.brains import speech

    scripted = ScriptedBrain(ANSWER_S)
    monkeypatch.setattr(speech, "brain_from_options", lambda **_: scripted)
    return scripted


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        {"audio_format": "pcm_16k"},
        {"audio_format": "pcmu"},
        {"audio_format": "pcma"},
        {"beta_names": True},
        {"one_delta": True},
    ],
    ids=lambda fault: "-".join(str(word) for pair in fault.items() for word in pair),
)
async def test_a_spoken_turn_is_understood_and_heard_as_it_was_said(
    brain: ScriptedBrain, ctx: Any, patient_link: Any, published: Any, fault: dict[str, Any]
) -> None:
    visitor = np.concatenate([pause(0.3), question(QUESTION_S)])
    pcm = await converse(ctx, patient_link, visitor, transport="websocket", faults=fault)
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    heard = pcm[loud[0] : loud[-1] + 1].astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 48_000 / len(heard) == pytest.approx(ANSWER_HZ, abs=1)
    assert len(heard) / 48_000 == pytest.approx(ANSWER_S, abs=0.02)
    assert np.abs(pcm).max() == pytest.approx(2**0.5 * 10 ** (-15 / 20) * 32767, rel=0.05)
    assert brain.heard_s == [pytest.approx(QUESTION_S + 0.5, abs=0.5)]
    (assistant,) = published.of("transcript.assistant")
    assert (assistant.text, assistant.interrupted) == ("You said: Where is the café?", False)
    assert not published.of("error")


async def test_a_format_that_cannot_be_read_is_refused(
    brain: ScriptedBrain, ctx: Any, patient_link: Any
) -> None:
    fault = {"audio_format": "opus"}
    call = in_call(ctx, patient_link, transport="websocket", faults=fault, reconnect=False)
    with pytest.raises(CallRefused, match="audio/opus") as raised:
        async with call:
            pass
    assert raised.value.exit_code is ExitCode.CONFIGURATION
