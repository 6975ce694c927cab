"""A spoken turn with the embedded server, real WebRTC in between, and a brain that is a script."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from helpers.sound import fill
from plugins.peers.realtime.embedded_call import ScriptedBrain, converse, in_call, pause, question
from rtpipe import audio

pytestmark = pytest.mark.slow


@pytest.fixture
def brain(monkeypatch: pytest.MonkeyPatch) -> ScriptedBrain:
    from rtpipe_realtime_server.brains import speech

    scripted = ScriptedBrain()
    monkeypatch.setattr(speech, "brain_from_options", lambda **_: scripted)
    return scripted


async def test_a_spoken_turn(
    brain: ScriptedBrain,
    ctx: Any,
    published: Any,
    patient_link: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    visitor = np.concatenate([pause(0.5), question(1.5)])
    pcm = await converse(ctx, patient_link, visitor)

    (user,) = published.of("transcript.user")
    assert user.text == "Where is the café?"
    (assistant,) = published.of("transcript.assistant")
    assert (assistant.text, assistant.interrupted) == ("You said: Where is the café?", False)
    types = [event.type for event in published.events]
    assert types.index("output_audio_buffer.stopped") > types.index("response.done")
    assert types[-1] == "realtime.disconnected"
    (connected,) = published.of("realtime.connected")
    assert connected.provider == "embedded"
    assert brain.heard_s[0] == pytest.approx(2.0, abs=0.6)
    loud = np.flatnonzero(np.abs(pcm) > 1000)
    assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(0.8, abs=0.06)
    assert "this brain is a script" in caplog.text


async def test_the_model_speaks_first_when_it_is_told_to(
    brain: ScriptedBrain, ctx: Any, published: Any, patient_link: Any
) -> None:
    pcm = await converse(ctx, patient_link, pause(2.0), greeting="Welcome to the museum.")
    assert published.of("transcript.assistant")
    assert not published.of("transcript.user")
    assert np.abs(pcm).max() > 4000


async def test_a_key_makes_a_turn_and_too_short_a_press_makes_none(
    brain: ScriptedBrain, ctx: Any, published: Any, patient_link: Any
) -> None:
    async with in_call(ctx, patient_link, turn_detection=None) as (stage, *_):
        stage.press()
        stage.release()
        refused = await published.wait_for("error")
        assert refused.payload()["error"]["code"] == "input_audio_buffer_commit_empty"
        stage.press()
        await published.wait_for("input_audio_buffer.cleared", 2)
        fill(patient_link, question(1.0))
        await asyncio.sleep(1.2)  # it is being spoken
        stage.release()
        await published.wait_for("transcript.assistant")
    assert len(published.of("response.created")) == 1
    assert brain.heard_s == [pytest.approx(1.2, abs=0.4)]
    assert not published.of("input_audio_buffer.speech_started")


async def test_a_visitor_who_speaks_again_silences_the_answer(
    brain: ScriptedBrain, ctx: Any, published: Any, patient_link: Any
) -> None:
    """Check 20, with a server that detects, cancels, clears and truncates for real."""
    brain.answer_s = 6.0
    async with in_call(ctx, patient_link, greeting="Welcome.") as (_, frames, _):
        await published.wait_for("output_audio_buffer.started")
        fill(patient_link, np.concatenate([pause(0.5), question(1.0)]))
        await published.wait_for("input_audio_buffer.speech_started")
        before = len(frames)
        await published.wait_for("output_audio_buffer.cleared")
        cleared = len(frames)
        brain.answer_s = 0.5
        await published.wait_for("output_audio_buffer.stopped")
        await asyncio.sleep(0.2)  # the jitter buffer's
    greeting, answer = published.of("transcript.assistant")
    assert (greeting.interrupted, answer.interrupted) == (True, False)
    levels = [int(np.abs(audio.pcm(frame)).max()) for frame in frames]
    assert max(levels[before // 2 : before]) > 4000
    names = [audio.meta(frame).extra.get("response_id") for frame in frames[before:]]
    assert greeting.response_id not in names
    loud = [n for n, level in enumerate(levels) if level > 1000 and n >= before]
    assert loud
    assert loud[0] > cleared
    heard_s = sum(frames[n].samples for n in loud) / 48_000
    assert heard_s == pytest.approx(0.5, abs=0.06)


async def test_an_answer_whose_end_is_not_told_is_over_when_it_has_been_silent(
    brain: ScriptedBrain, ctx: Any, published: Any, patient_link: Any
) -> None:
    visitor = np.concatenate([pause(0.5), question(1.5)])
    fault = {"no_output_audio_buffer": True}
    pcm = await converse(ctx, patient_link, visitor, faults=fault)
    types = [event.type for event in published.events]
    assert not [type for type in types if type.startswith("output_audio_buffer.")]
    (assistant,) = published.of("transcript.assistant")
    assert not assistant.interrupted
    assert types.index("transcript.assistant") > types.index("turn.answer_stopped")
    assert not published.of("realtime.answer_given_up")
    assert np.abs(pcm).max() > 4000
