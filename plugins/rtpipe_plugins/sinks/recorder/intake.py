"""What comes in, put on one timeline and handed to the thread that writes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe import StageError, audio
from rtpipe_plugins.disk.background_writer import BackgroundWriter
from rtpipe_plugins.sinks.recorder.placement import Placement
from rtpipe_plugins.sound.time_stamps import JumpGuard

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, StageContext
    from rtpipe_plugins.sinks.recorder.ordered import OrderedRecording
    from rtpipe_plugins.sinks.recorder.recording import RecordingShape
    from rtpipe_plugins.sinks.recorder.switch import Order, Switch

RATE = 48_000
_LIVE_BATCH = RATE // 10
_BATCH = 2 * RATE
"""Samples that go to the disk at once; lost to a kill, when live."""
_LIVE_PATIENCE = RATE // 2
"""Held back, and lost to a kill, while one of the voices is late or silent."""
_BATCH_PATIENCE = 60 * RATE
"""Files arrive as fast as each can be read: no haste, but no hour of audio in memory either."""

_BEGINS: frozenset[Order] = frozenset({"start", "resume"})


class Intake:
    """The event loop's side of a recorder, from the first frame to the last.

    Args:
        ctx: The recorder's.
        zero_s: The pipeline second that is 0 on the timeline.
        switch: What is not to be recorded goes no further than here.
        recording: Where all goes.
        path: For errors.
    """

    def __init__(
        self,
        ctx: StageContext,
        zero_s: float,
        switch: Switch,
        recording: OrderedRecording,
        path: Path,
    ) -> None:
        from rtpipe_plugins.sound.alignment import Aligner

        self._ctx = ctx
        self._zero_s = zero_s
        self._switch = switch
        self._recording = recording
        self._late: set[int] = set()
        live = ctx.live
        self._placements = [Placement(zero_s, JumpGuard(ctx), live=live) for _ in ctx.inputs]
        self._aligner = Aligner(len(ctx.inputs), patience=self._patience, grace=self._patience)
        self._out = BackgroundWriter(path, recording.opened, batch=_LIVE_BATCH if live else _BATCH)
        self._writing = asyncio.Lock()
        self._settling: asyncio.Task[None] | None = None
        self._error: StageError | None = None

    async def open(self) -> None:
        """Open the file, so that what it says comes before what happens in it."""
        await self._out.flush()

    async def take(self, frame: AudioFrame, inlet: int) -> None:
        """Record a frame of the `inlet`-th input.

        Raises:
            StageError: It cannot be written, and nobody is live.
        """
        self._raise()
        self._aligner.patience = self._aligner.grace = self._patience
        data = audio.pcm(frame)[:, 0]
        at = self._placements[inlet].place(frame, self._ctx.now(), quiet=_is_quiet(data))
        data = self._switch.silenced(data, self._heard_at(frame, at))
        if at < 0:  # heard before the recording began
            data, at = data[-at:], 0
        async with self._writing:
            data, at = self._caught_up(data, at, inlet)
            if len(data):
                for block in self._aligner.add(inlet, at, data):
                    await self._out.write(block)

    def here(self, order: Order) -> int:
        """Return the sample of the timeline that is now, or the first that is still in hand.

        Where audio has ceased, what is to end there ends with it, not with an hour of silence.
        """
        here = furthest = self._aligner.furthest
        if self._ctx.live:
            now = round((self._ctx.now() - self._zero_s) * RATE)
            if order in _BEGINS or now - furthest <= _LIVE_PATIENCE:
                here = now
        return max(here, self._aligner.given)

    def move(self, shape: RecordingShape, at: int) -> None:
        """Go on in files of another shape from a sample on."""
        self._recording.move(shape)
        self.order("move", at)

    def order(self, order: Order, at: int) -> None:
        """Have an order followed at a sample, also if no more audio comes."""
        self._recording.order(order, at, self._ctx.now())
        if self._ctx.live and order not in _BEGINS:
            if self._settling is not None:
                self._settling.cancel()
            self._settling = asyncio.create_task(self._settle(at), name=f"{self._ctx.id} {order}")

    async def finish(self) -> None:
        """Complete the recording.

        Raises:
            StageError: It could not be written, and nobody is live.
        """
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])
        try:
            if not self._out.ended:
                for block in self._aligner.rest():
                    await self._out.write(block)
                await self._out.flush()
        finally:
            await self._out.close()
        self._raise()

    def _raise(self) -> None:
        """Raise what went wrong while nobody waited, once."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    async def _settle(self, at: int) -> None:
        """Bring the files to a sample, once what was on its way has come."""
        import numpy as np

        clock = self._ctx.clock
        await clock.sleep_until(clock.now() + _LIVE_PATIENCE / RATE)
        try:
            async with self._writing:
                for block in self._aligner.until(at):
                    await self._out.write(block)
                await self._out.write(np.zeros((0, len(self._ctx.inputs)), np.int16))
                await self._out.flush()
        except StageError as error:
            self._error = error

    def _heard_at(self, frame: AudioFrame, at: int) -> int:
        """Return where on the timeline a frame was heard: a stream may stand still for a while."""
        captured_at = audio.meta(frame).captured_at
        if self._ctx.live and captured_at is not None:
            heard = round((captured_at - self._zero_s) * RATE)
            if heard - at > _LIVE_PATIENCE:
                return heard
        return at

    def _caught_up(
        self, data: NDArray[np.int16], at: int, inlet: int
    ) -> tuple[NDArray[np.int16], int]:
        """Return where what comes too late goes: after what is there, and without its pauses.

        So no word is lost, and the next pause puts the voice back into its place in time.
        """
        late = self._aligner.earliest(inlet) - at
        if late <= 0:
            self._late.discard(inlet)
            return data, at
        if inlet not in self._late:
            self._late.add(inlet)
            self._ctx.log.warning(
                "%s came %.0f ms too late and is recorded later until its next pause",
                self._ctx.inputs[inlet],
                late * 1000 / RATE,
            )
        if _is_quiet(data):
            data = data[late:]
        return data, at + late

    @property
    def _patience(self) -> int:
        return _LIVE_PATIENCE if self._ctx.live else _BATCH_PATIENCE


def _is_quiet(data: NDArray[np.int16]) -> bool:
    return not len(data) or audio.peak(data) < audio.AUDIBLE
