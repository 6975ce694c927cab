"""The audio that a client gives: push to talk, appended, in items; how long it is kept."""

from __future__ import annotations

import base64
import weakref

import numpy as np
import pytest

from realtime_server.bench import Bench
from rtpipe_realtime_server.talk.listener import InputBuffer
from rtpipe_realtime_server.talk.outputs import Transcribe


def test_push_to_talk() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    bench.hear(40, speech=True)
    assert bench.kinds() == ["session.created"]
    bench.send("input_audio_buffer.clear")
    bench.hear(10, speech=True)
    bench.send("input_audio_buffer.commit")
    assert bench.kinds(1) == [
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert len(transcribe.pcm) == 10 * 512


def test_a_commit_of_less_than_100_ms_is_refused() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    bench.send("input_audio_buffer.commit")
    assert bench.error()["code"] == "input_audio_buffer_commit_empty"
    assert bench.error()["message"].endswith("buffer only has 0.00ms of audio.")
    bench.hear(3, speech=True)
    bench.send("input_audio_buffer.commit")
    assert bench.error()["message"].endswith("buffer only has 96.00ms of audio.")
    bench.hear(1, speech=True)
    bench.send("input_audio_buffer.commit")
    assert bench.all("input_audio_buffer.committed")


def test_a_commit_in_the_middle_of_speech_takes_the_announced_item() -> None:
    bench = Bench()
    bench.hear(20, speech=True)
    bench.send("input_audio_buffer.commit")
    started = bench.one("input_audio_buffer.speech_started")
    assert bench.one("input_audio_buffer.committed")["item_id"] == started["item_id"]
    bench.hear(20, speech=False)
    assert not bench.all("input_audio_buffer.speech_stopped")


def test_appended_audio_is_heard() -> None:
    bench = Bench(audio={"input": {"turn_detection": None}})
    second = base64.b64encode(np.full(24000, 500, "<i2").tobytes()).decode()
    bench.send("input_audio_buffer.append", audio=second)
    bench.send("input_audio_buffer.commit")
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert abs(len(transcribe.pcm) - 16000) < 50
    assert abs(int(np.median(transcribe.pcm)) - 500) <= 1


@pytest.mark.parametrize("count", [1, 2])
def test_an_item_of_audio_is_transcribed_when_it_is_answered(count: int) -> None:
    bench = Bench()
    sound = base64.b64encode(np.full(24000 // count, 500, "<i2").tobytes()).decode()
    parts = count * [{"type": "input_audio", "audio": sound}]
    bench.send(
        "conversation.item.create", item={"type": "message", "role": "user", "content": parts}
    )
    assert bench.commands == []
    heard = {"type": "input_audio", "transcript": None}
    assert bench.events[-1]["item"]["content"] == count * [heard]
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert abs(len(transcribe.pcm) - 16000) < 5


def test_audio_is_kept_only_until_its_words_are_known() -> None:
    bench = Bench()
    bench.hear(20, speech=True)
    bench.hear(20, speech=False)
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    kept = weakref.ref(transcribe.pcm)
    del transcribe
    bench.think()
    bench.tick(150)
    assert kept() is None
    usage = bench.one("response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] > 5, "its length is not forgotten"


def test_of_what_nobody_commits_five_minutes_are_kept() -> None:
    buffer = InputBuffer()
    for _ in range(310):
        buffer.append(np.zeros(16_000, np.int16))
    assert buffer.milliseconds == 300_000
    assert len(buffer.take(from_ms=309_000)) == 16_000
