"""A second dialect is a folder: whole conversations in it, through the stage as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.sound import fill, tone
from plugins.peers.realtime.dialects.toy.dialect import ToyDialect, ToyOptions
from plugins.peers.realtime.dialects.toy.server import ANSWER, ANSWER_S, ToyServer
from plugins.peers.realtime.visiting import KEY, Visit
from rtpipe import Event, audio
from rtpipe_plugins.peers.realtime.dialects.choice import DIALECTS
from rtpipe_plugins.peers.realtime.errors import CallRefused

HERE = Path(__file__).parent
ROOT = HERE.parents[4]
NAMES = re.compile(r"\bToy[A-Z]|\btoy[._-]|\"toy\"|stage-door")


class ToyVisit(Visit):
    options_type = ToyOptions


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(DIALECTS, "toy", ToyDialect)
    far_end = ToyServer()
    await far_end.start()
    yield far_end
    await far_end.close()


@pytest.fixture
def visit(server: ToyServer, ctx: Any, patient_link: Any) -> Any:
    def make(**options: Any) -> ToyVisit:
        return ToyVisit(server, ctx, patient_link, **{"transport": "websocket"} | options)

    return make


def said(published: Any) -> list[tuple[str, str]]:
    """Return what both said, in order."""
    transcripts = [event for event in published.events if event.type.startswith("transcript.")]
    return [(event.type.removeprefix("transcript."), event.text) for event in transcripts]


def turns(published: Any) -> list[str]:
    """Return who spoke and fell silent, in order."""
    types = [event.type for event in published.events]
    return [type for type in types if type.startswith("turn.") and type != "turn.answer_heard"]


@pytest.mark.slow
async def test_two_turns_by_voice_and_by_keyboard(
    server: ToyServer, visit: Any, published: Any
) -> None:
    async with visit(instructions="You are a parrot.") as call:
        fill(call.inlet, np.concatenate([tone(0.4), np.zeros(9600, np.int16)]))
        await call.begin()
        assert (await server.told("role"))["instructions"] == "You are a parrot."
        await published.wait_for("turn.answer_stopped")
        call.stage.text("Where is the café?")
        await published.wait_for("turn.answer_stopped", 2)
        await published.wait_for("transcript.assistant", 2)
        assert said(published) == [
            ("user", "a sound of 0.4 s"),
            ("assistant", ANSWER),
            ("user", "Where is the café?"),
            ("assistant", ANSWER),
        ]
        assert turns(published) == ["turn.answer_started", "turn.answer_stopped"] * 2
        loud = np.abs(call.pcm()) > 500
        assert np.count_nonzero(loud) / 48_000 == pytest.approx(2 * ANSWER_S, rel=0.1)
    assert server.tickets == [KEY]
    assert len(published.of("toy.voice")) == 6
    assert not any("pcm" in event.payload() for event in published.of("toy.voice"))


async def test_an_answer_is_interrupted_where_it_has_been_heard(
    server: ToyServer, visit: Any, published: Any, bus: Any
) -> None:
    server.answer_s = 5.0
    async with visit(interrupt_on="vad.speech_started") as call:
        await call.begin()
        call.stage.text("Tell me a story.")
        await published.wait_for("turn.answer_started")
        bus.publish(Event(type="vad.speech_started", source="vad"))
        heard = len(call.frames)
        assert 0 < (await server.told("hush"))["heard_ms"] < 2000
        (transcript,) = published.of("transcript.assistant")
        assert transcript.interrupted
        assert turns(published)[1:] == ["turn.answer_cut", "turn.answer_stopped"]
        server.answer_s = ANSWER_S
        call.stage.text("Never mind.")
        await published.wait_for("transcript.assistant", 2)
        later = {audio.meta(frame).extra["response_id"] for frame in call.frames[heard:]}
        assert later == {"model 2"}


@pytest.mark.slow
async def test_the_next_call_is_told_what_was_said_in_the_one_that_was_lost(
    server: ToyServer, visit: Any, published: Any
) -> None:
    async with visit(reconnect={"initial_s": 0.01}) as call:
        await call.begin()
        call.stage.text("Where is the café?")
        await published.wait_for("transcript.assistant")
        await server.drop_call()
        await published.wait_for("realtime.connected", 2)
        lines = (await server.told("so_far", call=1))["lines"]
        assert lines == [
            {"who": "visitor", "words": "Where is the café?"},
            {"who": "model", "words": ANSWER},
        ]
        call.stage.text("And the toilets?")
        await published.wait_for("transcript.assistant", 2)
    assert len(server.commands) == 2


async def test_what_it_cannot_do_is_refused(visit: Any) -> None:
    async with visit(transport="webrtc") as call:
        with pytest.raises(CallRefused, match="WebSockets only"):
            await call.stage.open()


def test_nobody_else_knows_a_name_of_it() -> None:
    files = [p for top in ("pipeline", "plugins", "tests") for p in (ROOT / top).rglob("*.py")]
    inside = [p for p in files if p.is_relative_to(HERE)]
    assert all(NAMES.search(p.read_text("utf-8")) for p in inside)
    known = [p for p in files if p not in inside and NAMES.search(p.read_text("utf-8"))]
    assert known == []
