"""The event channel of real calls over loopback: actions out, whatever comes in."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from helpers.sound import fill, tone
from plugins.peers.realtime.visiting import FORGED, KEY

pytestmark = pytest.mark.slow


async def test_actions_reach_the_server(answerer: Any, visit: Any) -> None:
    async with visit(greeting="Welcome!") as call:
        await call.begin()
        greeting = await answerer.received("response.create")
        assert greeting["response"]["instructions"].endswith("Welcome!")
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        answerer.send({"type": "response.done", "response": {"id": "r", "status": "completed"}})
        call.stage.update(instructions="Be brief.")
        call.stage.text("Hello")
        call.stage.clear()
        call.stage.commit()
        call.stage.cancel()
        await answerer.received("output_audio_buffer.clear")
        sent = [command["type"] for command in answerer.commands[1:]]
    assert [type for type in sent if type != "response.create"] == [
        "session.update",
        "conversation.item.create",
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "output_audio_buffer.clear",
    ]


async def test_it_stays_until_the_last_answer_has_been_played(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        fill(call.inlet, tone(0.2))
        call.inlet.close()
        await call.begin()
        for type in ("speech_started", "speech_stopped"):
            answerer.send({"type": f"input_audio_buffer.{type}", "item_id": "u"})
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        answerer.send({"type": "output_audio_buffer.started", "response_id": "r"})
        answerer.send({"type": "response.done", "response": {"id": "r", "status": "completed"}})
        await published.wait_for("response.done")
        silence_enough_to_end_it = asyncio.wait({call._talking}, timeout=2.5)
        assert not (await silence_enough_to_end_it)[0]
        answerer.send({"type": "output_audio_buffer.stopped", "response_id": "r"})
        await call.over(timeout_s=10)


async def test_a_stop_is_obeyed_at_once(answerer: Any, visit: Any, ctx: Any) -> None:
    async with visit() as call:
        await call.begin()
        answerer.send({"type": "response.created", "response": {"id": "r"}})
        ctx.stopping = True
        await call.over(timeout_s=3)


async def test_rubbish_and_floods_do_not_end_a_call(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        for rubbish in ("", "no json", "[" * 5000, '{"type": 1}', b"\x00\xff"):
            answerer.channel.send(rubbish)
        for n in range(2000):
            answerer.send({"type": "response.novel", "n": n})
        answerer.send({"type": "response.done", "response": None})
        await published.wait_for("response.done")
        assert [event.data["n"] for event in published.of("response.novel")] == list(range(2000))
        assert call.stage._manager.call.conversation.invalid_events == 5
        assert not call._talking.done()


async def test_a_server_that_speaks_in_our_name_is_not_heard(
    answerer: Any, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        for type in FORGED:
            answerer.send({"type": type, "path": "/etc/passwd"})
        answerer.send({"type": "response.done", "response": None})
        await published.wait_for("response.done")
        assert [event for type in FORGED for event in published.of(type)] == []
        assert call.stage._manager.call.conversation.invalid_events == len(FORGED)
        assert not call._talking.done()


async def test_the_key_is_in_no_log_and_no_event(
    answerer: Any, visit: Any, published: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with visit() as call:
        await call.begin()
        answerer.send({"type": "error", "error": {"message": f"bad key {KEY}", "code": "x"}})
        await published.wait_for("error")
    assert KEY not in caplog.text
    assert KEY not in json.dumps([event.as_dict() for event in published.events])
