"""Tool calls, run off the event loop and within their time."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from rtpipe import RtpipeError
from rtpipe_plugins.child.process import ChildProcess
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.peers.realtime.events import ToolCalled, ToolFailed, ToolReturned
from rtpipe_plugins.peers.realtime.tools.declarations import CommandTool, PythonTool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtpipe import StageContext
    from rtpipe_plugins.peers.realtime.tools.declarations import Tool, ToolCall

_AT_ONCE = 4
_MOST_CHARACTERS = 32_000
"""Of an output: all of it must fit into one message of the data channel (256 KiB)."""


class _Failed(Exception):  # noqa: N818 - what happened
    """A tool did not do what it should; the text is for the model.

    Args:
        text: What happened.
        child: The command that failed: what it said is for people alone.
    """

    def __init__(self, text: str, child: ChildProcess | None = None) -> None:
        super().__init__(text)
        self.said = "" if child is None else child.said
        self.withheld = () if child is None else child.withheld


class Toolbox:
    """Runs functions and commands, a few at a time.

    Args:
        tools: What there is.
        ctx: The stage's.
        mask: Takes secrets out of what goes to the model.
    """

    def __init__(
        self, tools: Sequence[Tool], ctx: StageContext, mask: Callable[[str], str]
    ) -> None:
        self._tools = {
            tool.called: tool for tool in tools if isinstance(tool, PythonTool | CommandTool)
        }
        self._ctx = ctx
        self._mask = mask
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def load(self) -> None:
        """Import the functions.

        Raises:
            PluginError: One cannot be imported, or its signature not be used.
        """
        for tool in self._tools.values():
            if isinstance(tool, PythonTool):
                tool.load()

    def run(self, call: ToolCall, answer: Callable[[str], None]) -> None:
        """Begin a call; `answer(output)` is called when it is over, however it went."""
        task = asyncio.create_task(self._run(call, answer), name=f"tool {call.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Break off what runs; a function in a thread goes on to its end, unheard."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, call: ToolCall, answer: Callable[[str], None]) -> None:
        tool = self._tools[call.name]
        async with self._room:
            began = self._ctx.now()
            self._ctx.publish(
                ToolCalled(call_id=call.call_id, name=call.name, arguments=_shown(call.arguments))
            )
            try:
                output = self._mask(await self._output(tool, call.arguments or "{}"))
            except BaseException as error:
                failed = error if isinstance(error, _Failed) else _Failed(_unforeseen(error))
                reason = self._mask(str(failed))
                self._ctx.publish(
                    ToolFailed(
                        call_id=call.call_id,
                        name=call.name,
                        duration_ms=self._since(began),
                        reason=reason,
                        stderr=self._mask(failed.said),
                        withheld=failed.withheld,
                    )
                )
                if failed is not error:
                    raise
                output = json.dumps({"error": reason}, ensure_ascii=False)
            else:
                self._ctx.publish(
                    ToolReturned(
                        call_id=call.call_id,
                        name=call.name,
                        duration_ms=self._since(began),
                        output=output,
                    )
                )
        answer(output)

    async def _output(self, tool: PythonTool | CommandTool, arguments: str) -> str:
        """Return what a tool says.

        Raises:
            _Failed: It failed, or took too long.
        """
        try:
            if isinstance(tool, CommandTool):
                text = await self._command(tool, arguments)
            else:
                async with asyncio.timeout(tool.timeout_s):
                    text = _text(await _called(tool, arguments))
        except TimeoutError:
            raise _Failed(_late(tool)) from None
        except ValidationError as error:
            raise _Failed(f"wrong arguments: {_mistakes(error)}") from None
        except _Failed:
            raise
        except Exception as error:  # a function of the user's may raise anything
            self._ctx.log.warning("the tool %s failed", tool.called, exc_info=error)
            raise _Failed(f"{type(error).__name__}: {error}") from error
        return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + " …"

    async def _command(self, tool: CommandTool, arguments: str) -> str:
        child = ChildProcess(tool.command, read=self._ctx.env_names, given=tool.env)
        try:
            async with asyncio.timeout(tool.timeout_s):
                await child.start(reads=True, writes=True)
                with suppress(ConnectionError):  # it need not read them
                    await child.write(arguments.encode(errors="backslashreplace"))
                await child.end_of_input()
                said = await child.read(4 * _MOST_CHARACTERS)
                whole = len(said) < 4 * _MOST_CHARACTERS
                how = await child.finished() if whole else None
        except TimeoutError:
            raise _Failed(_late(tool), child) from None
        except RtpipeError as error:
            raise _Failed(error.message) from error
        finally:
            await child.close()
        if how is not None:
            raise _Failed(f"the program {how}", child)
        return said.decode(errors="replace").strip()

    def _since(self, began: float) -> float:
        return round((self._ctx.now() - began) * 1000, 1)


def _unforeseen(error: BaseException) -> str:
    return "broken off" if isinstance(error, asyncio.CancelledError) else str(error)


def _late(tool: PythonTool | CommandTool) -> str:
    return f"it took longer than {tool.timeout_s:g} s"


async def _called(tool: PythonTool, arguments: str) -> Any:
    """Return what the function returns."""
    if tool.is_async:
        return await tool.call(arguments)
    return await in_daemon_thread("rtpipe-tool", tool.call, arguments)


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    try:
        return to_json(result).decode()
    except PydanticSerializationError:
        return str(result)


def _mistakes(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" if each["loc"] else each["msg"]
        for each in error.errors(include_url=False, include_input=False)
    )


def _shown(arguments: str) -> Any:
    """Return the arguments as an object, where they are one."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments
