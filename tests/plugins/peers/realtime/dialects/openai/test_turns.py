"""Turns: recorded sequences in, transcripts and idleness out."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.peers.realtime.dialects.openai.talk import Talk, buffer, created, done, error
from rtpipe_plugins.peers.realtime.events import ServerEvent, UserTranscript


def test_a_spoken_turn(sequences: dict[str, Any]) -> None:
    talk = Talk()
    idle_after = {}
    for entry in sequences["2_spoken_turn"]:
        talk.hear(entry["event"])
        idle_after[entry["event"]["type"]] = talk.protocol.idle
    server = [output.type for output in talk.said(ServerEvent)]
    assert server == [entry["event"]["type"] for entry in sequences["2_spoken_turn"]]
    (user,) = talk.said(UserTranscript)
    assert (user.text, user.item_id) == ("Hello, my name is Marcelo.", "item_000000000000000000001")
    (assistant,) = talk.said()
    assert (assistant.text, assistant.interrupted) == ("Hello there.", False)
    assert assistant.response_id == "resp_000000000000000000001"
    busy = {type for type, idle in idle_after.items() if not idle}
    assert idle_after["output_audio_buffer.stopped"]
    assert busy == set(idle_after) - {"output_audio_buffer.stopped"}


def test_the_end_of_the_playing_is_the_end_and_not_response_done() -> None:
    talk = Talk()
    talk.hear(created("r"), buffer("started", "r"), done("r", words="Hello"))
    assert talk.protocol.speaking
    assert talk.said() == []
    talk.hear(buffer("stopped", "other"))
    assert talk.protocol.speaking
    talk.hear(buffer("stopped", "r"))
    assert not talk.protocol.speaking
    assert [said.text for said in talk.said()] == ["Hello"]


def test_a_response_that_is_done_before_its_sound_begins_is_not_over() -> None:
    talk = Talk()
    talk.hear(created("r"), done("r", words="Hello"))
    assert not talk.protocol.idle
    talk.hear(buffer("started", "r"), buffer("stopped", "r"))
    assert talk.protocol.idle


def test_a_server_that_does_not_say_what_it_plays_still_has_its_words_reported() -> None:
    talk = Talk()
    talk.hear(created("a"), done("a", words="One"), created("b"), done("b", words="Two"))
    assert [said.text for said in talk.said()] == ["One"]
    talk.take(talk.protocol.close())
    assert [(said.text, said.interrupted) for said in talk.said()] == [
        ("One", False),
        ("Two", False),
    ]


def test_text_only_has_no_playing_to_wait_for(sequences: dict[str, Any]) -> None:
    talk = Talk()
    talk.hear_all(sequences["8_text_output_out_of_band"])
    assert talk.protocol.idle
    assert [said.text for said in talk.said()] == ["Hello there!"]


def test_a_typed_turn_is_a_transcript_too(sequences: dict[str, Any]) -> None:
    talk = Talk()
    sent = talk.take(talk.protocol.text("Say hello."))
    assert [command.data["type"] for command in sent] == [
        "conversation.item.create",
        "response.create",
    ]
    assert not talk.protocol.idle
    talk.hear_all(sequences["7_text_input_turn"])
    assert [said.text for said in talk.said(UserTranscript)] == ["Say hello."]
    assert [said.text for said in talk.said()] == ["Hello there."]
    assert talk.protocol.idle


@pytest.mark.parametrize("left_out", ["conversation.item.added", "conversation.item.done"])
def test_a_typed_turn_is_told_by_servers_that_tell_half_of_it(
    left_out: str, sequences: dict[str, Any]
) -> None:
    talk = Talk()
    talk.take(talk.protocol.text("Say hello."))
    sequence = sequences["7_text_input_turn"]
    talk.hear_all([entry for entry in sequence if entry["event"]["type"] != left_out])
    assert [said.text for said in talk.said(UserTranscript)] == ["Say hello."]


def test_a_function_call_leaves_nothing_open(sequences: dict[str, Any]) -> None:
    talk = Talk()
    done = [
        e["event"] for e in sequences["6_function_call"] if e["event"]["type"] == "response.done"
    ]
    called = {i["name"] for e in done for i in e["response"]["output"] if "name" in i}
    tools = [{"type": "function", "name": name} for name in called]
    talk.hear({"type": "session.updated", "session": {"tools": tools}})
    talk.hear_all(sequences["6_function_call"])
    assert talk.protocol.idle


def test_nobody_answers_where_the_session_says_so() -> None:
    talk = Talk()
    detection = {"type": "server_vad", "create_response": False, "silence_duration_ms": 700}
    session = {"audio": {"input": {"turn_detection": detection, "transcription": None}}}
    talk.hear({"type": "session.updated", "session": session})
    turn = [
        {"type": "input_audio_buffer.speech_started", "item_id": "u"},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "u"},
        {"type": "input_audio_buffer.committed", "item_id": "u"},
    ]
    talk.hear(turn[0])
    assert not talk.protocol.idle
    talk.hear(*turn[1:])
    assert talk.protocol.idle
    assert talk.protocol.hangover_s == 0.7


def test_push_to_talk(sequences: dict[str, Any]) -> None:
    talk = Talk()
    talk.take(talk.protocol.update({"audio": {"input": {"turn_detection": None}}}))
    talk.take(talk.protocol.clear())
    talk.take(talk.protocol.commit())
    talk.hear_all(sequences["9_push_to_talk"])
    talk.take(talk.protocol.respond({}))
    theirs = [e["event"]["type"] for e in sequences["9_push_to_talk"] if e["dir"] == "client"]
    assert [command["type"] for command in talk.commands()] == theirs
    assert talk.commands()[0]["session"]["type"] == "realtime"


def test_our_own_commit_awaits_no_answer_and_a_refused_one_is_forgotten() -> None:
    talk = Talk()
    session = {
        "audio": {"input": {"turn_detection": {"type": "server_vad"}, "transcription": None}}
    }
    talk.hear({"type": "session.updated", "session": session})
    talk.take(talk.protocol.commit())
    talk.hear({"type": "input_audio_buffer.committed", "item_id": "u"})
    assert talk.protocol.idle
    talk.take(talk.protocol.commit())
    talk.hear(error("input_audio_buffer_commit_empty", talk.commands()[-1]["event_id"]))
    talk.hear({"type": "input_audio_buffer.committed", "item_id": "v"})
    assert not talk.protocol.idle  # that one was the server's
