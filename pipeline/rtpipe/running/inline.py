"""Inline stages: transforms without a task of their own, as steps on the chain that feeds them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe.errors import EnvironmentProblem
from rtpipe.language.spec import Fail
from rtpipe.running.faults import contained
from rtpipe.running.supervisor import Slot, Status
from rtpipe.stage import Transform
from rtpipe.vocabulary import Restart

if TYPE_CHECKING:
    from rtpipe.audio import AudioFrame
    from rtpipe.stage import Processed


class InlineSlot(Slot):
    """The place of a transform that runs inline: as a step on a chain, it never raises."""

    def process(self, frame: AudioFrame) -> Processed:
        """Return what the transform makes of `frame`; nothing while it is not there to ask."""
        if self.status is not Status.OK:
            self.lost_frames += 1
            return None
        try:
            made: Processed = self.stage.process(frame)
            if made is not frame:
                return self._noted(self.checked(made, "process", frame))
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything; the policy decides
            self.lost_frames += 1
            self._failed_inline(contained(error))
            return None
        self.note(frame)
        return frame

    def finish(self) -> Processed:
        """Return the transform's last frames."""
        if not isinstance(self._stage, Transform):
            return None
        try:
            return self._noted(self.checked(self._stage.finish(), "finish"))
        except BaseException as error:  # noqa: BLE001 - as above
            self._failed_inline(contained(error))
            return None

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
