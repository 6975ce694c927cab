"""Our client against aimock, a mock of OpenAI's APIs from npm: text over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from peers.javascript import node, packages
from peers.judges.kiosk import Kiosk, calling
from rtpipe import ExitCode, RtpipeError

pytestmark = pytest.mark.slow

KEY = "sk-for-aimock"
GREETING, HOURS = "Welcome to the museum.", "We open at noon."
TOOL = {
    "command": ["echo", "noon"],
    "name": "opening_hours",
    "description": "Tells when the museum opens.",
    "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
}
FIXTURES: list[dict[str, Any]] = [
    {
        "match": {"userMessage": "When", "hasToolResult": False},
        "response": {"toolCalls": [{"name": "opening_hours", "arguments": '{"day": "Monday"}'}]},
    },
    {"match": {"toolResultContains": "noon"}, "response": {"content": HOURS}},
    {
        "match": {"userMessage": "Fail"},
        "response": {"error": {"message": "The desk is on fire.", "type": "server_error"}},
    },
    {"match": {"userMessage": "Hello"}, "response": {"content": GREETING}},
]


@asynccontextmanager
async def aimock(folder: Path, **settings: Any) -> AsyncIterator[str]:
    """Run it with these settings of its own; gives its base URL."""
    (folder / "fixtures.json").write_text(json.dumps({"fixtures": FIXTURES}))
    config = folder / "aimock.json"
    config.write_text(json.dumps({"llm": {"fixtures": "./fixtures.json"}, **settings}))
    program = packages() / "node_modules" / "@copilotkit" / "aimock" / "dist" / "aimock-cli.js"
    process = await asyncio.create_subprocess_exec(
        node(), program, "-c", config, "-p", "0", cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        yield f"{line.split()[-1]}/v1"
    finally:
        process.kill()
        await process.communicate()


def visiting(base_url: str, **options: Any) -> Any:
    return calling(base_url=base_url, transport="websocket", **{"api_key": KEY, **options})


async def converse(kiosk: Kiosk) -> None:
    """Words, a function call, a failure, and words again."""
    kiosk.write("Hello")
    await kiosk.until("transcript.assistant", 1)
    kiosk.write("When do you open?")
    await kiosk.until("transcript.assistant", 2)
    kiosk.write("Fail, please.")
    await kiosk.until("response.done", 4)
    kiosk.write("Hello")
    await kiosk.until("transcript.assistant", 3)


async def test_a_conversation(tmp_path: Path) -> None:
    async with aimock(tmp_path) as base_url, visiting(base_url, tools=[TOOL]) as kiosk:
        await converse(kiosk)
    assert kiosk.said("assistant") == [GREETING, HOURS, GREETING]
    assert kiosk.said("user") == ["Hello", "When do you open?", "Fail, please.", "Hello"]
    (called,) = [event for event in kiosk.events if event.type == "tool.returned"]
    assert called.output == "noon"  # type: ignore[attr-defined]
    (failed,) = [event for event in kiosk.events if event.type == "realtime.response_failed"]
    assert "The desk is on fire." in failed.line()
    assert kiosk.count("realtime.reconnecting") == 0


async def test_a_key_that_it_does_not_know_is_refused(tmp_path: Path) -> None:
    async with aimock(tmp_path, auth={"apiKeys": [KEY]}) as base_url:
        with pytest.raises(RtpipeError, match="401") as refused:
            async with visiting(base_url, api_key="sk-of-another"):
                pass
        assert refused.value.exit_code is ExitCode.NO_PERMISSION
        async with visiting(base_url) as kiosk:
            kiosk.write("Hello")
            await kiosk.until("transcript.assistant")


async def test_a_call_that_it_ends_is_made_again_with_what_was_said(tmp_path: Path) -> None:
    """In strict mode it closes with 1008 where it knows no answer."""
    async with aimock(tmp_path, strict=True) as base_url, visiting(base_url) as kiosk:
        kiosk.write("Hello")
        await kiosk.until("transcript.assistant", 1)
        kiosk.write("Something else.")
        await kiosk.until("realtime.reconnecting")
        await kiosk.until("realtime.connected")
        kiosk.write("Hello")
        await kiosk.until("transcript.assistant", 2)
