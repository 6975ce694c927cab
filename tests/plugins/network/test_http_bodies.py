"""What is quoted of an error's body, whatever its shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe.errors import printable
from rtpipe_plugins.network.http_bodies import said_in


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "No such model.", "code": "x"}}, "No such model."),
        ({"error": "model not loaded"}, "model not loaded"),
        ({"detail": "field sdp is missing"}, "field sdp is missing"),
        (
            {"detail": [{"loc": ["body", "sdp"], "msg": "Field required", "type": "missing"}]},
            "body.sdp: Field required",
        ),
        ({"detail": {"error": "All slots are in use"}}, "All slots are in use"),
        ({"errors": [{"detail": "one"}, {"message": "two"}]}, "one; two"),
        ({"message": "Missing Authentication Token"}, "Missing Authentication Token"),
        ({"error": "invalid_token", "error_description": "It is old."}, "It is old."),
        ({"title": "Forbidden", "status": 403}, "Forbidden"),
        ({"statusCode": 401, "fault": {"description": "Access denied"}}, "Access denied"),
        (["no", "no again"], "no; no again"),
        ("as a string", "as a string"),
    ],
)
def test_json_of_any_shape(body: Any, words: str) -> None:
    assert said_in(json.dumps(body)).message == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("invalid offer: no audio", "invalid offer: no audio"),
        ("  two\r\n lines ", "two lines"),
        ("\ufeff{ not JSON", "{ not JSON"),
        ("<html>Bad gateway</html>", "Bad gateway"),
        (
            "<!DOCTYPE html><html><head><style>p {}</style><title>502 Bad &amp; slow</title><p>x",
            "502 Bad & slow",
        ),
        ("<Error><Code>AccessDenied</Code><Message>Not you</Message></Error>", "Not you"),
        ("5 < 6", "5 < 6"),
        ("", ""),
        ("{}", ""),
        ("null", "null"),
        ("\x1b[2Jcleared", "\\u001b[2Jcleared"),
    ],
)
def test_what_is_no_json(body: str, words: str) -> None:
    assert said_in(body).message == words


def test_the_code_the_kind_and_what_it_is_about() -> None:
    error = {"message": "m", "type": "invalid_request_error", "code": "unknown_model"}
    said = said_in(json.dumps({"error": {**error, "param": "session.model"}}))
    assert said == ("m", "unknown_model", "invalid_request_error", "session.model")
    assert said_in('{"error": {"code": {}, "message": 7}}') == ("", None, None, None)
    assert said_in('{"error": {"code": "no\\nline"}}').code is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["error", "detail", "message", "code", "loc"]), inner)
    ),
)
PIECES = st.sampled_from(
    ["<html>", "<title", ">", "</title>", "<!--", "-->", "{", "[", '"', "\\ud800", "\\", "&#", ";"]
)


@given(JSON.map(json.dumps) | st.text() | st.lists(PIECES | st.text()).map("".join))
def test_no_body_is_too_odd(body: str) -> None:
    said = said_in(body)
    assert len(said.message) <= 300
    assert said.message == printable(said.message)
    assert "\n" not in said.message


@pytest.mark.parametrize("piece", ["<title>", "[", '{"error":', "<!--", "<script", " ", "&"])
def test_of_a_long_body_only_the_beginning_is_looked_at(piece: str) -> None:
    assert len(said_in(f"<html>{piece * 200_000}").message) <= 300
    assert len(said_in(piece * 200_000).message) <= 300
