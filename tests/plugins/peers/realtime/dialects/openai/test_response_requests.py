"""`response.create`, one at a time, and made again where it lost a race."""

from __future__ import annotations

from plugins.peers.realtime.dialects.openai.talk import Talk, created, done, error


def test_a_request_that_is_made_again_comes_before_those_behind_it() -> None:
    talk = Talk()
    for instructions in ("first", "second"):
        talk.take(talk.protocol.respond({"instructions": instructions}))
    (request,) = talk.commands()
    talk.hear(error("conversation_already_has_active_response", request["event_id"]))
    assert [sent["response"]["instructions"] for sent in talk.commands()] == ["first", "first"]


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
