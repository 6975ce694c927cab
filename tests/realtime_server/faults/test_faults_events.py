"""What `--fault` does to events: a protocol on the bench, its events spoilt."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from realtime_server.bench import Bench, counted_ids
from rtpipe_realtime_server.faults.answers import spoilt
from rtpipe_realtime_server.faults.events import EventFaults, Later, Raw, Reported
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.talk.brain import BrainAnswer
from rtpipe_realtime_server.talk.outputs import Reply

_TYPES: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
TRANSCRIPTION = "conversation.item.input_audio_transcription"
TRANSCRIBED = {"input": {"transcription": {"model": "whisper-1"}}}


class FaultyBench(Bench):
    """A bench whose events went through the faults."""

    def __init__(self, faults: Faults, *, most_bytes: int | None = None) -> None:
        ids = counted_ids()
        self.faults = EventFaults(
            faults, Random(1), lambda prefix: ids(f"f{prefix}"), most_bytes=most_bytes
        )
        self.sent: list[Any] = []
        super().__init__(audio=TRANSCRIBED)

    def collect(self) -> None:
        for output in self.faults.apply(self.protocol.take()):
            if isinstance(output, dict):
                self.events.append(output)
            elif not isinstance(output, Raw | Later):
                self.commands.append(output)
                continue
            self.sent.append(output)

    def converse(self) -> None:
        """A turn of the visitor, and its answer to the last sample."""
        self.say()
        self.think(seconds=0.5)
        self.tick(40)
        assert "response.done" in self.kinds()

    def interrupted(self) -> list[str]:
        """The kinds of what an interruption brings, while the answer is being generated."""
        self.say()
        self.think(seconds=5)
        self.tick(10)
        before = len(self.events)
        self.hear(5, speech=True)
        return self.kinds(before)


def kinds_of(**faults: Any) -> list[str]:
    bench = FaultyBench(Faults(**faults))
    bench.converse()
    return [event["type"] for event in bench.events]


def test_the_tools_of_an_mcp_server_cannot_be_listed() -> None:
    bench = FaultyBench(Faults(mcp_list_failed=True))
    tool = {"type": "mcp", "server_label": "x", "server_url": "https://x.example"}
    bench.update(tools=[tool])
    assert bench.kinds()[-1] == "mcp_list_tools.failed"
    assert not bench.all("mcp_list_tools.completed")
    for event in bench.events:
        _TYPES.validate_python(event)


def test_without_a_fault_everything_passes_as_it_is() -> None:
    bench = FaultyBench(Faults())
    bench.converse()
    for event in bench.events:
        _TYPES.validate_json(json.dumps(event), strict=True)
    assert len(bench.sent) == len(bench.events) > 20


def test_no_session_created() -> None:
    assert "session.created" not in kinds_of(no_session_created=True)


def test_session_updated_comes_late() -> None:
    bench = FaultyBench(Faults(session_updated_delay_ms=1500))
    bench.update(instructions="Be brief.")
    late = bench.sent[-1]
    assert isinstance(late, Later)
    assert (late.event["type"], late.delay_ms) == ("session.updated", 1500)
    assert [event["type"] for event in bench.events] == ["session.created"]


def test_every_second_event_comes_twice() -> None:
    whole = kinds_of()
    doubled = kinds_of(duplicate_every=2)
    assert len(doubled) == len(whole) + len(whole) // 2
    assert doubled[:3] == [whole[0], whole[1], whole[1]]


def test_a_duplicate_has_the_same_id() -> None:
    bench = FaultyBench(Faults(duplicate_every=1))
    assert bench.events[0] == bench.events[1]


def test_unknown_events_stand_between_the_others() -> None:
    kinds = kinds_of(unknown_every=3)
    assert kinds[3] == kinds[7] == "future.dawned"
    assert [kind for kind in kinds if kind != "future.dawned"] == kinds_of()


def test_texts_that_are_no_json_objects_of_ours_are_sent() -> None:
    bench = FaultyBench(Faults(malformed_every=1))
    bench.converse()
    texts = {output.message for output in bench.sent if isinstance(output, Raw)}
    assert len(texts) == 7
    for text in texts:
        with pytest.raises((ValidationError, RecursionError)):
            _TYPES.validate_json(text)


def test_binary_messages_are_sent() -> None:
    bench = FaultyBench(Faults(binary_every=2))
    bench.converse()
    raw = [output.message for output in bench.sent if isinstance(output, Raw)]
    assert len(raw) == len(bench.events) // 2
    assert all(isinstance(message, bytes) for message in raw)


def test_every_object_has_a_field_of_the_future() -> None:
    bench = FaultyBench(Faults(extra_fields=True))
    bench.converse()
    created = bench.one("session.created")
    for value in (created, created["session"], created["session"]["audio"]["input"]):
        assert "from_the_future" in value
    done = bench.one("response.done")["response"]
    assert "from_the_future" in done["output"][0]["content"][0]


def test_optional_fields_are_missing_and_the_types_still_agree() -> None:
    bench = FaultyBench(Faults(missing_fields=True))
    bench.converse()
    for event in bench.events:
        _TYPES.validate_json(json.dumps(event), strict=True)
    done = bench.one("response.done")["response"]
    assert not done.keys() & {"metadata", "status_details", "object"}
    assert "obfuscation" not in bench.all("response.output_audio_transcript.delta")[0]
    assert done["output"][0]["content"][0]["transcript"]


def test_usage_is_null() -> None:
    bench = FaultyBench(Faults(null_usage=True))
    bench.converse()
    assert bench.one("response.done")["response"]["usage"] is None


def test_what_is_played_is_never_told() -> None:
    assert "output_audio_buffer.started" in kinds_of()
    kinds = kinds_of(no_output_audio_buffer=True)
    assert not [kind for kind in kinds if kind.startswith("output_audio_buffer.")]


def test_the_names_of_the_beta() -> None:
    bench = FaultyBench(Faults(beta_names=True))
    bench.converse()
    kinds = set(bench.kinds())
    assert {
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
        "response.audio.done",
        "conversation.item.created",
    } < kinds
    assert not any("output_audio_transcript" in kind for kind in kinds)
    assert not kinds & {"conversation.item.added", "conversation.item.done"}
    assert bench.one("response.done")["response"]["output"][0]["content"][0]["type"] == "audio"
    session = bench.one("session.created")["session"]
    assert (session["voice"], session["modalities"]) == ("alloy", ["audio"])
    assert "audio" not in session


CLEARED, TRUNCATED, DONE = (
    "output_audio_buffer.cleared",
    "conversation.item.truncated",
    "response.done",
)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (None, [CLEARED, TRUNCATED, DONE]),
        ("cleared_first", [CLEARED, TRUNCATED, DONE]),
        ("done_first", [DONE, CLEARED, TRUNCATED]),
    ],
)
def test_the_order_of_an_interruption(order: Any, expected: list[str]) -> None:
    kinds = FaultyBench(Faults(event_order=order)).interrupted()
    assert [kind for kind in kinds if kind in expected] == expected
    assert kinds[0] == "input_audio_buffer.speech_started"


def test_shuffling_finds_every_order_and_repeats_it_by_its_seed() -> None:
    bench = FaultyBench(Faults())
    bench.interrupted()
    interruption = [*bench.events[-13:]]

    def order(seed: int) -> tuple[str, ...]:
        faults = EventFaults(
            Faults(event_order="shuffled"), Random(seed), counted_ids(), most_bytes=None
        )
        kinds = [event["type"] for event in faults.apply(interruption) if isinstance(event, dict)]
        assert sorted(kinds) == sorted(event["type"] for event in interruption)
        assert kinds.index("conversation.item.done") < kinds.index(DONE)
        return tuple(kind for kind in kinds if kind in (CLEARED, TRUNCATED, DONE))

    assert len({order(seed) for seed in range(100)}) == 6
    assert [order(seed) for seed in range(9)] == [order(seed) for seed in range(9)]


def test_the_words_come_after_the_answer() -> None:
    kinds = kinds_of(transcription="late")
    assert kinds.index(f"{TRANSCRIPTION}.delta") == kinds.index(DONE) + 1
    assert kinds.index(f"{TRANSCRIPTION}.completed") > kinds.index(DONE)
    assert sorted(kinds) == sorted(kinds_of())


def test_the_words_never_come() -> None:
    bench = FaultyBench(Faults(transcription="failed"))
    bench.converse()
    assert bench.one(f"{TRANSCRIPTION}.failed")["error"]["code"] == "audio_unintelligible"
    assert not bench.all(f"{TRANSCRIPTION}.delta") + bench.all(f"{TRANSCRIPTION}.completed")
    _TYPES.validate_json(json.dumps(bench.one(f"{TRANSCRIPTION}.failed")), strict=True)
    assert bench.one(DONE)["response"]["status"] == "completed"


def test_words_that_were_not_found_are_not_said_to_be_found_later() -> None:
    for how in (None, "late", "failed"):
        bench = FaultyBench(Faults(transcription=how))
        bench.say()
        item_id = bench.last("input_audio_buffer.committed")["item_id"]
        bench.protocol.transcription_failed(item_id)
        bench.collect()
        bench.commands.pop(0)
        bench.think()
        bench.tick(120)
        assert bench.one(f"{TRANSCRIPTION}.failed")["item_id"] == item_id, how


def test_one_item_alone_can_be_reported_late() -> None:
    bench = FaultyBench(Faults())
    bench.say()
    words = Reported("Hello", "late")
    assert words == "Hello"
    bench.faults.report(bench.last("input_audio_buffer.committed")["item_id"], words.how)
    bench.think(words=words)
    bench.tick(120)
    kinds = [event["type"] for event in bench.events]
    assert kinds.index(f"{TRANSCRIPTION}.completed") > kinds.index(DONE)
    assert bench.faults._reports == {}, "of a long call nothing is kept"


def test_a_flood_follows_response_created() -> None:
    bench = FaultyBench(Faults(event_flood=500))
    bench.say()
    kinds = [event["type"] for event in bench.events]
    created = kinds.index("response.created")
    assert kinds[created + 1 : created + 501] == ["rate_limits.updated"] * 500
    assert len({event["event_id"] for event in bench.events}) == len(bench.events)


@pytest.mark.parametrize(("most", "length"), [(None, 1_000_000), (262_144, 262_144)])
def test_a_huge_event_is_as_long_as_the_line_takes(most: int | None, length: int) -> None:
    bench = FaultyBench(Faults(huge_event_kb=1000), most_bytes=most)
    created, huge = bench.events
    assert created["type"] == "session.created"
    assert len(json.dumps(huge)) == length
    _TYPES.validate_json(json.dumps(huge), strict=True)


def answered(**faults: Any) -> Bench:
    """A bench whose brain's answers were spoilt."""
    bench = Bench()
    bench.say()
    bench.think()  # leaves nothing: the answer below is a second response's
    bench.tick(120)
    bench.send("response.create")
    (reply,) = bench.commands
    bench.commands.clear()
    assert isinstance(reply, Reply)
    answer = spoilt(BrainAnswer("one two three four"), Faults(**faults))
    bench.protocol.replied(reply.response_id, answer)
    bench.collect()
    bench.think()
    bench.tick(120)
    return bench


def test_a_response_fails_with_the_code_that_was_asked_for() -> None:
    done = answered(response_failed="insufficient_quota").last(DONE)["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["code"] == "insufficient_quota"
    assert done["output"] == []


def test_a_response_breaks_off_in_its_middle() -> None:
    done = answered(response_incomplete="content_filter").last(DONE)["response"]
    assert done["status"] == "incomplete"
    assert done["status_details"] == {"type": "incomplete", "reason": "content_filter"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["output"][0]["content"][0]["transcript"] == "one two"


def test_an_answer_is_left_alone_without_a_fault() -> None:
    assert answered().last(DONE)["response"]["status"] == "completed"
