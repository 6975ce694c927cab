"""Toolboxes for tests, and what is written of tools in a file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from openai.types.realtime import RealtimeSessionCreateRequest
from pydantic import TypeAdapter

from rtpipe import StageContext
from rtpipe_plugins.peers.realtime import RealtimeOptions
from rtpipe_plugins.peers.realtime.account import Mask
from rtpipe_plugins.peers.realtime.dialects.openai.session_object import session_object
from rtpipe_plugins.peers.realtime.tools.declarations import ToolCall
from rtpipe_plugins.peers.realtime.tools.toolbox import Toolbox

HERE = Path(__file__).parents[1]
SESSION: TypeAdapter[Any] = TypeAdapter(RealtimeSessionCreateRequest)


def options(*tools: Any, **more: Any) -> RealtimeOptions:
    made = RealtimeOptions.model_validate({"tools": tools, **more}, context={"folder": HERE})
    SESSION.validate_python(session_object(made), strict=True)
    return made


def python(function: str, **more: Any) -> dict[str, Any]:
    return {"python": f"tool_box:{function}", **more}


class Box:
    """A toolbox, and what it answered."""

    def __init__(self, ctx: StageContext, *tools: Any) -> None:
        self.toolbox = Toolbox(options(*tools).tools, ctx, Mask(["sesame-open"]))
        self.answers: dict[str, str] = {}
        self._news = asyncio.Event()

    def start(self, name: str, arguments: Any = None, call_id: str = "call_1") -> None:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})

        def answer(output: str) -> None:
            self.answers[call_id] = output
            self._news.set()

        self.toolbox.run(ToolCall(call_id, name, text), answer)

    async def call(self, name: str, arguments: Any = None) -> str:
        self.start(name, arguments)
        return await self.answered("call_1")

    async def answered(self, call_id: str) -> str:
        async with asyncio.timeout(20):
            while call_id not in self.answers:
                self._news.clear()
                await self._news.wait()
        return self.answers.pop(call_id)
