"""Errors, failed answers, lost transcriptions: which of them is the end."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.peers.realtime.dialects.openai.talk import Talk, buffer, created, done, error
from rtpipe import ExitCode, NotConnected
from rtpipe_plugins.peers.realtime.dialects.conversation import Ended
from rtpipe_plugins.peers.realtime.dialects.openai.history import RealtimeHistory
from rtpipe_plugins.peers.realtime.errors import CallRefused
from rtpipe_plugins.peers.realtime.events import ServerEvent, UserTranscript


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


# -- an error that does not say what it is about ---------------------------------------------------


def test_an_error_without_a_name_refuses_the_only_request_that_is_open() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({}))
    assert not talk.protocol.idle
    talk.hear(error("invalid_value"))
    assert talk.protocol.idle


def test_an_error_without_a_name_refuses_nothing_where_it_could_be_about_two() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({}))
    talk.take(talk.protocol.update({"instructions": "x"}))
    talk.hear(error("invalid_value"))
    assert not talk.protocol.idle
    talk.hear({"type": "session.updated", "session": {}}, error("invalid_value"))
    assert talk.protocol.idle


@pytest.mark.parametrize(
    "about",
    [
        error("input_audio_buffer_commit_empty"),
        {"type": "error", "error": {"message": "cannot do input_audio_buffer.commit now"}},
        {"type": "error", "message": "cannot do input_audio_buffer.commit now"},
        {"type": "error", "error": "cannot do input_audio_buffer.commit now"},
    ],
)
def test_an_error_is_about_the_sort_of_command_that_its_code_or_words_name(about: Any) -> None:
    talk = Talk()
    talk.take(talk.protocol.press())
    talk.take(talk.protocol.release())
    assert not talk.protocol.idle
    talk.hear(about)
    assert talk.protocol.idle


def test_a_session_refused_without_a_name_ends_with_the_servers_words() -> None:
    talk = Talk(given=False, established=False)
    talk.hear({"type": "session.created", "session": {}})
    end = talk.hear({"type": "error", "error": "this voice is not for sale"})[-1]
    assert isinstance(end, Ended)
    assert str(end.problem) == "the server refuses the session: this voice is not for sale"


def test_a_servers_own_trouble_is_no_refusal_of_the_session() -> None:
    talk = Talk(given=False, established=False)
    talk.hear({"type": "session.created", "session": {}})
    trouble = {"type": "error", "error": {"type": "server_error", "message": "oops"}}
    assert not any(isinstance(output, Ended) for output in talk.hear(trouble))


def test_an_item_that_was_refused_is_not_put_to_the_next_call() -> None:
    talk = Talk()
    talk.take(talk.protocol.create_item({"type": "message", "role": "user", "content": []}, ""))
    assert len(talk.protocol.unconfirmed) == 1
    talk.hear(error("invalid_value"))
    assert talk.protocol.unconfirmed == []


# -- answers that end early ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "details", "type", "line"),
    [
        ("incomplete", {"reason": "content_filter"}, "realtime.response_incomplete",
         "the answer is incomplete: the server's content filter cut it off"),
        ("incomplete", {"reason": "max_output_tokens"}, "realtime.response_incomplete",
         "the answer is incomplete: it reached max_output_tokens"),
        ("incomplete", None, "realtime.response_incomplete",
         "the answer is incomplete: the server does not say why"),
        ("cancelled", {"reason": "turn_detected"}, "realtime.response_cancelled",
         "the answer was cancelled: the visitor spoke"),
        ("cancelled", {"reason": "client_cancelled"}, "realtime.response_cancelled",
         "the answer was cancelled: we asked for it"),
        ("failed", {"error": {"code": "rate_limit", "message": "slow down"}},
         "realtime.response_failed", "the model could not answer: slow down"),
        ("failed", {"error": {"code": "rate_limit"}}, "realtime.response_failed",
         "the model could not answer: rate_limit"),
        ("failed", None, "realtime.response_failed",
         "the model could not answer: the server does not say why"),
    ],
)  # fmt: skip
def test_an_answer_that_ends_early_is_told_and_marked(
    status: str, details: Any, type: str, line: str
) -> None:
    talk, history = Talk(), RealtimeHistory(10)
    ended = done("r", status=status, words="We are")
    ended["response"]["status_details"] = details
    item = {"id": "item_r", "type": "message", "role": "assistant", "content": []}
    talk.hear(
        created("r"), {"type": "conversation.item.added", "item": item}, buffer("started", "r")
    )
    words = {"type": "conversation.item.done", "item": ended["response"]["output"][0] | item}
    words["item"]["content"] = ended["response"]["output"][0]["content"]
    talk.hear(words, ended, buffer("stopped", "r"))
    (told,) = [o for o in talk.outputs if getattr(o, "type", "").startswith("realtime.response_")]
    assert (told.type, told.response_id, told.line()) == (type, "r", line)
    (said,) = talk.said()
    assert said.status == status
    if status != "cancelled":
        reason = f": {said.reason}" if said.reason else ""
        assert said.line() == f"We are ({status}{reason})"
    for event in talk.said(ServerEvent):
        history.take(event.usable, 0.0)
    (made,) = history.replay()
    assert made["content"] == [{"type": "output_text", "text": "We are …"}]


def test_a_status_that_nobody_knows_is_taken_for_completed() -> None:
    talk = Talk()
    talk.hear(created("r"), done("r", status="in_progress", words="Hello."))
    talk.take(talk.protocol.close())
    assert [(said.text, said.status) for said in talk.said()] == [("Hello.", "completed")]
