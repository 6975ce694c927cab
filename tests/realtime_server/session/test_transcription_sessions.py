"""Sessions of `type: transcription`: turns and their words, and never a response."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_server.bench import QUESTION, Bench

WHISPER = {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}


def bench(**given: Any) -> Bench:
    return Bench(type="transcription", **given)


def test_it_has_an_object_of_its_own() -> None:
    session = bench(audio=WHISPER).one("session.created")["session"]
    assert session["object"] == "realtime.transcription_session"
    assert session["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
    assert "output" not in session["audio"]


def test_a_turn_is_its_words_and_no_response() -> None:
    heard = bench(audio=WHISPER)
    heard.say()
    heard.think()
    heard.tick(20)
    heard.say()
    assert heard.kinds(1)[:7] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    completed = heard.one("conversation.item.input_audio_transcription.completed")
    assert completed["transcript"] == QUESTION
    assert not [kind for kind in heard.kinds() if kind.startswith("response.")]


def test_the_client_may_end_turns_itself() -> None:
    heard = bench()
    heard_audio = {**WHISPER["input"], "turn_detection": None, "noise_reduction": None}
    update = {"type": "transcription", "audio": {"input": heard_audio}}
    heard.send("session.update", session=update)
    session = heard.one("session.updated")["session"]
    assert session["audio"]["input"]["turn_detection"] is None
    heard.hear(10, speech=True)
    heard.send("input_audio_buffer.commit")
    heard.think(words="hello")
    assert heard.one("conversation.item.input_audio_transcription.completed")["transcript"] == (
        "hello"
    )


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("response.create", {}, "invalid_value", "type"),
        ("session.update", {"session": {"type": "realtime"}}, "invalid_value", "session.type"),
        ("session.update", {"session": {"type": "transcription", "instructions": "x"}},
         "unknown_parameter", "session.instructions"),
        ("session.update", {"session": {"type": "transcription", "audio": {"output": {}}}},
         "unknown_parameter", "session.audio.output"),
        ("session.update", {"session": {"type": "transcription", "audio": {"input": {
            "turn_detection": {"create_response": True}}}}}, "unknown_parameter",
         "session.audio.input.turn_detection.create_response"),
    ],
)  # fmt: skip
def test_what_belongs_to_a_conversation_is_refused(
    kind: str, fields: dict[str, Any], code: str, param: str
) -> None:
    heard = bench()
    heard.send(kind, **fields)
    assert (heard.error()["code"], heard.error()["param"]) == (code, param)


def test_a_conversation_does_not_become_one() -> None:
    talk = Bench()
    talk.send("session.update", session={"type": "transcription"})
    assert talk.error()["message"] == (
        "Passing a transcription session update event to a realtime session is not allowed."
    )
