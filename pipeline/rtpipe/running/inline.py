"""Inline stages: transforms without a task of their own, as steps on the chain that feeds them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe.errors import EnvironmentProblem
from rtpipe.language.spec import Fail
from rtpipe.running.faults import contained
from rtpipe.running.state import Status
from rtpipe.running.supervisor import Slot
from rtpipe.stage import Transform
from rtpipe.vocabulary import Restart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtpipe.audio import AudioFrame
    from rtpipe.running.chain import Processor
    from rtpipe.stage import Processed


class InlineSlot(Slot):
    """The place of a transform that runs inline: a step on a chain, which never raises.

    Attributes:
        processor: What the chain asks: the transform itself, as long as it is there and nobody
            listens to it.
    """

    __slots__ = ("processor",)

    processor: Processor

    def settle(self) -> None:
        """Choose what the chain asks from now on."""
        if self.status is not Status.OK:
            self.processor = _Absent(self)
        else:
            self.processor = _Heard(self) if self._taps else self.stage

    def made(self, made: Processed, frame: AudioFrame) -> Sequence[AudioFrame]:
        """Return the frames in what the transform made of `frame`, where that is not `frame`."""
        return self._noted(self.checked(made, "process", frame))

    def failed(self, error: BaseException) -> None:
        """Count the frame that the transform failed on, and do what its policy says."""
        self.lost_frames += 1
        self._failed_inline(contained(error))

    def finish(self) -> Sequence[AudioFrame]:
        """Return the transform's last frames."""
        if not isinstance(self._stage, Transform):
            return ()
        try:
            return self._noted(self.checked(self._stage.finish(), "finish"))
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything; the policy decides
            self._failed_inline(contained(error))
            return ()

    def reset(self) -> None:
        """Let the transform forget what it holds."""
        if self._stage is not None:
            self.forget()

    def _noted(self, made: list[AudioFrame]) -> list[AudioFrame]:
        for frame in made:
            self.note(frame)
        return made

    def _failed_inline(self, error: Exception) -> None:
        replaceable = isinstance(error, EnvironmentProblem) and self.used.fallback is not None
        if replaceable or isinstance(self.spec.on_error, Restart):
            # The chain cannot wait: the stage's audio is lost, and counted, until it is back.
            self.set_status(Status.RECOVERING, f"{error}")
            self._restarting = asyncio.ensure_future(self._recover_inline(error))
            return
        self._say_failed(error)
        if isinstance(self.spec.on_error, Fail):
            self._give_up(error)

    async def _recover_inline(self, error: Exception) -> None:
        await self.recover(error)


class _Absent:
    """Stands in for a transform that is not there to ask: what comes is lost, and counted."""

    def __init__(self, slot: InlineSlot) -> None:
        self._slot = slot

    def process(self, frame: AudioFrame) -> None:  # noqa: ARG002 - it is lost
        self._slot.lost_frames += 1


class _Heard:
    """Asks the transform, and shows what it gives back to those who listen."""

    def __init__(self, slot: InlineSlot) -> None:
        self._slot = slot

    def process(self, frame: AudioFrame) -> Processed:
        made: Processed = self._slot.stage.process(frame)
        if made is frame:
            self._slot.note(frame)
        return made
