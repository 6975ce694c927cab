"""Tool calls, run off the event loop or answered by a program, within their time."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from rtpipe import RtpipeError, StageError
from rtpipe_plugins.child.process import ChildProcess
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.peers.realtime.tool_events import ToolCalled, ToolFailed, ToolReturned
from rtpipe_plugins.peers.realtime.tools.declarations import (
    CommandTool,
    FunctionTool,
    PythonTool,
    ServerTool,
)

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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call that a program is to answer."""

    name: str
    answer: asyncio.Future[Any]


class Toolbox:
    """Runs functions and commands, a few at a time, and waits for what programs answer.

    Args:
        tools: What there is.
        ctx: The stage's.
        mask: Takes secrets out of what goes to the model.
    """

    def __init__(
        self, tools: Sequence[Tool], ctx: StageContext, mask: Callable[[str], str]
    ) -> None:
        self._tools = {tool.called: tool for tool in tools if not isinstance(tool, ServerTool)}
        self._waiting: dict[str, _Waiting] = {}
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

    def add(self, tools: Sequence[Tool], mask: Callable[[str], str]) -> None:
        """Have these too, and rather than those of the same names; see `load` for what is raised.

        Those that are gone stay: the call that stands may still know them.
        """
        added = Toolbox(tools, self._ctx, mask)
        added.load()
        self._tools.update(added._tools)
        self._mask = mask

    def run(self, call: ToolCall, answer: Callable[[str], None]) -> None:
        """Begin a call; `answer(output)` is called when it is over, however it went."""
        task = asyncio.create_task(self._run(call, answer), name=f"tool {call.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    @property
    def awaits_program(self) -> bool:
        """Whether a call waits for what a program answers."""
        return any(not waiting.answer.done() for waiting in self._waiting.values())

    def answer(self, output: Any, *, call_id: str = "", name: str = "") -> None:
        """Answer the oldest call that waits for a program.

        Args:
            output: What the model is told: a text, or anything that becomes JSON.
            call_id: Which call; "": any.
            name: Of which function; "": any.

        Raises:
            StageError: No such call waits.
        """
        for id, waiting in self._waiting.items():
            if call_id in {"", id} and name in {"", waiting.name} and not waiting.answer.done():
                waiting.answer.set_result(output)
                return
        which = f"of `{name}` " if name else ""
        raise StageError(f"no call {which}waits for an answer")

    async def close(self) -> None:
        """Break off what runs; a function in a thread goes on to its end, unheard."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, call: ToolCall, answer: Callable[[str], None]) -> None:
        tool = self._tools.get(call.name)
        by_program = isinstance(tool, FunctionTool)
        async with nullcontext() if by_program else self._room:
            began = self._ctx.now()
            if by_program:  # before it is told of: whoever hears that may answer at once
                answer_of_program = asyncio.get_running_loop().create_future()
                self._waiting[call.call_id] = _Waiting(call.name, answer_of_program)
            self._ctx.publish(
                ToolCalled(
                    call_id=call.call_id,
                    name=call.name,
                    arguments=_shown(call.arguments),
                    answered_by="program" if by_program else "stage",
                )
            )
            try:
                output = self._mask(await self._output(tool, call))
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
            finally:
                self._waiting.pop(call.call_id, None)
        answer(output)

    async def _output(
        self, tool: PythonTool | CommandTool | FunctionTool | None, call: ToolCall
    ) -> str:
        """Return what a tool says.

        Raises:
            _Failed: It failed, or took too long; or there is none of that name.
        """
        arguments = call.arguments or "{}"
        if tool is None:
            known = ", ".join(f"`{name}`" for name in self._tools) or "none"
            raise _Failed(f"there is no function `{call.name[:64]}`; there are: {known}")
        try:
            if isinstance(tool, CommandTool):
                text = await self._command(tool, arguments)
            else:
                async with asyncio.timeout(tool.timeout_s):
                    if isinstance(tool, FunctionTool):
                        text = _text(await self._waiting[call.call_id].answer)
                    else:
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


def _late(tool: PythonTool | CommandTool | FunctionTool) -> str:
    if isinstance(tool, FunctionTool):
        return f"nobody answered within {tool.timeout_s:g} s"
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
    except (ValueError, RecursionError):
        return arguments
