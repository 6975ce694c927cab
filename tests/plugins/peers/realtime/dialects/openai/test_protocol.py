"""The protocol without a network: recorded sequences in, facts and commands out."""

from __future__ import annotations

import itertools
import json
import logging
import string
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

from rtpipe import Event, ExitCode, NotConnected
from rtpipe.catalogue.describe import describe_events
from rtpipe.catalogue.plugins import Registry
from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Ended
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import RealtimeMediaServer
from rtpipe_plugins.peers.realtime.dialects.openai.messages import MAX_CHARACTERS
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import SERVER_EVENTS
from rtpipe_plugins.peers.realtime.errors import CallRefused
from rtpipe_plugins.peers.realtime.events import AssistantTranscript, ServerEvent, UserTranscript
from rtpipe_plugins.peers.realtime.loudspeaker_position import (
    LoudspeakerPosition,
)

WANTED = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Answer in two words.",
    "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
}
LOG = logging.getLogger("rtpipe.stage.realtime")
CLIENT_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)


class Talk:
    """A protocol in a session that stands, and all that it has put out."""

    def __init__(self, *, given: bool = True, established: bool = True) -> None:
        self.protocol = RealtimeProtocol(WANTED, given=given, mask=str, log=LOG)
        self.outputs: list[Any] = []
        if established:
            self.take(self.protocol.give_up_waiting())

    def take(self, outputs: list[Any]) -> list[Any]:
        for output in outputs:
            if isinstance(output, Command):  # whatever is sent must be what OpenAI accepts
                CLIENT_EVENT.validate_json(output.text(), strict=True)
        self.outputs += outputs
        return outputs

    def hear(self, *events: dict[str, Any]) -> list[Any]:
        return [o for event in events for o in self.take(self.protocol.receive(json.dumps(event)))]

    def hear_all(self, sequence: list[dict[str, Any]]) -> None:
        self.hear(*(entry["event"] for entry in sequence if entry["dir"] == "server"))

    def commands(self) -> list[dict[str, Any]]:
        return [dict(output.data) for output in self.outputs if isinstance(output, Command)]

    def said(self, kind: type[Event] = AssistantTranscript) -> list[Any]:
        return [output for output in self.outputs if isinstance(output, kind)]


def created(id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": id, **fields}}


def done(id: str, status: str = "completed", words: str | None = None) -> dict[str, Any]:
    content = [] if words is None else [{"type": "output_audio", "transcript": words}]
    output = [{"id": f"item_{id}", "role": "assistant", "content": content}] if content else []
    return {"type": "response.done", "response": {"id": id, "status": status, "output": output}}


def buffer(what: str, id: str) -> dict[str, Any]:
    return {"type": f"output_audio_buffer.{what}", "response_id": id}


def error(code: str, event_id: str | None = None) -> dict[str, Any]:
    return {"type": "error", "error": {"code": code, "message": "no", "event_id": event_id}}


# -- the opening -------------------------------------------------------------------------------


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


def test_a_request_that_is_made_again_comes_before_those_behind_it() -> None:
    talk = Talk()
    for instructions in ("first", "second"):
        talk.take(talk.protocol.respond({"instructions": instructions}))
    (request,) = talk.commands()
    talk.hear(error("conversation_already_has_active_response", request["event_id"]))
    assert [sent["response"]["instructions"] for sent in talk.commands()] == ["first", "first"]


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


# -- turns -------------------------------------------------------------------------------------


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


def test_a_function_call_leaves_nothing_open(sequences: dict[str, Any]) -> None:
    talk = Talk()
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


# -- interruptions -----------------------------------------------------------------------------


def test_a_barge_in_while_generating(sequences: dict[str, Any]) -> None:
    talk = Talk()
    talk.hear_all(sequences["3_barge_in_while_generating"])
    (said,) = talk.said()
    assert (said.text, said.interrupted) == ("Once upon a time in a", True)
    assert not talk.protocol.speaking


def test_a_barge_in_after_the_generating(sequences: dict[str, Any]) -> None:
    talk = Talk()
    talk.hear_all(sequences["4_barge_in_after_response_done"])
    (said,) = talk.said()
    assert said.interrupted
    assert not talk.protocol.speaking


def test_any_order_of_cleared_truncated_and_done_ends_the_same(sequences: dict[str, Any]) -> None:
    events = [entry["event"] for entry in sequences["3_barge_in_while_generating"]]
    at = next(i for i, e in enumerate(events) if e["type"] == "output_audio_buffer.cleared")
    before, rest = events[:at], events[at:]
    loose = ("output_audio_buffer.cleared", "conversation.item.truncated", "response.done")
    three = [event for event in rest if event["type"] in loose]
    others = [event for event in rest if event["type"] not in loose]
    outcomes = set()
    for order in itertools.permutations(three):
        for split in range(len(others) + 1):
            talk = Talk()
            talk.hear(*before, *others[:split], *order, *others[split:])
            heard = tuple((s.text, s.interrupted, s.item_id) for s in talk.said())
            outcomes.add((heard, talk.protocol.speaking, talk.protocol.idle))
    assert len(outcomes) == 1, outcomes


def test_late_news_of_an_old_response_changes_nothing() -> None:
    talk = Talk()
    talk.hear(created("a"), buffer("started", "a"), done("a", words="A"), buffer("cleared", "a"))
    talk.hear(created("b"), buffer("started", "b"))
    talk.hear(buffer("stopped", "a"), buffer("started", "a"), done("a", words="A"))
    assert talk.protocol.speaking
    talk.hear(done("b", words="B"), buffer("stopped", "b"), buffer("started", "b"))
    assert not talk.protocol.speaking
    assert [(said.text, said.interrupted) for said in talk.said()] == [("A", True), ("B", False)]


def test_what_begins_to_play_has_ended_what_played_before() -> None:
    talk = Talk()
    talk.hear(created("a"), buffer("started", "a"), done("a", words="A"))
    talk.hear(created("b"), buffer("started", "b"), done("b", words="B"))
    assert [(said.text, said.interrupted) for said in talk.said()] == [("A", False)]
    talk.hear(buffer("stopped", "b"))
    assert talk.protocol.idle


def test_every_event_twice_is_as_good_as_once(sequences: dict[str, Any]) -> None:
    talk = Talk()
    for entry in sequences["2_spoken_turn"]:
        talk.hear(entry["event"], entry["event"])
    assert talk.protocol.idle
    assert len(talk.said()) == len(talk.said(UserTranscript)) == 1


def test_cancel_stops_what_is_generated_and_always_what_is_played() -> None:
    talk = Talk()
    talk.take(talk.protocol.cancel())
    assert [command["type"] for command in talk.commands()] == ["output_audio_buffer.clear"]
    talk.hear(created("r"))
    talk.take(talk.protocol.say("and one more thing"))
    talk.take(talk.protocol.cancel())
    talk.hear(done("r", status="cancelled"))
    assert [command["type"] for command in talk.commands()][1:] == [
        "response.cancel",
        "output_audio_buffer.clear",
    ]
    assert talk.protocol.idle


# -- response.create, one at a time ------------------------------------------------------------


def creates(talk: Talk) -> int:
    return sum(command["type"] == "response.create" for command in talk.commands())


def test_two_requests_become_two_responses_one_after_the_other() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({}))
    talk.take(talk.protocol.respond({"instructions": "Again."}))
    assert creates(talk) == 1
    talk.hear(created("a"))
    assert creates(talk) == 1
    talk.hear(done("a"))
    assert creates(talk) == 2
    assert talk.commands()[-1]["response"] == {"instructions": "Again."}


def test_a_request_that_lost_the_race_is_made_again_afterwards() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({"instructions": "Mine."}))
    ours = talk.commands()[-1]["event_id"]
    talk.hear(created("theirs"))
    talk.hear(error("conversation_already_has_active_response", ours))
    assert creates(talk) == 1
    talk.hear(done("theirs"))
    assert creates(talk) == 2
    assert talk.commands()[-1]["response"] == {"instructions": "Mine."}


def test_a_refused_request_frees_the_slot_and_is_not_repeated_for_ever() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({"instructions": "Bad."}))
    talk.take(talk.protocol.respond({"instructions": "Good."}))
    talk.hear(error("invalid_value", talk.commands()[-1]["event_id"]))
    assert talk.commands()[-1]["response"] == {"instructions": "Good."}
    for _ in range(10):
        talk.hear(
            error("conversation_already_has_active_response", talk.commands()[-1]["event_id"])
        )
    assert creates(talk) == 4
    assert talk.protocol.idle


def test_responses_outside_the_conversation_run_beside_it() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({}))
    talk.take(talk.protocol.respond({"instructions": "Next."}))
    talk.take(talk.protocol.respond({"conversation": "none"}))
    talk.take(talk.protocol.respond({"conversation": "none", "input": []}))
    assert creates(talk) == 3
    talk.hear(created("oob", conversation_id=None))
    talk.take(talk.protocol.respond({"instructions": "Last."}))
    assert creates(talk) == 3  # the slot of the conversation is not free by that
    talk.hear(created("a"), created("oob2", conversation_id=None), done("oob2"))
    assert creates(talk) == 3
    talk.hear(done("a"))
    assert creates(talk) == 4
    talk.hear(created("b"), done("b"), created("c"), done("c"), done("oob"))
    assert talk.protocol.idle


def test_an_out_of_band_response_does_not_hold_up_the_conversation() -> None:
    talk = Talk()
    talk.take(talk.protocol.respond({"conversation": "none"}))
    talk.hear(created("oob", conversation_id=None))
    talk.take(talk.protocol.respond({}))
    assert creates(talk) == 2


# -- troubles ----------------------------------------------------------------------------------


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


# -- whatever a server may send ----------------------------------------------------------------


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
        b'{"type": "response.done"}',
        "",
        "no json",
        "[]",
        "{}",
        '{"type": 7}',
        '{"type": "response.done", "x": NaN}',
        '{"type": "response.done", "x": 1e999}',
        '{"type": "response.done", "x": "\\ud800"}',
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
    ids=range(18),
)
def test_what_is_no_event_is_counted_and_ignored(message: str | bytes) -> None:
    talk = Talk()
    assert talk.protocol.receive(message) == []
    assert talk.protocol.malformed == 1
    assert talk.hear(created("r")) != []


def test_an_event_that_is_not_the_servers_is_told_of_by_name_and_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    talk = Talk()
    for type in ("recorder.failed", "level", "recorder.failed"):
        assert talk.hear({"type": type, "path": "x"}) == []
    assert talk.protocol.malformed == 3
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (
            "WARNING",
            "the server sent `recorder.failed`, which is no event of its own; it was ignored",
        )
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
    steps = (
        RealtimeMediaServer(LoudspeakerPosition()).arrived(message) if over_websocket else [message]
    )
    talk = Talk()
    assert [out for step in steps for out in talk.protocol.receive(step)] == []
    assert talk.protocol.malformed == len(steps) == 1


@settings(max_examples=60, deadline=None)
@given(st.text() | st.binary())
def test_no_message_breaks_it(message: str | bytes) -> None:
    Talk().protocol.receive(message)
