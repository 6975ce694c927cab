"""An answer that is broken off: any order of the news of it ends the same."""

from __future__ import annotations

import itertools
from typing import Any

from plugins.peers.realtime.dialects.openai.talk import Talk, buffer, created, done
from rtpipe_plugins.peers.realtime.events import UserTranscript


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
