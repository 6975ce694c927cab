"""Fibers: what a coroutine sees is what it would see as a plain task, only sooner."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe import fiber
from rtpipe.fiber import Gate
from rtpipe.running.faults import place_of_task

FUTURES = 3
HELD: ContextVar[int] = ContextVar("HELD", default=0)
Start = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]

waits = st.sampled_from(["gate", "pass", "other gate", "within a time", "a task", *range(FUTURES)])
steps = st.lists(
    st.tuples(waits, st.sampled_from(["", "", "", "swallow", "clean up"])), min_size=1, max_size=6
)
deeds = st.lists(
    st.sampled_from(["open", "open", "open soon", "open the other", "cancel", *range(FUTURES)]),
    max_size=12,
)


class World:
    """Two gates, some futures, and a coroutine that waits for them by a script."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.gate, self.other = Gate(), Gate()
        self.futures = [loop.create_future() for _ in range(FUTURES)]
        self.seen: list[object] = []

    async def wait(self, what: object) -> None:
        match what:
            case "gate":
                await self.gate
            case "other gate":
                await self.other
            case "pass":
                await asyncio.sleep(0)
            case "within a time":
                async with asyncio.timeout(3600):
                    await self.gate
            case "a task":
                await asyncio.create_task(self.wait("gate"))
            case int(number):
                await self.futures[number]

    async def run(self, script: list[tuple[object, str]], ending: str) -> str:
        me = asyncio.current_task()
        for number, (what, if_cancelled) in enumerate(script):
            token = HELD.set(number)
            try:
                await self.wait(what)
                self.seen.append((what, HELD.get() == number))
            except asyncio.CancelledError:
                self.seen.append("cancelled")
                if if_cancelled == "clean up":
                    await asyncio.sleep(0)
                    self.seen.append("cleaned up")
                if if_cancelled != "swallow":
                    raise
            assert asyncio.current_task() is me
            HELD.reset(token)
        if ending == "raise":
            raise KeyError("end")
        return ending

    def act(self, deed: object, task: asyncio.Task[Any]) -> None:
        match deed:
            case "open":
                self.gate.open()
            case "open soon":
                self.gate.open_soon()
            case "open the other":
                self.other.open()
            case "cancel":
                task.cancel()
            case int(number) if not self.futures[number].done():
                self.futures[number].set_result(None)


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


async def story(
    start: Start, script: list[tuple[object, str]], ending: str, acts: list[object], *, hasty: bool
) -> tuple[list[object], object]:
    """Run the script under the deeds; return what it saw, and how it ended."""
    world = World()
    task = start(world.run(script, ending))
    await settle()
    for deed in acts:
        world.act(deed, task)
        if not hasty:
            await settle()
    await settle()
    outcome: object = "waits"
    if task.done():
        outcome = "cancelled" if task.cancelled() else task.exception() or task.result()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "what it waited for goes on"
    while not task.done():
        task.cancel()
        await settle()
    return world.seen, repr(outcome)


@given(steps, st.sampled_from(["return", "raise"]), deeds)
def test_as_a_plain_task_whatever_happens(
    script: list[tuple[object, str]], ending: str, acts: list[object]
) -> None:
    plain = asyncio.run(story(asyncio.create_task, script, ending, acts, hasty=False))
    as_fiber = asyncio.run(story(fiber.start, script, ending, acts, hasty=False))
    assert as_fiber == plain


@given(steps, st.sampled_from(["return", "raise"]), deeds)
def test_whatever_happens_at_once_it_still_ends(
    script: list[tuple[object, str]], ending: str, acts: list[object]
) -> None:
    seen, outcome = asyncio.run(story(fiber.start, script, ending, acts, hasty=True))
    assert outcome in {"'return'", "KeyError('end')", "'cancelled'", "'waits'"}
    if "cancel" in acts and all(choice != "swallow" for _, choice in script):
        assert outcome != "'waits'"
    assert all(held for _, held in (each for each in seen if isinstance(each, tuple)))


def test_it_runs_before_the_gate_has_been_opened() -> None:
    async def program() -> None:
        gate, seen = Gate(), []

        async def reader() -> None:
            while True:
                await gate
                seen.append(asyncio.current_task())

        task = fiber.start(reader(), name="reader")
        await asyncio.sleep(0)
        gate.open()
        gate.open()
        assert seen == [task, task]
        assert asyncio.current_task() is not task
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())


def test_a_row_of_them_resumes_each_other_only_so_deep() -> None:
    async def program() -> None:
        gates = [Gate() for _ in range(3000)]
        reached = asyncio.Event()

        async def relay(here: Gate, on: Gate | None) -> None:
            await here
            if on is None:
                reached.set()
            else:
                on.open()

        tasks = [
            fiber.start(relay(here, on)) for here, on in zip(gates, [*gates[1:], None], strict=True)
        ]
        await asyncio.sleep(0)
        gates[0].open()
        assert not reached.is_set()
        await reached.wait()
        await asyncio.gather(*tasks)

    asyncio.run(program())


def test_what_it_raises_in_place_is_its_tasks_and_not_its_openers() -> None:
    async def program() -> None:
        gate = Gate()

        async def reader() -> None:
            await gate
            raise SystemExit(3)

        task = fiber.start(reader())
        await asyncio.sleep(0)
        gate.open()
        assert not task.done()
        await task

    with pytest.raises(SystemExit):
        asyncio.run(program())


@pytest.mark.parametrize("ending", ["return", "raise"])
def test_an_error_in_place_is_told_though_its_task_was_cancelled(ending: str) -> None:
    async def program() -> None:
        world = World()
        task = fiber.start(world.run([("gate", "")], ending))
        await settle()
        task.cancel()
        world.gate.open()
        await task

    with pytest.raises(KeyError if ending == "raise" else asyncio.CancelledError):
        asyncio.run(program())


def test_one_that_is_cancelled_before_it_begins_leaves_nothing_to_warn_of() -> None:
    async def program() -> None:
        task = fiber.start(asyncio.sleep(0))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())
    gc.collect()


def test_a_stuck_one_is_named_by_its_own_line() -> None:
    async def program() -> str:
        async def stuck() -> None:
            await asyncio.get_running_loop().create_future()

        task = fiber.start(stuck())
        await asyncio.sleep(0)
        place = place_of_task(task)
        task.cancel()
        return place

    assert asyncio.run(program()).endswith("in stuck")
