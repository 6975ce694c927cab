"""What is asked for in a call that stands: too large, or too late."""

from __future__ import annotations

import asyncio

import pytest

from plugins.peers.realtime.call.life import FarEnd, Life, virtually
from rtpipe import StageError


@virtually
async def test_what_is_asked_for_while_we_hang_up_is_broken_off_too(far_end: FarEnd) -> None:
    life = Life(far_end, tools=[{"python": "asyncio:sleep"}])
    call = await life.begin()

    async def hang_up() -> None:
        wanted = {"type": "function_call", "call_id": "c1", "name": "sleep"}
        output = [{**wanted, "arguments": '{"delay": 1000}'}]
        call.say("response.done", response={"id": "r", "status": "completed", "output": output})
        await asyncio.sleep(0.5)

    call.hang_up = hang_up  # type: ignore[method-assign]
    await life.stop()
    assert life.of("tool.failed")
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("tool")]


@virtually
async def test_what_is_too_large_to_be_sent_does_not_silence_the_model_for_good(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    call = await life.begin()
    call.too_large = StageError("the far end takes no larger event")
    with pytest.raises(StageError):
        life.stage.text("A very long story")
    call.too_large = None
    life.stage.text("A short one")
    await life.stop()
    assert call.types() == ["conversation.item.create", "response.create"]


@virtually
async def test_a_request_that_is_too_large_makes_room_for_the_next(far_end: FarEnd) -> None:
    life = Life(far_end)
    call = await life.begin()
    call.too_large = StageError("the far end takes no larger event")
    with pytest.raises(StageError):
        life.stage.respond(instructions="A very long story")
    call.too_large = None
    life.stage.respond(instructions="A short one")
    await life.stop()
    assert [event["response"]["instructions"] for event in call.sent] == ["A short one"]
