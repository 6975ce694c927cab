"""The tasks that move audio: one loop for each kind of stage that has a task of its own."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from rtpipe import audio, fiber
from rtpipe.errors import StageError
from rtpipe.language.spec import Drop
from rtpipe.running.bounded import cancel
from rtpipe.running.faults import asked_to_end, check_made, contained, place_of_task
from rtpipe.running.state import Status
from rtpipe.running.supervisor import CLOSE_TIMEOUT_S
from rtpipe.running.timeline import Timeline
from rtpipe.stage import Peer, Sink, Source, Transform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from rtpipe.audio import AudioFrame
    from rtpipe.clock import Clock
    from rtpipe.link import Link
    from rtpipe.running.chain import Outlet
    from rtpipe.running.supervisor import Slot
    from rtpipe.running.wiring import Wiring
    from rtpipe.stage import Processed, Send

_FRAMES_BETWEEN_BREATHS = 64


class StageTasks:
    """The tasks that move a pipeline's audio, one for each stage that does not run inline.

    Args:
        wiring: What they read, and where they give out.
        clock: The pipeline's time.
        on_end: Called when the audio has ended: no task is left, or one has failed.

    Attributes:
        changing: Whether stages are being exchanged: then the last task may end, and the audio not.
    """

    def __init__(self, wiring: Wiring, clock: Clock, on_end: Callable[[], None]) -> None:
        self._wiring = wiring
        self._clock = clock
        self._on_end = on_end
        self._tasks: dict[asyncio.Task[None], Slot] = {}
        self._feeding: dict[Slot, asyncio.Task[None]] = {}
        self.changing = False

    @property
    def working(self) -> bool:
        """Whether they have been started, and the audio has not ended."""
        return any(not task.done() for task in self._tasks)

    def start(self, id: str, slot: Slot, *, live: bool) -> None:
        """Let the stage in `slot` work. `live`: whether its output comes whether read or not."""
        inlets, outlet = self._wiring.inlets(id), self._wiring.outlets[id]
        feeding = partial(self._feeding.__setitem__, slot)
        work = run_stage(slot, inlets, outlet, self._clock, live=live, feeding=feeding)
        task = fiber.start(work, name=id)
        self._tasks[task] = slot
        task.add_done_callback(self._ended)

    async def run(self, over: asyncio.Future[None], drain: Callable[[], Awaitable[None]]) -> None:
        """Return when the audio has ended: by itself, or by `over` and what `drain` then does."""
        try:
            await over
            for task in filter(asyncio.Task.cancelled, [*self._tasks]):  # by nobody here
                cancelled = StageError("its task was cancelled by its own code")
                await self._tasks[task].recover(cancelled)
            if not all(task.done() for task in self._tasks):
                await drain()
        finally:
            feeding = {task: slot for slot, task in self._feeding.items()}
            stuck = await cancel([*self._tasks, *feeding], CLOSE_TIMEOUT_S)
            for task, slot in {**self._tasks, **feeding}.items():
                if task in stuck:
                    place = place_of_task(task)
                    slot.report(StageError(f"goes on though it was cancelled, at {place}"))
        for task, slot in self._tasks.items():
            error = None if task in stuck or task.cancelled() else task.exception()
            if error is not None:
                slot.fail(contained(error))

    async def drained(self, limit_s: float) -> set[asyncio.Task[None]]:
        """End the sources, and let the rest follow; returns who has not after `limit_s`.

        What feeds the sinks is cut off then.
        """
        for feeding in self._feeding.values():
            feeding.cancel()
        _, late = await asyncio.wait(self._tasks, timeout=limit_s)
        for task in late:
            if not issubclass(self._tasks[task].used.stage_type, Sink):
                task.cancel()
        return late

    def let_go(self, slot: Slot) -> asyncio.Task[None] | None:
        """Have no more to do with the task of `slot`, which is returned; None: it has none."""
        self._feeding.pop(slot, None)
        for task, stands in self._tasks.items():
            if stands is slot:
                del self._tasks[task]
                return task
        return None

    def look(self) -> None:
        """See whether the audio has ended."""
        if not self.changing and all(task.done() for task in self._tasks):
            self._on_end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task not in self._tasks:
            return  # it was let go
        if not task.cancelled() and task.exception() is not None:
            self._on_end()
        else:
            self.look()


def run_stage(
    slot: Slot,
    inlets: Sequence[Link],
    outlet: Outlet,
    clock: Clock,
    *,
    live: bool,
    feeding: Callable[[asyncio.Task[None]], None],
) -> Coroutine[Any, Any, None]:
    """Return what moves the audio of the stage in `slot`; for the arguments see the others."""
    stage_type = slot.used.stage_type
    if issubclass(stage_type, Source):
        return run_source(slot, outlet, live=live, feeding=feeding)
    if issubclass(stage_type, Transform):
        return run_transform(slot, inlets, outlet)
    if issubclass(stage_type, Peer):
        return run_peer(slot, inlets[0], outlet, clock)
    return run_sink(slot, inlets)


async def run_source(
    slot: Slot,
    outlet: Outlet,
    *,
    live: bool,
    feeding: Callable[[asyncio.Task[None]], None],
) -> None:
    """Send what a source yields. `feeding` is told of the task whose cancelling ends the stream."""
    producing = fiber.start(_produce(slot, outlet, live=live), name=slot.spec.id)
    feeding(producing)
    try:
        await asyncio.wait([producing])
    finally:
        producing.cancel()
    if not producing.cancelled():
        producing.result()
    slot.ended = True
    await outlet.finish()


async def _produce(slot: Slot, outlet: Outlet, *, live: bool) -> None:
    timeline = _timeline(outlet, slot.ctx.clock if live else None)
    while True:
        stage = slot.stage
        try:
            await _give_out(slot, outlet, timeline)
        except BaseException as error:
            if asked_to_end(error):
                raise
            if not await slot.recover(contained(error)) or slot.stage is stage:
                return  # what has raised gives no more
        else:
            return
        timeline.resume()


def _timeline(outlet: Outlet, clock: Clock | None) -> Timeline:
    """Return the timeline of what goes out there; where a stream went out before, it goes on."""
    before = outlet.timeline
    outlet.timeline = Timeline(clock) if before is None else before.taken_over(clock)
    return outlet.timeline


async def _give_out(slot: Slot, outlet: Outlet, timeline: Timeline) -> None:
    """Carry every frame of the present instance on its way."""
    frames: Any = None  # a stranger's: perhaps no generator
    count = 0
    try:
        frames = slot.stage.frames()
        async for frame in frames:
            check_made(frame, "frames")
            timeline.place(frame)
            slot.note(frame)
            if late := outlet.offer(frame):
                await outlet.deliver(late)
            count += 1
            if count % _FRAMES_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)  # a source that never waits must not hold the loop
    except GeneratorExit:
        frames = None  # its loop is gone: there is nobody to wait for it
        raise
    finally:
        if frames is not None and hasattr(frames, "aclose"):
            await frames.aclose()


async def run_transform(slot: Slot, inlets: Sequence[Link], outlet: Outlet) -> None:
    """Carry frames through a transform that has inlets of its own."""
    turn = asyncio.Lock()
    taken_s = 0.0

    async def work(
        method: Callable[..., Processed],
        *arguments: object,
        frame: AudioFrame | None = None,
        send: Send = outlet.send,
    ) -> bool:
        made = await _made(slot, method, frame, arguments)
        if isinstance(made, Exception):
            slot.lost_frames += frame is not None
            if await slot.recover(made):
                return True
            _abandon(inlets)
            return False
        for piece in made:
            if _has_place(piece, slot, outlet, taken_s):
                slot.note(piece)
                await send(piece)
        return True

    async def pump(index: int, inlet: Link) -> None:
        nonlocal taken_s
        async for frame in inlet:
            taken_s = max(taken_s, audio.end_s(frame))
            _tell(slot, frame)
            async with turn:
                if not await work(slot.stage.process_at, frame, index, frame=frame):
                    return
        async with turn:
            await work(slot.stage.ended_at, index)

    await _all([pump(index, inlet) for index, inlet in enumerate(inlets)])
    if slot.status is Status.OK:
        await work(slot.stage.finish, send=outlet.send_last)
    await outlet.finish()


async def _made(
    slot: Slot,
    method: Callable[..., Processed],
    frame: AudioFrame | None,
    arguments: tuple[object, ...],
) -> list[AudioFrame] | Exception:
    """Return what `_call` does, from a thread where the stage may take long."""
    if slot.used.stage_type.blocking:  # type: ignore[attr-defined]
        return await _call_in_thread(slot, method, frame, arguments)
    return _call(slot, method, frame, arguments)


def _has_place(piece: AudioFrame, slot: Slot, outlet: Outlet, taken_s: float) -> bool:
    """Return whether a frame may go out; not where another goes on from `taken_s`: it is lost."""
    if outlet.closes or audio.end_s(piece) <= taken_s + 1 / piece.sample_rate:
        return True
    slot.lost_frames += 1
    return False


async def _call_in_thread(
    slot: Slot,
    method: Callable[..., Processed],
    frame: AudioFrame | None,
    arguments: tuple[object, ...],
) -> list[AudioFrame] | Exception:
    """Return what `_call` does, from a thread; who is cancelled meanwhile has lost the frame."""
    try:
        return await asyncio.to_thread(_call, slot, method, frame, arguments)
    except asyncio.CancelledError:
        slot.lost_frames += frame is not None
        raise


def _call(
    slot: Slot,
    method: Callable[..., Processed],
    frame: AudioFrame | None,
    arguments: tuple[object, ...],
) -> list[AudioFrame] | Exception:
    """Return what a transform's method gives out, or raises: a future cannot carry all of that."""
    try:
        made = method(*arguments)
        if frame is not None and made is frame:
            return [frame]
        own = getattr(method, "__func__", None) is not Transform.process_at
        return slot.checked(made, method.__name__ if own else "process", frame)
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything; the policy decides
        return contained(error)


async def run_peer(slot: Slot, inlet: Link, outlet: Outlet, clock: Clock) -> None:
    """Let a peer converse until it says that it is done."""
    timeline = _timeline(outlet, clock)

    async def send(frame: AudioFrame) -> None:
        check_made(frame, "converse")
        timeline.place(frame)
        slot.note(frame)
        await outlet.send(frame)

    while True:
        stage = slot.stage
        try:
            await stage.converse(inlet, send)
        except BaseException as error:
            if asked_to_end(error):
                raise
            if not await slot.recover(contained(error)) or slot.stage is stage:
                break
            inlet.flush()
            timeline.resume()
        else:
            break
    inlet.abandon()
    await outlet.finish()


async def run_sink(slot: Slot, inlets: Sequence[Link]) -> None:
    """Feed a sink from its inlets until all have ended, then let it drain."""
    turn = asyncio.Lock()

    async def in_turn(slot: Slot, frame: AudioFrame, index: int) -> None:
        async with turn:
            await _consumed(slot, frame, index)

    take = in_turn if len(inlets) > 1 else _consumed

    async def pump(index: int, inlet: Link) -> None:
        async for frame in inlet:
            slot.note(frame)
            _tell(slot, frame)
            try:
                await take(slot, frame, index)
            except BaseException as error:
                slot.lost_frames += 1
                if asked_to_end(error):
                    raise
                if not await slot.recover(contained(error)):
                    _abandon(inlets)
                    return
                if not isinstance(slot.spec.on_error, Drop):
                    inlet.flush()

    await _all([pump(index, inlet) for index, inlet in enumerate(inlets)])
    try:
        await slot.stage.drain()
    except BaseException as error:
        if asked_to_end(error):
            raise
        await slot.recover(contained(error))


def _consumed(slot: Slot, frame: AudioFrame, index: int) -> Awaitable[None]:
    """Let the sink take `frame`; `consume` at once, where `consume_at` is only a way to it."""
    stage: Sink[Any] = slot.stage
    if type(stage).consume_at is Sink.consume_at:
        return stage.consume(frame)
    return stage.consume_at(frame, index)


async def _all(pumps: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run what reads each inlet, until all have ended; a single one needs no task of its own."""
    if len(pumps) == 1:
        await pumps[0]
    else:
        await asyncio.gather(*map(fiber.start, pumps))


def _abandon(inlets: Sequence[Link]) -> None:
    for inlet in inlets:
        inlet.abandon()


def _tell(slot: Slot, frame: AudioFrame) -> None:
    if not slot.stage.tells_taps:
        slot.ctx.tell_taps(frame)
