"""Tools: what the model is told about them, what runs, and what it is told came of it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

import pytest
from pydantic import ValidationError

from plugins.peers.realtime.tools.boxes import HERE, Box, options, python
from rtpipe import ConfigError, PluginError, StageContext
from rtpipe.language.loading import from_text
from rtpipe_plugins.peers.realtime import RealtimeOptions
from rtpipe_plugins.peers.realtime.account import Mask
from rtpipe_plugins.peers.realtime.dialects.openai.session_object import session_object
from rtpipe_plugins.peers.realtime.tools.toolbox import Toolbox

# -- what the model is told ------------------------------------------------------------------------


def test_a_function_is_declared_by_its_type_hints_and_docstring() -> None:
    declared = session_object(options(python("opening_hours")))["tools"]
    assert declared == [
        {
            "type": "function",
            "name": "opening_hours",
            "description": "Say when the museum is open.",
            "parameters": {
                "type": "object",
                "properties": {
                    "day": {"type": "string"},
                    "holiday": {"type": "boolean", "default": False},
                },
                "required": ["day"],
                "additionalProperties": False,
            },
        }
    ]


def test_a_file_may_name_and_describe_it_otherwise() -> None:
    tool = python("seats", name="free-seats", description="Count seats.")
    (declared,) = session_object(options(tool))["tools"]
    assert (declared["name"], declared["description"]) == ("free-seats", "Count seats.")
    assert declared["parameters"]["properties"]["room"]["description"] == "its name"


def test_a_command_is_declared_as_the_file_says() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"command": ["weather"], "name": "weather", "parameters": schema}
    assert session_object(options(tool))["tools"] == [
        {"type": "function", "name": "weather", "parameters": schema}
    ]


def test_what_is_openais_goes_there_as_it_stands() -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    mcp = {
        "type": "mcp",
        "server_label": "shop",
        "server_url": "https://example.org/mcp",
        "authorization": "tok-123456",
    }
    made = options({**function, "timeout_s": 60}, {**mcp, "approve": False})
    assert session_object(made)["tools"] == [function, mcp]
    assert made.own_tools() == ["f"]
    assert made.approvals() == {"shop": False}
    assert made.secrets() == ["tok-123456"]


# -- mistakes are found without importing anything -------------------------------------------------


@pytest.mark.parametrize(
    ("tools", "column", "says"),
    [
        ("[{python: 'nowhere:f'}]", 33, "there is no module `nowhere`"),
        ("[{python: 'tool_box:nothing'}]", 33, "tool_box.py has no `nothing`"),
        ("[{python: 'tool_box:NOT_A_FUNCTION'}]", 33, "is not a function"),
        ("[{python: 'tool_box'}]", 33, "cannot be tool_box"),
        ("[{python: 'tool_box:by_place'}]", 33, "the model gives each by name"),
        ("[{python: 'tool_box:untyped'}]", 33, "no JSON schema: name 'Unknown'"),
        ("[{python: 'tool_box:seats', timeout: 3}]", 51, "no option `timeout`"),
        ("[{python: 'tool_box:seats'}, {command: [x], name: seats}]", 23, "called `seats`"),
        ("[{command: [x], name: 'two words'}]", 45, "cannot be two words"),
        ("[{command: [], name: x}]", 34, "`tools.0.command` of `realtime` cannot be []"),
        ("[{command: [x]}]", 24, "`realtime` needs the option `tools.0.name`"),
    ],
)
def test_a_wrong_tool_is_a_mistake_in_the_file(tools: str, column: int, says: str) -> None:
    text = f"version: 1\nstages:\n  - tone\n  - realtime: {{tools: {tools}}}\n  - blackhole\n"
    try:
        loaded = from_text(text, path=HERE / "pipeline.yaml", env={}, examine="machine")
        found = loaded.warnings[-1]
    except ConfigError as error:
        found = error.diagnostics[0]
    assert says in found.message
    assert found.span is not None
    assert (found.span.path.name, found.span.line, found.span.column) == (
        "pipeline.yaml",
        4,
        column,
    )


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("nothing", "has no attribute 'nothing'"),
        ("NOT_A_FUNCTION", "is not a function"),
        ("by_place", "the model gives each by name"),
        ("untyped", "no JSON schema: name 'Unknown'"),
    ],
)
def test_a_function_is_imported_when_the_stage_opens_and_not_before(
    ctx: StageContext, function: str, says: str
) -> None:
    made = RealtimeOptions.model_validate({"tools": [python(function)]}, context={"folder": HERE})
    toolbox = Toolbox(made.tools, ctx, Mask(made.secrets()))
    with pytest.raises(PluginError, match=says):
        toolbox.load()


def test_a_tool_without_its_kind_is_none() -> None:
    with pytest.raises(ValidationError):
        options({"name": "f"})


# -- running them ----------------------------------------------------------------------------------


async def test_a_function_is_called_with_what_its_hints_say(
    ctx: StageContext, published: Any
) -> None:
    box = Box(ctx, python("opening_hours"), python("seats"))
    assert json.loads(await box.call("opening_hours", {"day": "Monday", "holiday": True})) == {
        "day": "Monday",
        "open": "closed",
    }
    assert await box.call("seats", {"room": "the café", "count": "2"}) == "2 seats in the café"
    called, returned = published.of("tool.called"), published.of("tool.returned")
    assert called[0].payload() == {
        "call_id": "call_1",
        "name": "opening_hours",
        "arguments": {"day": "Monday", "holiday": True},
        "answered_by": "stage",
    }
    assert returned[1].output == "2 seats in the café"
    assert returned[1].duration_ms >= 0
    await box.toolbox.close()


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("seats", {}, "wrong arguments: room: "),
        ("seats", {"room": "a", "row": 2}, "row"),
        ("seats", '{"room": "a', "wrong arguments"),
        ("seats", "[1]", "wrong arguments"),
        ("broken", {}, "LookupError: no such room"),
        ("leaves", {}, "SystemExit(3)"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(
    ctx: StageContext, published: Any, name: str, arguments: Any, says: str
) -> None:
    box = Box(ctx, python("seats"), python("broken"), python("leaves"))
    told = json.loads(await box.call(name, arguments))["error"]
    assert says in told
    assert "sk-secret" not in told
    (failed,) = published.of("tool.failed")
    assert failed.reason == told
    assert not published.of("tool.returned")


async def test_a_function_that_hangs_is_given_up_and_holds_nothing_up(ctx: StageContext) -> None:
    box = Box(ctx, python("asleep", timeout_s=0.05))
    told = json.loads(await box.call("asleep", {"s": 30}))["error"]
    assert told == "it took longer than 0.05 s"
    hanging = [t for t in threading.enumerate() if t.name == "rtpipe-tool"]
    assert all(thread.daemon for thread in hanging)
    assert hanging


async def test_whatever_it_returns_is_text_that_fits_into_a_message(ctx: StageContext) -> None:
    box = Box(ctx, python("longwinded"), python("strange"), python("asleep"))
    assert len(await box.call("longwinded")) == 32_002
    assert (await box.call("strange")).startswith("<object")
    assert await box.call("asleep", {"s": 0}) == "null"


async def test_a_secret_is_told_to_nobody(ctx: StageContext, published: Any) -> None:
    box = Box(ctx, python("seats"))
    assert await box.call("seats", {"room": "sesame-open"}) == "1 seats in …"
    assert published.of("tool.returned")[0].output == "1 seats in …"


async def test_calls_run_side_by_side(ctx: StageContext) -> None:
    box = Box(ctx, python("asleep"), python("seats"))
    box.start("asleep", {"s": 0.5}, "slow")
    box.start("seats", {"room": "a"}, "fast")
    assert await box.answered("fast")
    assert "slow" not in box.answers
    assert await box.answered("slow") == "null"


async def test_a_call_that_ends_breaks_off_what_runs(ctx: StageContext, published: Any) -> None:
    box = Box(ctx, python("asleep"))
    box.start("asleep", {"s": 20})
    await published.wait_for("tool.called")
    await box.toolbox.close()
    (failed,) = published.of("tool.failed")
    assert failed.reason == "broken off"
    assert box.answers == {}


def command(code: str, **more: Any) -> dict[str, Any]:
    return {"command": [sys.executable, "-c", code], "name": "run", **more}


@pytest.mark.slow
async def test_a_command_reads_its_arguments_and_prints_its_output(ctx: StageContext) -> None:
    box = Box(ctx, command("import json,sys; print(json.load(sys.stdin)['city'].upper())"))
    assert await box.call("run", {"city": "Köln"}) == "KÖLN"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "says"),
    [
        (command("import sys; sys.exit('no: $HOME')"), "the program ended with exit status 1"),
        ({"command": ["/nowhere/at-all"], "name": "run"}, "cannot run '/nowhere/at-all'"),
        (command("import time; time.sleep(30)", timeout_s=0.5), "it took longer than 0.5 s"),
    ],
)
async def test_a_command_that_fails_is_told_to_the_model(
    ctx: StageContext, tool: dict[str, Any], says: str
) -> None:
    told = json.loads(await Box(ctx, tool).call("run"))["error"]
    assert says in told
    assert "HOME" not in told


@pytest.mark.parametrize("ends", ["sys.exit(3)", "time.sleep(30)"])
async def test_what_a_failed_command_said_and_lacked_is_for_people_alone(
    ctx: StageContext, published: Any, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setenv("LAMP_KEY", "canary")
    code = f"import sys, time; print('no key, sesame-open', file=sys.stderr, flush=True); {ends}"
    told = json.loads(await Box(ctx, command(code, timeout_s=1.0)).call("run"))["error"]
    assert "no key" not in told
    assert "LAMP" not in told
    (failed,) = published.of("tool.failed")
    assert (failed.reason, failed.stderr) == (told, "no key, …")
    assert "LAMP_KEY" in failed.withheld
    assert failed.line().startswith(f"the tool `run` failed: {told}: no key, … (withheld")


async def test_a_command_sees_no_secret_unless_it_is_given_back(
    ctx: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROOM", "LAMP_KEY", "DESK_TOKEN"):
        monkeypatch.setenv(name, "canary")
    ctx.env_names = frozenset({"ROOM"})
    code = "import os; print([name for name, value in os.environ.items() if value == 'canary'])"
    assert await Box(ctx, command(code)).call("run") == "[]"
    assert await Box(ctx, command(code, env=["DESK_TOKEN"])).call("run") == "['DESK_TOKEN']"


async def test_what_a_command_leaves_in_the_background_holds_nothing_up(ctx: StageContext) -> None:
    behind = ["sh", "-c", "exec 3<&0; sleep 60 <&3 & cat"]
    box = Box(ctx, {"command": behind, "name": "run"})
    async with asyncio.timeout(20):
        assert await box.call("run", {"city": "Ulm"}) == '{"city": "Ulm"}'


async def test_half_a_surrogate_pair_reaches_a_command(ctx: StageContext) -> None:
    box = Box(ctx, command("import json, sys; print(ascii(json.load(sys.stdin)['city']))"))
    assert await box.call("run", '{"city": "\ud83d"}') == r"'\ud83d'"


@pytest.mark.slow
async def test_a_command_that_prints_without_end_is_cut(ctx: StageContext) -> None:
    box = Box(ctx, command("while True: print('x' * 1000)"))
    assert (await box.call("run")).endswith(" …")
