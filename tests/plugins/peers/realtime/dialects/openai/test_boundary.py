"""The boundary: whatever a server sends becomes what can be used, and the rest is counted."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.peers.realtime.dialects.openai.talk import Talk, created, done
from rtpipe_plugins.peers.realtime.dialects.openai.turn_detection import TurnDetection
from rtpipe_plugins.peers.realtime.events import (
    RealtimeEventInvalid,
    ServerEvent,
    UserTranscript,
)
from rtpipe_plugins.peers.realtime.response_events import RealtimeResponseIncomplete


def heard(talk: Talk, message: str | bytes) -> list[Any]:
    return talk.take(talk.protocol.receive(message))


def told(talk: Talk) -> list[str]:
    return [event.line() for event in talk.said(RealtimeEventInvalid)]


# -- numbers and letters that are none -------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        ("9" * 5000, None),
        ("12", 12),
        ("1.5", 1.5),
        ('"\\ud83d"', "\ufffd"),
        ('"\\ude00\\ud83d"', "\ufffd\ufffd"),
        ('"\\ud83d\\ude00"', "😀"),
        ('{"\\ud83d": ["\\ude00"]}', {"\ufffd": ["\ufffd"]}),
        ('"line\nbreak"', "line\nbreak"),
    ],
)
def test_a_value_that_nobody_can_use_costs_only_itself(written: str, read: Any) -> None:
    talk = Talk()
    (event,) = heard(talk, f'{{"type": "response.novel", "x": {written}}}')
    assert event.data == {"type": "response.novel", "x": read}
    json.dumps(event.as_dict(), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "message",
    [
        b'{"type": "response.novel"}',
        '\ufeff{"type": "response.novel"}',
        '{"type": "response.novel"}\n\0',
    ],
)
def test_what_is_around_an_event_does_not_matter(message: str | bytes) -> None:
    (event,) = heard(Talk(), message)
    assert event.type == "response.novel"


def test_half_a_character_costs_no_turn() -> None:
    talk = Talk(tools=["f"])
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    talk.hear(created("a"), done("a", words="Hi \ud83d"), created("b"))
    ended = done("b")
    ended["response"]["output"] = [call]
    talk.hear(ended)
    assert [said.text for said in talk.said()] == ["Hi \ufffd"]
    talk.take(talk.protocol.answer("c", "well"))
    assert [command["type"] for command in talk.commands()][-1] == "response.create"


# -- a character that was split over two deltas ----------------------------------------------------

_NAME = "response.output_audio_transcript.delta"


def deltas(text: str, cuts: list[int], **place: Any) -> list[dict[str, Any]]:
    """Return `text` in deltas, cut between UTF-16 code units, as JavaScript counts them."""
    units = [
        each.decode("utf-16-le", "surrogatepass")
        for each in (
            text.encode("utf-16-le")[i : i + 2] for i in range(0, len(text.encode("utf-16-le")), 2)
        )
    ]
    ends = [0, *sorted(min(cut, len(units)) for cut in cuts), len(units)]
    pieces = ["".join(units[a:b]) for a, b in pairwise(ends)]
    return [{"type": _NAME, **place, "delta": piece} for piece in pieces]


@settings(max_examples=60, deadline=None)
@given(st.text("a é😀🇩🏽", min_size=1, max_size=12), st.lists(st.integers(0, 24), max_size=6))
def test_a_character_split_over_deltas_is_joined(text: str, cuts: list[int]) -> None:
    talk = Talk()
    place = {"response_id": "r", "item_id": "m", "content_index": 0}
    other = {"response_id": "r", "item_id": "other", "content_index": 0}
    talk.hear(created("r"))
    for piece in deltas(text, cuts, **place):
        talk.hear(piece, {"type": _NAME, **other, "delta": "x"})
    pieces = [
        event.data["delta"]
        for event in talk.said(ServerEvent)
        if event.type == _NAME and event.data["item_id"] == "m"
    ]
    assert "".join(pieces) == text
    talk.take(talk.protocol.close())
    assert [said.text for said in talk.said() if said.item_id == "m"] == [
        text.strip() for _ in range(bool(text.strip()))
    ]


def test_a_half_whose_other_half_never_comes_is_told_as_lost() -> None:
    talk = Talk()
    place = {"type": _NAME, "response_id": "r", "item_id": "m", "content_index": 0}
    talk.hear(created("r"), {**place, "delta": "a\ud83d"}, {**place, "delta": "b"})
    talk.hear({**place, "delta": "\ud83d\ude00c"})
    pieces = [e.data["delta"] for e in talk.said(ServerEvent) if e.type == _NAME]
    assert pieces == ["a", "\ufffdb", "😀c"]


# -- fields of the wrong type ----------------------------------------------------------------------


def test_a_field_of_the_wrong_type_is_told_and_the_rest_is_used() -> None:
    talk = Talk()
    strange = done("r", words="Hello.")
    strange["response"]["usage"] = {"output_tokens": "many"}
    strange["response"]["output"][0]["id"] = 7
    strange["response"]["output"].append("nonsense")
    outputs = talk.hear(created("r"), strange)
    assert outputs[1].data == strange  # on the bus it is as it came
    how = "the server sent `response.done` that was used in part: "
    assert told(talk) == [
        f"{how}`response.usage.output_tokens` is not a count",
        f"{how}`response.output[].id` is not a text",
        f"{how}`response.output[]` is not an object",
    ]
    assert talk.protocol.invalid_events == 1
    talk.take(talk.protocol.close())
    assert [said.text for said in talk.said()] == ["Hello."]


def test_one_kind_of_trouble_is_told_the_first_tenth_and_hundredth_time() -> None:
    talk = Talk()
    for _ in range(250):
        talk.hear({"type": "response.created", "response": "none"})
    counts = [event.count for event in talk.said(RealtimeEventInvalid)]
    assert counts == [1, 10, 100]
    assert talk.protocol.invalid_events == 250


def test_a_server_that_invents_trouble_without_end_floods_nobody() -> None:
    talk = Talk()
    for number in range(5000):
        talk.hear({"type": f"level.{number}"})
    assert len(talk.outputs) < 40
    assert talk.protocol.invalid_events == 5000


@pytest.mark.parametrize(
    ("field", "value"),
    [("status_details", "content_filter"), ("status_details", {"reason": "content_filter"})],
)
def test_what_other_servers_write_otherwise_is_understood(field: str, value: Any) -> None:
    talk = Talk()
    ended = done("r", status="incomplete")
    ended["response"][field] = value
    talk.hear(created("r"), ended)
    assert told(talk) == []
    (incomplete,) = talk.said(RealtimeResponseIncomplete)
    assert incomplete.reason == "content_filter"


def test_a_fault_of_ours_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise LookupError("ours")

    talk = Talk()
    monkeypatch.setattr(TurnDetection, "speech_started", broken)
    event, told_of = talk.hear({"type": "input_audio_buffer.speech_started", "item_id": "u"})
    assert event.type == "input_audio_buffer.speech_started"
    assert told_of.problem == "LookupError"
    assert talk.hear(created("r")) != []


# -- what has no name is the only one it can be ----------------------------------------------------


def test_a_response_without_an_id_is_heard_and_ends() -> None:
    talk = Talk()
    for number in range(3):
        delta = {"type": _NAME, "item_id": f"m{number}", "delta": f"Answer {number}"}
        talk.hear(created(None), {"type": "output_audio_buffer.started"}, delta)
        assert not talk.protocol.idle
        ended = done(None)
        talk.hear(ended, {"type": "output_audio_buffer.stopped"})
        assert talk.protocol.idle
    assert [said.text for said in talk.said()] == ["Answer 0", "Answer 1", "Answer 2"]
    assert len({said.response_id for said in talk.said()}) == 3


def test_a_response_whose_id_was_odd_at_first_is_one_response() -> None:
    talk = Talk()
    talk.hear(created(["r"]), done("r", words="Hello."))
    talk.hear({"type": "output_audio_buffer.started", "response_id": "r"})
    talk.hear({"type": "output_audio_buffer.stopped", "response_id": "r"})
    assert talk.protocol.idle
    assert [said.text for said in talk.said()] == ["Hello."]


def test_a_request_is_not_waited_for_when_news_of_its_response_was_lost() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({}))
    talk.hear(done("r", words="Yes."))  # `response.created` was not to be read
    assert talk.take(talk.protocol.respond({})) != []


def test_an_answer_whose_end_was_lost_is_over_when_the_next_begins() -> None:
    talk = Talk()
    talk.hear(created("a"), created("b"), done("b"))
    assert talk.take(talk.protocol.respond({})) != []


def test_words_without_an_item_are_those_that_are_awaited() -> None:
    talk = Talk()
    on = {"audio": {"input": {"transcription": {"model": "x"}, "turn_detection": None}}}
    name = "conversation.item.input_audio_transcription.completed"
    talk.hear({"type": "session.updated", "session": on})
    for words in ("one", "two"):
        talk.hear({"type": "input_audio_buffer.committed", "item_id": f"item of {words}"})
        talk.hear({"type": name, "transcript": words})
    assert not talk.protocol.transcribing
    for words in ("three", "four"):
        talk.hear({"type": "input_audio_buffer.committed"}, {"type": name, "transcript": words})
    said = [said.text for said in talk.said(UserTranscript)]
    assert said == ["one", "two", "three", "four"]
    assert not talk.protocol.transcribing
