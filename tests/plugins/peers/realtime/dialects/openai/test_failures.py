"""Errors, failed answers, lost transcriptions: which of them is the end."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.peers.realtime.dialects.openai.talk import Talk, created, done, error
from rtpipe import ExitCode, NotConnected
from rtpipe_plugins.peers.realtime.dialects.conversation import Ended
from rtpipe_plugins.peers.realtime.errors import CallRefused
from rtpipe_plugins.peers.realtime.events import UserTranscript


def test_errors_that_happen_are_no_end(sequences: dict[str, Any]) -> None:
    talk = Talk()
    fatal = {"session_expired"}
    for entry in sequences["10_errors"]:
        ended = [o for o in talk.hear(entry["event"]) if isinstance(o, Ended)]
        assert bool(ended) == (entry["event"]["error"]["code"] in fatal)


def test_an_expired_session_may_be_opened_again() -> None:
    talk = Talk()
    (_, end) = talk.hear(error("session_expired"))
    assert isinstance(end, Ended)
    assert isinstance(end.problem, NotConnected)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("insufficient_quota", ExitCode.TEMPORARY),
        ("invalid_api_key", ExitCode.NO_PERMISSION),
    ],
)
def test_a_fatal_code_ends_it_from_an_error_and_from_a_failed_response(
    code: str, exit_code: ExitCode
) -> None:
    failed = done("r", status="failed")
    failed["response"]["status_details"] = {"type": "failed", "error": {"code": code}}
    for event in (error(code), failed):
        end = Talk().hear(event)[-1]
        assert isinstance(end, Ended)
        assert isinstance(end.problem, CallRefused)
        assert (end.problem.code, end.problem.exit_code) == (code, exit_code)


def test_a_failed_answer_is_not_the_end(sequences: dict[str, Any]) -> None:
    talk = Talk()
    for entry in sequences["11_failed_and_incomplete"]:
        details = entry["event"].get("response", {}).get("status_details") or {}
        if (details.get("error") or {}).get("code") != "insufficient_quota":
            talk.hear(entry["event"])
    assert not any(isinstance(output, Ended) for output in talk.outputs)
    assert talk.protocol.idle


def test_a_transcription_that_fails_or_interleaves_is_assigned_by_item() -> None:
    talk = Talk()
    on = {"audio": {"input": {"transcription": {"model": "x"}, "turn_detection": None}}}
    talk.hear({"type": "session.updated", "session": on})
    name = "conversation.item.input_audio_transcription"
    for item in ("u1", "u2", "u3"):
        talk.hear({"type": "input_audio_buffer.committed", "item_id": item})
    talk.hear({"type": f"{name}.completed", "item_id": "u2", "transcript": " two "})
    talk.hear({"type": f"{name}.failed", "item_id": "u3", "error": {}})
    assert talk.protocol.transcribing
    talk.hear({"type": f"{name}.completed", "item_id": "u1", "transcript": "one"})
    assert [(s.item_id, s.text) for s in talk.said(UserTranscript)] == [
        ("u2", "two"),
        ("u1", "one"),
    ]
    assert not talk.protocol.transcribing
    assert talk.protocol.idle


def test_words_that_come_before_their_turn_is_committed_are_not_awaited_again() -> None:
    talk = Talk()
    name = "conversation.item.input_audio_transcription.completed"
    talk.hear({"type": name, "item_id": "u", "transcript": "one"})
    talk.hear({"type": "input_audio_buffer.committed", "item_id": "u"})
    assert not talk.protocol.transcribing


def test_a_call_that_ends_in_mid_sentence_reports_what_was_said() -> None:
    talk = Talk()
    delta = {"type": "response.output_audio_transcript.delta", "response_id": "r", "item_id": "m"}
    talk.hear(created("r"), {**delta, "delta": "Once upon"}, {**delta, "delta": " a time"})
    talk.take(talk.protocol.close())
    talk.take(talk.protocol.close())
    assert [(said.text, said.interrupted) for said in talk.said()] == [("Once upon a time", True)]
