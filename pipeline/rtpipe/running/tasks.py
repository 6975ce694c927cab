"""The tasks that move audio: one loop for each kind of stage that has a task of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe.audio import AudioFrame
from rtpipe.language.spec import Drop
from rtpipe.running.supervisor import Status
from rtpipe.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rtpipe.clock import Clock
    from rtpipe.link import Link
    from rtpipe.running.chain import Outlet
    from rtpipe.running.supervisor import Slot
    from rtpipe.stage import Processed

_FRAMES_BETWEEN_BREATHS = 64


async def run_source(
    slot: Slot,
    outlet: Outlet,
    *,
    live: bool,
    feeding: Callable[[asyncio.Task[None]], None],
) -> None:
    """Send what a source yields. `feeding` is told of the task whose cancelling ends the stream."""
    producing = asyncio.create_task(_produce(slot, outlet, live=live))
    feeding(producing)
    try:
        await asyncio.wait([producing])
    finally:
        producing.cancel()
    if not producing.cancelled():
        producing.result()
    await outlet.finish()


async def _produce(slot: Slot, outlet: Outlet, *, live: bool) -> None:
    clock = slot.ctx.clock
    timeline = Timeline(clock if live else None)
    count = 0
    while True:
        frames = slot.stage.frames()
        try:
            async for frame in frames:
                timeline.place(frame)
                if live:
                    audio.meta(frame).read_at = clock.now()
                slot.note(frame)
                await outlet.send(frame)
                count += 1
                if count % _FRAMES_BETWEEN_BREATHS == 0:
                    await asyncio.sleep(0)  # a source that never waits must not hold the loop
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; the policy decides
            if isinstance(slot.spec.on_error, Drop) or not await slot.recover(error):
                return
        else:
            return
        finally:
            if hasattr(frames, "aclose"):
                await frames.aclose()
        timeline.resume()


async def run_transform(slot: Slot, inlets: Sequence[Link], outlet: Outlet) -> None:
    """Carry frames through a transform that has inlets of its own."""
    turn = asyncio.Lock()

    async def work(method: Callable[..., Processed], *arguments: object) -> bool:
        try:
            if slot.used.stage_type.blocking:  # type: ignore[attr-defined]
                made = await asyncio.to_thread(method, *arguments)
            else:
                made = method(*arguments)
        except Exception as error:  # noqa: BLE001 - as above
            if await slot.recover(error):
                return True
            for inlet in inlets:
                inlet.abandon()
            return False
        await _send_each(slot, outlet, made)
        return True

    async def pump(index: int, inlet: Link) -> None:
        async for frame in inlet:
            _tell(slot, frame)
            async with turn:
                if not await work(slot.stage.process_at, frame, index):
                    return
        async with turn:
            await work(slot.stage.ended_at, index)

    await asyncio.gather(*(pump(index, inlet) for index, inlet in enumerate(inlets)))
    if slot.status is Status.OK:
        await work(slot.stage.finish)
    await outlet.finish()


async def run_peer(slot: Slot, inlet: Link, outlet: Outlet, clock: Clock) -> None:
    """Let a peer converse until it says that it is done."""
    timeline = Timeline(clock)

    async def send(frame: AudioFrame) -> None:
        timeline.place(frame)
        audio.meta(frame).read_at = clock.now()
        slot.note(frame)
        await outlet.send(frame)

    while True:
        try:
            await slot.stage.converse(inlet, send)
        except Exception as error:  # noqa: BLE001 - as above
            if isinstance(slot.spec.on_error, Drop) or not await slot.recover(error):
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

    async def pump(index: int, inlet: Link) -> None:
        async for frame in inlet:
            slot.note(frame)
            _tell(slot, frame)
            try:
                async with turn:
                    await slot.stage.consume_at(frame, index)
            except Exception as error:  # noqa: BLE001 - as above
                if not await slot.recover(error):
                    for each in inlets:
                        each.abandon()
                    return
                if not isinstance(slot.spec.on_error, Drop):
                    inlet.flush()

    await asyncio.gather(*(pump(index, inlet) for index, inlet in enumerate(inlets)))
    try:
        await slot.stage.drain()
    except Exception as error:  # noqa: BLE001 - as above
        await slot.recover(error)


def _tell(slot: Slot, frame: AudioFrame) -> None:
    if not slot.stage.tells_taps:
        slot.ctx.tell_taps(frame)


async def _send_each(slot: Slot, outlet: Outlet, made: Processed) -> None:
    pieces: Iterable[AudioFrame]
    if made is None:
        return
    pieces = (made,) if isinstance(made, AudioFrame) else made
    for frame in pieces:
        slot.note(frame)
        await outlet.send(frame)
