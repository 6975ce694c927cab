"""Turns that the visitor speaks: order, positions, playing, barge-in."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_server.bench import ANSWER, QUESTION, Bench
from rtpipe_realtime_server.talk.brain import BrainAnswer
from rtpipe_realtime_server.talk.outputs import Abandon, Reply, Speak, Transcribe

HEAD = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
TRANSCRIPTION = [
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
]
OUTPUT = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "output_audio_buffer.started",
]
DONE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
TRANSCRIBED = {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}
LONG_ANSWER = " ".join(["And then the story went on and on for a while."] * 20)


def vad(**settings: object) -> dict[str, object]:
    return {"input": {"turn_detection": {"type": "server_vad", **settings}}}


def test_the_session_is_the_first_thing_a_client_hears() -> None:
    assert Bench().kinds() == ["session.created"]


def test_a_spoken_turn_has_the_recorded_order() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.say()
    bench.think()
    bench.tick(150)
    assert bench.kinds(1) == [
        *HEAD,
        "response.created",
        *TRANSCRIPTION,
        *OUTPUT,
        *DONE,
        "output_audio_buffer.stopped",
    ]


def test_without_transcription_the_words_reach_the_brain_and_not_the_client() -> None:
    bench = Bench()
    bench.say()
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert len(transcribe.pcm) == (20 + 7) * 512
    bench.protocol.transcribed(transcribe.item_id, QUESTION)
    bench.commands.clear()
    bench.collect()
    (reply,) = bench.commands
    assert isinstance(reply, Reply)
    assert reply.question.heard == QUESTION
    assert not bench.all(TRANSCRIPTION[1])


def test_the_brain_hears_the_turn_with_its_padding_and_nothing_before() -> None:
    bench = Bench()
    bench.hear(30, speech=False)
    bench.say()
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    assert len(transcribe.pcm) == (20 + 7) * 512 + 300 * 16


def test_what_was_answered_is_not_answered_again() -> None:
    bench = Bench()
    for words in ("when do you open", "where is the café"):
        bench.say()
        transcribe = bench.commands.pop()
        assert isinstance(transcribe, Transcribe)
        bench.protocol.transcribed(transcribe.item_id, words)
        bench.collect()
        assert [c.question.heard for c in bench.commands if isinstance(c, Reply)] == [words]
        bench.think()
        bench.tick(150)


def test_one_id_names_the_visitors_item_throughout() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.say()
    bench.think()
    ids = {bench.one(kind)["item_id"] for kind in [*HEAD[:3], TRANSCRIPTION[1]]}
    ids |= {event["item"]["id"] for event in bench.all("conversation.item.done")}
    assert len(ids) == 1


def test_every_event_has_an_id_of_its_own() -> None:
    bench = Bench()
    bench.say()
    bench.think()
    bench.tick(150)
    ids = [event["event_id"] for event in bench.events]
    assert len(set(ids)) == len(ids)


def test_the_pieces_of_a_transcript_join_to_it() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.say()
    bench.think()
    bench.tick(150)
    deltas = [event["delta"] for event in bench.all("response.output_audio_transcript.delta")]
    assert len(deltas) > 2
    assert "".join(deltas) == ANSWER
    assert bench.one("response.output_audio_transcript.done")["transcript"] == ANSWER
    item = bench.one("response.output_item.done")["item"]
    assert item["content"] == [{"type": "output_audio", "transcript": ANSWER}]
    assert bench.one("response.done")["response"]["output"] == [item]
    heard = [event["delta"] for event in bench.all(TRANSCRIPTION[0])]
    assert "".join(heard) == bench.one(TRANSCRIPTION[1])["transcript"] == QUESTION


def test_all_of_the_answer_is_played_between_started_and_stopped() -> None:
    bench = Bench()
    bench.say()
    bench.think(seconds=1.01)
    bench.tick(3)
    assert bench.frames[0].any()
    bench.tick(60)
    assert int(np.concatenate(bench.frames).sum()) == int(48000 * 1.01)
    assert all(frame.shape == (960,) and frame.dtype == np.int16 for frame in bench.frames)


def test_a_reply_is_generated_faster_than_it_is_played() -> None:
    bench = Bench()
    bench.say()
    bench.think(seconds=5.0)
    bench.tick(5000 // 20 // 5)
    assert bench.all("response.done")
    assert not bench.all("output_audio_buffer.stopped")
    assert bench.frames[-1].any()


def test_usage_counts_what_was_heard_and_said() -> None:
    bench = Bench()
    bench.say()
    bench.think(seconds=2.0)
    bench.tick(150)
    usage = bench.one("response.done")["response"]["usage"]
    assert usage["output_token_details"] == {"text_tokens": 18, "audio_tokens": 40}
    assert usage["input_token_details"]["audio_tokens"] > 5
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_barge_in_while_the_reply_is_generated() -> None:
    bench = Bench()
    bench.say()
    bench.think(answer=LONG_ANSWER, seconds=60.0)
    bench.tick(32)
    mark = len(bench.events)
    bench.hear(3, speech=True)
    assert bench.kinds(mark) == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
        *DONE,
    ]
    response = bench.one("response.done")["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    (item,) = response["output"]
    assert item["status"] == "incomplete"
    said = item["content"][0]["transcript"]
    assert 0 < len(said) < len(LONG_ANSWER)
    assert LONG_ANSWER.startswith(said)
    truncated = bench.one("conversation.item.truncated")
    assert (truncated["item_id"], truncated["audio_end_ms"]) == (item["id"], 32 * 20)

    bench.tick(5)
    assert not np.concatenate(bench.frames[-5:]).any()
    bench.hear(20, speech=False)
    assert bench.last("input_audio_buffer.committed")["previous_item_id"] == item["id"]
    assert not bench.all("output_audio_buffer.stopped")


def test_barge_in_after_the_reply_was_generated() -> None:
    bench = Bench()
    bench.say()
    bench.think(seconds=5.0)
    bench.tick(100)
    assert bench.all("response.done")
    mark = len(bench.events)
    bench.hear(3, speech=True)
    assert bench.kinds(mark) == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    truncated = bench.one("conversation.item.truncated")
    assert truncated["audio_end_ms"] == 2000
    bench.tick(50)
    assert not np.concatenate(bench.frames[-50:]).any()
    assert not bench.all("output_audio_buffer.stopped")
    bench.send("conversation.item.retrieve", item_id=truncated["item_id"])
    item = bench.one("conversation.item.retrieved")["item"]
    assert item["content"] == [{"type": "output_audio", "transcript": ""}]


def test_barge_in_after_everything_was_played_clears_nothing() -> None:
    bench = Bench()
    bench.say()
    bench.think(seconds=0.5)
    bench.tick(60)
    mark = len(bench.events)
    bench.hear(3, speech=True)
    assert bench.kinds(mark) == ["input_audio_buffer.speech_started"]


def test_speech_while_the_brain_thinks_cancels_the_reply_and_the_next_hears_both_turns() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.say()
    transcribe = bench.commands.pop()
    mark = len(bench.events)
    bench.hear(3, speech=True)
    assert bench.kinds(mark) == [
        "input_audio_buffer.speech_started",
        "response.done",
        "rate_limits.updated",
    ]
    first = bench.one("response.done")["response"]
    assert (first["status"], first["output"]) == ("cancelled", [])
    assert bench.commands == [Abandon(first["id"])]
    bench.commands.clear()

    assert isinstance(transcribe, Transcribe)
    bench.protocol.transcribed(transcribe.item_id, "when do you")
    bench.collect()
    assert bench.one(TRANSCRIPTION[1])["transcript"] == "when do you"
    assert bench.commands == []

    bench.hear(20, speech=False)
    second = bench.last("response.created")["response"]["id"]
    (transcribe,) = bench.commands
    assert isinstance(transcribe, Transcribe)
    bench.commands.clear()
    bench.protocol.transcribed(transcribe.item_id, "open today")
    bench.collect()
    assert [(c.response_id, c.question.heard) for c in bench.commands if isinstance(c, Reply)] == [
        (second, "when do you open today")
    ]


def test_speech_while_the_brain_speaks_makes_its_late_sound_go_unheard() -> None:
    bench = Bench()
    bench.say()
    bench.protocol.transcribed(bench.commands.pop().item_id, QUESTION)  # type: ignore[union-attr]
    bench.collect()
    bench.protocol.replied(bench.commands.pop().response_id, BrainAnswer(ANSWER))  # type: ignore[union-attr]
    bench.collect()
    assert isinstance(bench.commands[0], Speak)
    speak = bench.commands.copy()
    bench.commands.clear()
    bench.hear(3, speech=True)
    mark = len(bench.events)
    bench.commands = [*speak]
    bench.think()
    bench.tick(10)
    assert bench.kinds(mark) == []
    assert not np.concatenate(bench.frames).any()


def test_with_interrupt_response_off_the_reply_goes_on_and_no_second_one_begins() -> None:
    bench = Bench(audio=vad(interrupt_response=False))
    bench.say()
    bench.think(seconds=2.0)
    bench.tick(2)
    bench.say()
    bench.tick(120)
    assert len(bench.all("response.created")) == 1
    assert bench.one("response.done")["response"]["status"] == "completed"
    assert bench.all("output_audio_buffer.stopped")
    assert not bench.all("output_audio_buffer.cleared")


def test_with_create_response_off_a_turn_ends_with_its_item() -> None:
    bench = Bench(audio=vad(create_response=False))
    bench.say()
    assert bench.kinds(1) == HEAD
    assert bench.commands == []


def test_a_turn_of_the_visitors_while_the_reply_plays_is_numbered_on_one_clock() -> None:
    bench = Bench()
    bench.hear(10, speech=False)
    bench.say()
    bench.say()
    starts = [event["audio_start_ms"] for event in bench.all(HEAD[0])]
    stops = [event["audio_end_ms"] for event in bench.all(HEAD[1])]
    assert starts == [10 * 32 - 300, 50 * 32 - 300]
    assert stops == [(10 + 20 + 7) * 32, (50 + 20 + 7) * 32]


def test_a_failing_brain_fails_the_response_and_not_the_call() -> None:
    bench = Bench()
    bench.say()
    bench.protocol.response_failed(bench.one("response.created")["response"]["id"])
    bench.collect()
    response = bench.one("response.done")["response"]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == "server_error"
    bench.say()
    assert len(bench.all("response.created")) == 2


def test_an_unintelligible_turn_is_answered_all_the_same() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.say()
    bench.protocol.transcription_failed(bench.commands.pop().item_id)  # type: ignore[union-attr]
    bench.collect()
    failed = bench.one("conversation.item.input_audio_transcription.failed")
    assert failed["error"]["code"] == "audio_unintelligible"
    assert [c.question.heard for c in bench.commands if isinstance(c, Reply)] == [""]


def test_quiet_for_idle_timeout_ms_is_taken_for_a_turn() -> None:
    bench = Bench(audio=vad(idle_timeout_ms=5000))
    bench.hear(200, speech=False)
    assert not bench.all("input_audio_buffer.timeout_triggered"), "nothing has been said yet"
    bench.say()
    bench.think(seconds=0.5)
    bench.tick(60)
    bench.hear(1, speech=False)
    since = len(bench.events)
    bench.hear(155, speech=False)
    assert bench.kinds(since) == []
    bench.hear(1, speech=False)
    assert bench.kinds(since) == [
        "input_audio_buffer.timeout_triggered",
        *HEAD[2:],
        "response.created",
    ]
    timeout = bench.one("input_audio_buffer.timeout_triggered")
    assert timeout["audio_end_ms"] - timeout["audio_start_ms"] == 157 * 32


@pytest.mark.parametrize("voice", ["coral", {"id": "voice_1"}])
def test_the_brain_is_told_the_voice(voice: object) -> None:
    bench = Bench(audio={"output": {"voice": voice}})
    bench.say()
    bench.protocol.transcribed(bench.commands.pop().item_id, QUESTION)  # type: ignore[union-attr]
    bench.collect()
    bench.protocol.replied(bench.commands.pop().response_id, BrainAnswer(ANSWER))  # type: ignore[union-attr]
    bench.collect()
    assert [c.voice for c in bench.commands if isinstance(c, Speak)] in (["coral"], ["voice_1"])


def test_the_words_are_looked_for_while_the_end_of_the_turn_is_waited_for() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.hear(20, speech=True)
    bench.hear(5, speech=False)
    assert not bench.foreseen
    bench.hear(1, speech=False)
    (foreseen,) = bench.foreseen
    assert len(foreseen.pcm) == 26 * 512
    bench.hear(14, speech=False)
    (transcribe,) = (c for c in bench.commands if isinstance(c, Transcribe))
    assert transcribe.item_id == foreseen.item_id
    assert not [c for c in bench.commands if isinstance(c, Abandon)]


def test_a_visitor_who_goes_on_after_a_pause_makes_it_vain() -> None:
    bench = Bench(audio=TRANSCRIBED)
    bench.hear(20, speech=True)
    bench.hear(6, speech=False)
    bench.hear(10, speech=True)
    (first,) = bench.foreseen
    assert bench.commands == [Abandon(first.item_id)]
    bench.hear(6, speech=False)
    assert [len(foreseen.pcm) for foreseen in bench.foreseen] == [26 * 512, 42 * 512]


def test_nobodys_words_are_not_looked_for() -> None:
    detection = {"type": "server_vad", "create_response": False}
    bench = Bench(audio={"input": {"turn_detection": detection, "transcription": None}})
    bench.say()
    assert not bench.foreseen
