"""Functions that programs answer: in time, by name or call, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from plugins.peers.realtime.tools.boxes import Box, options, python
from rtpipe import StageContext, StageError


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"type": "object"}, **more}


async def test_a_function_without_a_command_is_answered_by_whoever_hears_of_it(
    ctx: StageContext, published: Any
) -> None:
    box = Box(ctx, function("open_door"), function("ring"))
    # Called inside `publish`, as a route is: the call must wait before it is told of.
    ctx.on("tool.called", lambda event: box.toolbox.answer({"open": True}, name="open_door"))
    assert json.loads(await box.call("open_door")) == {"open": True}
    (called,), (returned,) = published.of("tool.called"), published.of("tool.returned")
    assert (called.name, called.answered_by) == ("open_door", "program")
    assert returned.output == '{"open":true}'
    assert box.toolbox._waiting == {}


async def test_a_program_may_say_which_call_it_answers(ctx: StageContext, published: Any) -> None:
    box = Box(ctx, function("ring"), function("open_door"))
    for call_id, name in (("a", "ring"), ("b", "ring"), ("c", "open_door")):
        box.start(name, call_id=call_id)
    await published.wait_for("tool.called", 3)
    box.toolbox.answer("c", name="open_door")
    box.toolbox.answer("b", call_id="b")
    box.toolbox.answer("a, sesame-open")
    assert [await box.answered(id) for id in "abc"] == ["a, …", "b", "c"]
    with pytest.raises(StageError, match="no call of `ring` waits for an answer"):
        box.toolbox.answer("late", name="ring")


async def test_what_no_program_answers_in_time_is_told_to_the_model(
    ctx: StageContext, published: Any
) -> None:
    box = Box(ctx, function("ring", timeout_s=0.01))
    assert json.loads(await box.call("ring")) == {"error": "nobody answered within 0.01 s"}
    assert [failed.name for failed in published.of("tool.failed")] == ["ring"]
    with pytest.raises(StageError):
        box.toolbox.answer("late")


async def test_many_calls_may_wait_for_programs(ctx: StageContext, published: Any) -> None:
    box = Box(ctx, function("ring"), python("opening_hours"))
    for number in range(10):
        box.start("ring", call_id=f"{number}")
    await published.wait_for("tool.called", 10)
    assert await box.call("opening_hours", {"day": "Monday"})  # nobody is in its way
    await box.toolbox.close()
    assert len(published.of("tool.failed")) == 10


async def test_a_function_that_nobody_declared_is_answered_with_those_that_there_are(
    ctx: StageContext, published: Any
) -> None:
    box = Box(ctx, function("ring"), python("seats"))
    assert json.loads(await box.call("made_up")) == {
        "error": "there is no function `made_up`; there are: `ring`, `seats`"
    }
    (failed,) = published.of("tool.failed")
    assert failed.line().startswith("the tool `made_up` failed: there is no function")
    assert json.loads(await Box(ctx).call("x"))["error"].endswith("there are: none")


async def test_arguments_nested_without_end_are_told_as_text(
    ctx: StageContext, published: Any
) -> None:
    deep = "[" * 5000
    await Box(ctx, python("opening_hours")).call("opening_hours", deep)
    (called,) = published.of("tool.called")
    assert called.arguments == deep


@pytest.mark.parametrize(
    "tool", [{"type": "function"}, function("ring", timeout_s=0), {"type": "mcp", "approve": "ask"}]
)
def test_a_tool_of_programs_is_checked(tool: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(tool)
