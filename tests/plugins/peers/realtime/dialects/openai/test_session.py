"""The session check: a session that is as asked for stands, and another is asked for again."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.peers.realtime.dialects.openai.talk import WANTED, Talk, error
from rtpipe import ExitCode
from rtpipe_plugins.peers.realtime.dialects.conversation import Ended
from rtpipe_plugins.peers.realtime.errors import CallRefused


def shown(**session: Any) -> dict[str, Any]:
    return {"type": "session.created", "session": {"type": "realtime", **session}}


def test_a_session_that_is_as_asked_for_stands_at_once() -> None:
    talk = Talk(established=False)
    assert not talk.protocol.announced
    talk.hear(
        shown(
            model="gpt-realtime-2.1",
            instructions="Answer in two words.",
            audio={"input": {"transcription": {"model": "gpt-transcribe", "language": None}}},
        )
    )
    assert talk.protocol.announced
    assert talk.protocol.established
    assert talk.commands() == []


def test_a_session_that_stands_is_not_asked_for_again() -> None:
    talk = Talk()
    talk.hear(shown(instructions="Be rude."))
    assert talk.commands() == []


def test_what_the_server_shows_differently_is_asked_for_again() -> None:
    talk = Talk(established=False)
    talk.hear(shown(instructions="Be helpful.", audio={"input": {"transcription": None}}))
    (update,) = talk.commands()
    assert update["session"] == {
        "type": "realtime",
        "instructions": "Answer in two words.",
        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    }
    assert not talk.protocol.established
    talk.hear({"type": "session.updated", "session": {}})
    assert talk.protocol.established


def test_with_a_foreign_ephemeral_key_the_whole_session_is_sent_but_not_the_model() -> None:
    talk = Talk(given=False, established=False)
    talk.hear(shown(instructions="Answer in two words."))
    (update,) = talk.commands()
    assert update["session"] == {key: WANTED[key] for key in WANTED if key != "model"}


@pytest.mark.parametrize("given", [True, False])
def test_a_refused_opening_update_is_fatal_only_where_the_session_never_was_accepted(
    *,
    given: bool,
) -> None:
    talk = Talk(given=given, established=False)
    talk.hear(shown(instructions="Be helpful."))
    talk.hear(error("invalid_value", talk.commands()[0]["event_id"]))
    ends = [output for output in talk.outputs if isinstance(output, Ended)]
    assert talk.protocol.established is given
    assert [type(end.problem) for end in ends] == ([] if given else [CallRefused])


def test_a_request_made_before_the_session_stands_waits_for_it() -> None:
    talk = Talk(established=False)
    assert talk.take(talk.protocol.say("Hello")) == []
    talk.hear(shown())
    assert [command["type"] for command in talk.commands()] == ["response.create"]


def refused_before(**fields: Any) -> Any:
    """Return the problem of a call whose server reports an error in place of a session."""
    talk = Talk(established=False)
    event = error("") | {"error": {"message": "Sorry.", "code": None, "event_id": None, **fields}}
    ends = [output for output in talk.hear(event) if isinstance(output, Ended)]
    return ends[0].problem if ends else None


@pytest.mark.parametrize(
    ("fields", "exit_code"),
    [
        ({"type": "invalid_request_error", "code": "model_not_found"}, ExitCode.CONFIGURATION),
        ({"type": "invalid_request_error", "code": "invalid_intent"}, ExitCode.CONFIGURATION),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, ExitCode.NO_PERMISSION),
        ({"type": "authentication_error"}, ExitCode.NO_PERMISSION),
        ({"message": "Invalid API key"}, ExitCode.NO_PERMISSION),
        ({"message": "The model x does not exist"}, ExitCode.CONFIGURATION),
        ({"type": "insufficient_quota"}, ExitCode.TEMPORARY),
        ({"type": "server_error", "message": "All slots are in use"}, None),
        ({}, None),
    ],
)
def test_an_error_in_place_of_a_session_refuses_the_call(
    fields: dict[str, Any], exit_code: ExitCode | None
) -> None:
    problem = refused_before(**fields)
    if exit_code is None:
        assert problem is None
    else:
        assert isinstance(problem, CallRefused)
        assert problem.exit_code is exit_code
        assert fields.get("message", "Sorry.") in str(problem)


@pytest.mark.parametrize(
    ("code", "cause"), [("model_not_found", "rtpipe_1"), ("invalid_value", ""), ("", "")]
)
def test_an_error_in_a_session_that_stands_is_no_end(code: str, cause: str) -> None:
    talk = Talk(established=False)
    talk.hear(shown())
    event = error(code, cause)
    event["error"]["type"] = "invalid_request_error"
    assert not any(isinstance(output, Ended) for output in talk.hear(event))
