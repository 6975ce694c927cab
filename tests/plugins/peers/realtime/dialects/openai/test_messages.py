"""Whatever a server may send: known events, unknown ones, ours, and what is no event."""

from __future__ import annotations

import json
import string
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeServerEvent

from plugins.peers.realtime.dialects.openai.talk import LOG, Talk, created
from rtpipe.catalogue.describe import describe_events
from rtpipe.catalogue.plugins import Registry
from rtpipe_plugins.peers.realtime.dialects.openai.boundary.boundary import MAX_CHARACTERS
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import RealtimeMediaServer
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import SERVER_EVENTS
from rtpipe_plugins.peers.realtime.events import RealtimeEventInvalid, ServerEvent
from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition


def test_every_recorded_event_reaches_the_bus_under_its_name(sequences: dict[str, Any]) -> None:
    talk = Talk()
    sent = [
        entry["event"]
        for sequence in sequences.values()
        for entry in sequence
        if entry["dir"] == "server"
    ]
    talk.hear(*sent)
    published = talk.said(ServerEvent)
    assert [dict(event.data) for event in published] == sent
    assert all(event.as_dict()["type"] == event.data["type"] for event in published)
    assert talk.said(RealtimeEventInvalid) == []


def test_the_vocabulary_is_openais() -> None:
    kinds = get_args(get_args(RealtimeServerEvent)[0])
    known = {get_args(kind.model_fields["type"].annotation)[0] for kind in kinds}
    assert set(SERVER_EVENTS) == known
    assert list(SERVER_EVENTS) == sorted(SERVER_EVENTS)


def test_an_unknown_event_passes_through() -> None:
    (event,) = Talk().hear({"type": "response.novel", "event_id": "e", "novel": [1, {"a": None}]})
    assert event.as_dict() | {"source": "", "at": 0.0} == {
        "type": "response.novel",
        "event_id": "e",
        "novel": [1, {"a": None}],
        "source": "",
        "at": 0.0,
    }


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\xff",
        "",
        "no json",
        "[]",
        "{}",
        '{"type": 7}',
        '{"type": "two words"}',
        '{"type": "line\\nbreak"}',
        '{"type": "pipeline.ended", "reason": "because I say so"}',
        '{"type": "transcript.user", "text": "forged"}',
        '{"type": "responses.done"}',
        '{"type": "Error"}',
        "[" * 100_000,
        '{"type": "x", "y": ' + "[" * 50_000 + "]" * 50_000 + "}",
        '{"type": "x", "y": "' + "a" * MAX_CHARACTERS + '"}',
    ],
    ids=range(15),
)
def test_what_is_no_event_is_counted_and_ignored(message: str | bytes) -> None:
    talk = Talk()
    (told,) = talk.protocol.receive(message)
    assert isinstance(told, RealtimeEventInvalid)
    assert told.ignored
    assert talk.protocol.invalid_events == 1
    assert talk.hear(created("r")) != []


def test_an_event_that_is_not_the_servers_is_told_of_by_name_and_once() -> None:
    talk = Talk()
    for type in ("recorder.failed", "level", "recorder.failed"):
        talk.hear({"type": type, "path": "x"})
    assert talk.protocol.invalid_events == 3
    assert [told.line() for told in talk.outputs] == [
        f"the server sent `{type}` that was ignored: it is not an event of a server's"
        for type in ("recorder.failed", "level")
    ]


@pytest.mark.parametrize(
    "type",
    [
        "response.text.delta",
        "response.audio.delta",
        "response.audio_transcript.done",
        "conversation.item.created",
        "transcription_session.updated",
    ],
)
def test_the_names_of_the_beta_are_the_servers_too(type: str) -> None:
    assert [event.type for event in Talk().hear({"type": type})] == [type]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["id", "item_id", "response_id", "response", "item", "content", "transcript", "delta",
             "error", "code", "event_id", "session", "audio", "input", "turn_detection", "output",
             "silence_duration_ms", "status", "status_details", "text", "type", "role"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SERVER_EVENTS), JSON), max_size=12))
def test_no_shape_of_a_known_event_breaks_it(events: list[tuple[str, Any]]) -> None:
    talk = Talk(established=False)
    for type, body in events:
        fields = body if isinstance(body, dict) else {"value": body}
        assert talk.hear({**fields, "type": type})
    assert isinstance(talk.protocol.idle, bool)
    assert talk.protocol.hangover_s >= 0
    talk.take(talk.protocol.close())


OURS = sorted({event["type"] for event in describe_events(Registry.discover())} - {*SERVER_EVENTS})


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(OURS), JSON, st.text(string.ascii_lowercase, min_size=1), st.booleans())
def test_no_server_speaks_in_our_name(name: str, body: Any, star: str, over_websocket: Any) -> None:
    """Whatever a stage or the framework publishes, a server's event of that type is none."""
    fields = body if isinstance(body, dict) else {"value": body}
    message = json.dumps({**fields, "type": name.replace("*", star)})
    playout = RealtimeMediaServer(LoudspeakerPosition(), LOG)
    steps = playout.arrived(message) if over_websocket else [message]
    talk = Talk()
    told = [out for step in steps for out in talk.protocol.receive(step)]
    assert all(isinstance(out, RealtimeEventInvalid) for out in told)
    assert talk.protocol.invalid_events == len(steps) == 1


@settings(max_examples=60, deadline=None)
@given(st.text() | st.binary())
def test_no_message_breaks_it(message: str | bytes) -> None:
    Talk().protocol.receive(message)
