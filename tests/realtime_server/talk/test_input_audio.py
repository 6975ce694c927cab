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


@pytest.mark.parametrize(
    ("kind", "samples"), [("audio/pcm", 2400), ("audio/pcmu", 800), ("audio/pcma", 800)]
)
def test_100_ms_that_were_appended_are_100_ms(kind: str, samples: int) -> None:
    wire = {"type": kind, **({"rate": 24000} if kind == "audio/pcm" else {})}
    bench = Bench(media=False, audio={"input": {"turn_detection": None, "format": wire}})
    width = 2 if kind == "audio/pcm" else 1

    def append(count: int) -> None:
        sound = base64.b64encode(b"\x11" * width * count).decode()
        bench.send("input_audio_buffer.append", audio=sound)

    for turn in (1, 2):  # what a resampler holds back counts for the turn that it was said in
        for part in (samples // 3, samples // 3, samples - 2 * (samples // 3) - 1):
            append(part)
        bench.send("input_audio_buffer.commit")
        assert bench.error()["code"] == "input_audio_buffer_commit_empty"
        append(1)
        bench.send("input_audio_buffer.commit")
        assert len(bench.all("input_audio_buffer.committed")) == turn, bench.error()
        bench.send("input_audio_buffer.commit")
        assert bench.error()["message"].endswith("buffer only has 0.00ms of audio.")
    bench.send("response.create")
    heard = [command.pcm for command in bench.commands if isinstance(command, Transcribe)]
    assert [len(pcm) for pcm in heard] == pytest.approx([1600, 1600], abs=2)


def test_what_is_cleared_leaves_nothing_behind() -> None:
    bench = Bench(media=False, audio={"input": {"turn_detection": None}})
    sound = base64.b64encode(np.full(2400, 9000, "<i2").tobytes()).decode()
    silence = base64.b64encode(np.zeros(2400, "<i2").tobytes()).decode()
    bench.send("input_audio_buffer.append", audio=sound)
    bench.send("input_audio_buffer.clear")
    bench.send("input_audio_buffer.append", audio=silence)
    bench.send("input_audio_buffer.commit")
    bench.send("response.create")
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert not transcribe.pcm.any()


def test_an_event_takes_15_mib_of_audio() -> None:
    bench = Bench(media=False, audio={"input": {"turn_detection": None}})
    audio_bytes = 15 * 1024 * 1024
    bench.send("input_audio_buffer.append", audio="A" * (audio_bytes // 3 * 4))
    assert bench.kinds() == ["session.created"]
    bench.send("input_audio_buffer.append", audio="A" * (audio_bytes // 3 * 4 + 4))
    assert bench.error()["code"] == "string_above_max_length"
    assert bench.error()["param"] == "audio"


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
