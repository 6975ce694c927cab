"""Servers that speak as the beta did: understood, and asked in their own words."""

from __future__ import annotations

from typing import Any

from plugins.peers.realtime.dialects.openai.talk import LOG, created
from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Ended
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
from rtpipe_plugins.peers.realtime.dialects.openai.wire.beta import flat, nested
from rtpipe_plugins.peers.realtime.events import AssistantTranscript, UserTranscript

PCM = {"type": "audio/pcm", "rate": 24_000}
WANTED = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Answer in two words.",
    "output_modalities": ["audio"],
    "max_output_tokens": 400,
    "audio": {
        "input": {"format": PCM, "transcription": {"model": "x"}, "turn_detection": None},
        "output": {"format": PCM, "voice": "sage"},
    },
}
FLAT = {
    "instructions": "Answer in two words.",
    "modalities": ["audio", "text"],
    "max_response_output_tokens": 400,
    "input_audio_format": "pcm16",
    "input_audio_transcription": {"model": "x"},
    "turn_detection": None,
    "output_audio_format": "pcm16",
    "voice": "sage",
}


def heard(protocol: RealtimeProtocol, *events: dict[str, Any]) -> list[Any]:
    import json

    return [output for event in events for output in protocol.receive(json.dumps(event))]


def in_events() -> RealtimeProtocol:
    return RealtimeProtocol(WANTED, given=lambda: False, mask=str, log=LOG, audio_in_events=True)


def test_the_two_shapes_say_the_same() -> None:
    asked = {key: value for key, value in WANTED.items() if key != "model"}
    assert flat(asked) == FLAT
    shown = nested(FLAT)
    assert shown["audio"]["output"] == {"format": "pcm16", "voice": "sage"}
    assert shown["audio"]["input"]["turn_detection"] is None
    assert shown["output_modalities"] == ["audio"]
    assert nested(WANTED) is WANTED


def test_a_server_of_the_beta_is_asked_in_its_own_words() -> None:
    protocol = in_events()
    shown = {"type": "session.created", "session": {"modalities": ["text"], "voice": "alloy"}}
    update = next(out for out in heard(protocol, shown) if isinstance(out, Command))
    assert update.data["session"] == FLAT
    (later,) = (out for out in protocol.update({"audio": {"output": {"voice": "ash"}}}))
    assert isinstance(later, Command)
    assert later.data["session"] == {"voice": "ash"}


def test_its_words_are_heard_and_its_turns_known() -> None:
    protocol = in_events()
    place = {"response_id": "r", "item_id": "m"}
    said = heard(
        protocol,
        {"type": "session.created", "session": FLAT},
        {"type": "session.updated", "session": FLAT},
        {
            "type": "conversation.item.created",
            "item": {"id": "u", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        },
        created("r"),
        {"type": "response.audio_transcript.delta", **place, "delta": "Good "},
        {"type": "response.audio_transcript.delta", **place, "delta": "day."},
        {"type": "response.audio.done", **place},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "output": []}},
    )
    assert protocol.hangover_s == 0.0
    assert [out.text for out in said if isinstance(out, UserTranscript)] == ["Hi"]
    assert protocol.speaking  # it has sound, which is to be played yet
    (words,) = protocol.fell_silent("r")
    assert isinstance(words, AssistantTranscript)
    assert words.text == "Good day."
    assert protocol.idle


def test_a_format_of_the_beta_that_is_unknown_ends_the_call() -> None:
    protocol = in_events()
    strange = {**FLAT, "output_audio_format": "mp3"}
    outputs = heard(protocol, {"type": "session.created", "session": strange})
    assert not [out for out in outputs if isinstance(out, Ended)]  # it is about to be asked
    ends = heard(protocol, {"type": "session.updated", "session": strange})
    assert ["mp3" in str(out.problem) for out in ends if isinstance(out, Ended)] == [True]
    assert not protocol.established
