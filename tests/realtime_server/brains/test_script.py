"""A scripted dialogue: its file, and the brain that follows it."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_server.fake_brain import FakeBrain
from rtpipe import ConfigError, EnvironmentProblem
from rtpipe.wording.rendering import render
from rtpipe_realtime_server.brains.script import Script, load_script, turn_hz
from rtpipe_realtime_server.brains.script_brain import ScriptBrain
from rtpipe_realtime_server.faults.events import Reported
from rtpipe_realtime_server.talk.brain import (
    BrainAnswer,
    FunctionCall,
    Question,
    ResponseEnding,
    ToolOutput,
)

SILENCE = np.zeros(1600, np.int16)


def brain(*turns: dict[str, Any]) -> ScriptBrain:
    return ScriptBrain(Script.model_validate({"turns": list(turns)}))


async def ask(brain: ScriptBrain, heard: str = "hello") -> BrainAnswer:
    return await brain.reply(Question(heard))


def frequency(pcm: NDArray[np.int16] | None) -> float:
    assert pcm is not None
    return float(np.abs(np.fft.rfft(pcm)).argmax() * 48000 / len(pcm))


async def test_the_turns_are_followed_in_order_and_then_again() -> None:
    follower = brain({"say": "One."}, {"say": "Two."}, {})
    words = [(await ask(follower)).words for _ in range(5)]
    assert words == ["One.", "Two.", "Answer 3.", "One.", "Two."]


async def test_every_turn_has_a_tone_of_its_own() -> None:
    follower = brain({}, {}, {})
    heard = [frequency((await ask(follower)).sound) for _ in range(4)]
    assert heard == [500, 550, 600, 500]
    assert [turn_hz(number) for number in (1, 2, 40, 41)] == [500, 550, 2450, 500]


async def test_a_turn_may_choose_its_tone() -> None:
    answer = await ask(brain({"sound": {"tone_hz": 880, "duration_s": 0.25}}))
    assert answer.sound is not None
    assert (len(answer.sound), frequency(answer.sound)) == (12_000, 880)
    assert np.abs(answer.sound).max() == pytest.approx(8192, abs=50)
    assert max(abs(answer.sound[0]), abs(answer.sound[-1])) < 50


def sound_file(path: Path, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        tone = 9000 * np.sin(2 * np.pi * 1000 * np.arange(rate // 2) / rate)
        file.writeframes(tone.astype("<i2").tobytes())


async def test_a_turn_may_play_a_file_that_lies_beside_the_script(tmp_path: Path) -> None:
    sound_file(tmp_path / "answer.wav", 16_000)
    (tmp_path / "dialog.yaml").write_text("turns: [{sound: {wav: answer.wav}}]")
    follower = ScriptBrain(load_script(tmp_path / "dialog.yaml"))
    await follower.load()
    sound = (await ask(follower)).sound
    assert sound is not None
    assert len(sound) == pytest.approx(24_000, abs=64)
    assert frequency(sound) == pytest.approx(1000, abs=4)


def test_a_sound_file_that_is_not_there_is_a_mistake_in_the_script(tmp_path: Path) -> None:
    path = tmp_path / "dialog.yaml"
    path.write_text("turns:\n  - sound: {wav: answer.wav}\n")
    with pytest.raises(ConfigError, match=r"there is no file .*answer\.wav") as raised:
        load_script(path)
    (found,) = raised.value.diagnostics
    assert found.span is not None
    assert (found.span.line, found.span.column) == (2, 18)


async def test_a_sound_file_that_is_none_is_said_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "answer.wav"
    path.write_bytes(b"this is no sound")
    with pytest.raises(EnvironmentProblem, match=r"answer\.wav"):
        await brain({"sound": {"wav": str(path)}}).load()


async def test_a_sound_file_without_a_sample_is_said_at_the_start(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "answer.wav"), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
    with pytest.raises(EnvironmentProblem, match="it holds no audio"):
        await brain({"sound": {"wav": str(tmp_path / "answer.wav")}}).load()


async def test_a_spoken_turn_is_said_by_the_voice() -> None:
    voice = FakeBrain(seconds=0.1)
    script = Script.model_validate({"turns": [{"say": "Hello.", "sound": {"spoken": True}}]})
    assert script.speaks
    follower = ScriptBrain(script, voice)
    await follower.load()
    answer = await ask(follower)
    assert answer.sound is None
    assert (await follower.speak(answer.words, "marin")).text == "Hello."
    await follower.close()
    assert (voice.loaded, voice.closed) == (1, 1)


async def test_it_hears_what_the_script_says() -> None:
    follower = brain({"transcribe": "When do you open?"}, {})
    assert await follower.transcribe(SILENCE) == "When do you open?"
    assert await follower.transcribe(SILENCE) == "When do you open?"
    await ask(follower)
    assert await follower.transcribe(SILENCE) == "This is turn 2."


@pytest.mark.parametrize("how", ["late", "failed"])
async def test_the_client_is_told_the_words_late_or_never(how: str) -> None:
    words = await brain({"transcribe": "Hi", "transcription": how}).transcribe(SILENCE)
    assert isinstance(words, Reported)
    assert (words, words.how) == ("Hi", how)


async def test_words_that_are_not_expected_fail_and_the_script_waits() -> None:
    follower = brain({"hear": r"\bopen\b", "say": "At ten."}, {})
    mismatch = BrainAnswer(ending=ResponseEnding("failed", "script_mismatch"))
    assert await ask(follower, "What does it cost?") == mismatch
    assert (await ask(follower, "When do you OPEN?")).words == "At ten."


async def test_it_calls_functions_and_the_next_turn_answers_what_they_return() -> None:
    follower = brain(
        {"call": {"name": "get_weather", "arguments": {"city": "London"}}},
        {"say": "It rains."},
        {"say": "Wait.", "call": {"name": "nobody", "arguments": "{no json"}},
    )
    first = await ask(follower)
    assert first == BrainAnswer("", (FunctionCall("get_weather", {"city": "London"}),))
    second = await follower.reply(
        Question("hello", outputs=(ToolOutput("get_weather", "{}", "rain"),))
    )
    assert second.words == "It rains."
    assert await ask(follower) == BrainAnswer("Wait.", (FunctionCall("nobody", "{no json"),))


async def test_it_fails_and_breaks_off() -> None:
    follower = brain(
        {"fail": "insufficient_quota"}, {"say": "Well", "incomplete": "content_filter"}
    )
    assert await ask(follower) == BrainAnswer(ending=ResponseEnding("failed", "insufficient_quota"))
    assert await ask(follower) == BrainAnswer(
        "Well", ending=ResponseEnding("incomplete", "content_filter")
    )


async def test_it_thinks() -> None:
    follower = brain({"think_ms": 20_000})
    thought = asyncio.create_task(ask(follower))
    await asyncio.sleep(0)
    assert not thought.done()
    thought.cancel()
    await asyncio.gather(thought, return_exceptions=True)
    follower = brain({"think_ms": 1})
    assert (await ask(follower)).words == "Answer 1."


GOOD = """\
turns:
  - transcribe: Hello
    hear: hello|hi
    say: Good morning.
    think_ms: 300
  - {call: {name: get_time}}
  - fail: insufficient_quota
faults: {lose_every: 50, event_order: shuffled}
"""


def test_a_script_brings_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "dialog.yaml"
    path.write_text(GOOD)
    script = load_script(path)
    assert len(script.turns) == 3
    assert script.faults.described() == "event_order=shuffled, lose_every=50"
    assert not script.speaks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("turns: []", ["E103", "dialog.yaml:1:8"]),
        ("faults: {}", ["E104", "`script` needs the option `turns`"]),
        ("- say: Hello", ["E018", "a script is a mapping", "it has the keys `[turns, faults]`"]),
        ("turns:\n  - sya: Hello", ["E102", "dialog.yaml:2:5", "did you mean `say`?"]),
        ("turns:\n  - hear: '*'", ["E103", "dialog.yaml:2:11", "no regular expression"]),
        ("turns:\n  - hear: a{99999999999}", ["E103", "dialog.yaml:2:11", "no regular expression"]),
        (f"turns:\n  - hear: '{'(' * 2000}'", ["E103", "dialog.yaml:2:11", "1000 characters"]),
        ("turns:\n  - sound: {tone_hz: 440, spoken: true}", ["dialog.yaml:2:12", "is one of"]),
        ("turns:\n  - {fail: x, call: {name: y}}", ["dialog.yaml:2:5", "either fails or calls"]),
        ("turns:\n  - {fail: x, incomplete: content_filter}", ["dialog.yaml:2:5", "either"]),
        ("turns: [{}]\nfaults:\n  lose_percent: 101", ["dialog.yaml:3:17", "lose_percent"]),
        ("turns: [{}]\nfaults: {lose_evry: 5}", ["dialog.yaml:2:10", "did you mean `lose_every`?"]),
        ("turns: [", ["dialog.yaml:1:"]),
        ("", ["E005", "dialog.yaml is empty"]),
    ],
)
def test_a_mistake_is_shown_where_it_stands(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "dialog.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as problem:
        load_script(path)
    shown = render(problem.value.diagnostics)
    assert all(part in shown for part in said), shown
    assert "rtpipe stages" not in shown


def test_a_missing_script_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as problem:
        load_script(tmp_path / "nowhere.yaml")
    assert "cannot read" in problem.value.diagnostics[0].message
