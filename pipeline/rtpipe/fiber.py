"""Fibers: coroutines that are resumed in place, by whoever has what they wait for.

To wake a task costs a pass through the event loop, which is more than all stages of a pipeline
together. So the coroutine of a stage runs as a fiber: inside a task like any other, which is what
cancels it, waits for its sockets and carries its name; but where it waits at a `Gate`, whoever
opens the gate runs it on the spot, until it waits again. Outside a fiber a gate is a wait like any
other.
"""

from __future__ import annotations

import asyncio
from asyncio import _enter_task, _leave_task  # as "Extending asyncio" has them
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import GeneratorType

T = TypeVar("T")

_DEEPEST = 8
"""Fibers that resume each other on one stack; beyond that the event loop resumes the next."""


class _Stack:
    """How many fibers resume each other at this moment, in one event loop."""

    __slots__ = ("__weakref__", "depth")

    def __init__(self) -> None:
        self.depth = 0


_stacks: WeakKeyDictionary[asyncio.AbstractEventLoop, _Stack] = WeakKeyDictionary()


class Gate:
    """Where a coroutine waits until something may have changed: `while not it: await gate`."""

    __slots__ = ("_turn", "fiber")

    def __init__(self) -> None:
        self._turn: _Turn | None = None
        self.fiber: Fiber[Any] | None = None
        """The one that waits here and can be resumed in place."""

    def __await__(self) -> Generator[Any, None, None]:
        yield self.turn()

    def turn(self) -> _Turn:
        """Return what an `__await__` is to yield in order to wait here."""
        turn = self._turn
        if turn is None or turn.done():
            turn = self._turn = _Turn(self)
        turn._asyncio_future_blocking = True  # noqa: SLF001 - how asyncio's tasks know a future
        return turn

    def open(self) -> None:
        """Resume whoever waits here, a fiber at once; nothing happens where nobody does."""
        fiber = self.fiber
        if fiber is None or not fiber.resume():
            self.open_soon()

    def open_soon(self) -> None:
        """Let the event loop resume whoever waits here."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


class _Turn(asyncio.Future[None]):
    """What the task of a coroutine waits for while that waits at `gate`."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate


class Fiber(Generic[T]):
    """Runs a coroutine in the task that awaits this; a gate at which it waits can resume it.

    What asyncio sees is what it would see of the coroutine itself: its task is the current one, its
    context is its own, and a cancellation of the task reaches it where it waits by then.

    Args:
        coroutine: What to run.
        context: The task's.
    """

    __slots__ = (
        "_context",
        "_ended",
        "_error",
        "_loop",
        "_result",
        "_stack",
        "_task",
        "_waits",
        "coroutine",
    )

    def __init__(self, coroutine: Coroutine[Any, Any, T], context: Context) -> None:
        self.coroutine = coroutine
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._stack = _stacks.setdefault(self._loop, _Stack())
        self._task: Any = None
        self._waits: Any = None  # for what: a future, a gate's turn, or None for a mere pass
        self._ended = False
        self._result: Any = None
        self._error: BaseException | None = None

    def __await__(self) -> Generator[Any, None, T]:
        self._task = asyncio.current_task()
        self._go_on()
        while not self._ended:
            shown = self._waits
            try:
                yield shown
            except BaseException as error:  # noqa: BLE001 - raised below, or by the coroutine
                self._leave_gate()
                if self._ended:  # in place, after its task was cancelled: its own error goes first
                    if self._error is None:
                        self._error = error
                    break
                if self._waits is not shown and _cancel(self._waits):
                    continue  # as its task would have cancelled it
                self._go_on(error)
            else:
                if self._waits is shown and not self._ended:  # else it went on in place meanwhile
                    self._leave_gate()
                    self._go_on()
        return self._outcome()

    def resume(self) -> bool:
        """Run on, at once, from the gate at which the coroutine waits.

        Returns:
            False, and nothing was done, where that must be later: the stack is too deep.
        """
        stack, loop, turn = self._stack, self._loop, self._waits
        if stack.depth >= _DEEPEST:
            return False
        turn.gate.fiber = None
        outer = asyncio.current_task(loop)
        if outer is not None:
            _leave_task(loop, outer)
        _enter_task(loop, self._task)
        stack.depth += 1
        try:
            self._context.run(self._go_on)
        finally:
            stack.depth -= 1
            _leave_task(loop, self._task)
            if outer is not None:
                _enter_task(loop, outer)
        if (self._waits is not turn or self._ended) and not turn.done():
            turn.set_result(None)  # its task sees what it waits for now
        return True

    def _go_on(self, error: BaseException | None = None) -> None:
        """Run the coroutine until it waits again or ends; it raises `error` where it waited."""
        try:
            if error is None:
                self._waits = self.coroutine.send(None)
            else:
                self._waits = self.coroutine.throw(error)
        except StopIteration as end:
            self._ended, self._result = True, end.value
        except BaseException as raised:  # noqa: BLE001 - its task raises it
            self._ended, self._error = True, raised
        else:
            waits = self._waits
            if waits.__class__ is _Turn:
                waits.gate.fiber = self

    def _leave_gate(self) -> None:
        if self._waits.__class__ is _Turn and self._waits.gate.fiber is self:
            self._waits.gate.fiber = None

    def _outcome(self) -> T:
        error, self._error = self._error, None
        if error is None:
            return self._result  # type: ignore[no-any-return]
        try:
            raise error
        finally:
            del error  # it holds this frame, which would hold it


def start(coroutine: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
    """Return a task that runs `coroutine` as a fiber."""
    context = copy_context()
    task = asyncio.create_task(_awaited(Fiber(coroutine, context)), name=name, context=context)
    task.add_done_callback(lambda _: coroutine.close())  # one that was cancelled before it began
    return task


async def _awaited(fiber: Fiber[T]) -> T:
    return await fiber


def fibers_coroutine(generator: GeneratorType[Any, Any, Any]) -> Coroutine[Any, Any, Any] | None:
    """Return what a fiber runs, given what its task sees of it; None for any other generator."""
    frame = generator.gi_frame
    runner = frame.f_locals.get("self") if frame is not None else None
    return runner.coroutine if isinstance(runner, Fiber) else None


def _cancel(waits: Any) -> bool:
    return waits is not None and waits.cancel()
