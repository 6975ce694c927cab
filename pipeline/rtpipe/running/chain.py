"""Chains: how a frame gets from one task to the next, through the stages that run inline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from rtpipe import audio
from rtpipe.audio import AudioFrame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rtpipe.clock import Clock
    from rtpipe.link import Link
    from rtpipe.stage import Processed

    Deliveries: TypeAlias = list[tuple[Link, AudioFrame]]


class Step(Protocol):
    """What stands on a chain: an inline stage, a converter, a copier, a check."""

    def process(self, frame: AudioFrame) -> Processed:
        """Return what comes out for `frame`."""

    def finish(self) -> Processed:
        """Return the last frames."""

    def reset(self) -> None:
        """Forget what is held."""


class Copier:
    """Gives the step after it a frame of its own, where others hold the same one."""

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return a copy of `frame`."""
        return audio.copy(frame)

    def finish(self) -> None:
        """Hold nothing, so return nothing."""

    def reset(self) -> None:
        """Hold nothing, so forget nothing."""


class Checker:
    """Asserts the rules of `audio.check_frame` on a link; in tests and with `--debug`."""

    def __init__(self) -> None:
        self._previous: AudioFrame | None = None

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame` once it has been found right."""
        audio.check_frame(frame, self._previous)
        self._previous = frame
        return frame

    def finish(self) -> None:
        """Hold no frame back."""

    def reset(self) -> None:
        """Forget the frame before: the stream jumps."""
        self._previous = None


class Branch:
    """Steps in a row, then either a link or several branches."""

    def __init__(self, steps: Sequence[Step], end: Link | Sequence[Branch]) -> None:
        self.steps = tuple(steps)
        self._calls = tuple(step.process for step in steps)
        self.branches: tuple[Branch, ...] = ()
        self.link: Link | None = None
        if isinstance(end, (list, tuple)):
            self.branches = tuple(end)
        else:
            self.link = end  # type: ignore[assignment]

    def push(self, frame: AudioFrame, out: Deliveries, start: int = 0) -> None:
        """Carry `frame` from step `start` to the end; append what reaches a link to `out`."""
        for index in range(start, len(self._calls)):
            made = self._calls[index](frame)
            if isinstance(made, AudioFrame):
                frame = made
            elif isinstance(made, list) and len(made) == 1:  # as converters do, frame by frame
                frame = made[0]
            else:
                for piece in made or ():
                    self.push(piece, out, index + 1)
                return
        if self.link is not None:
            out.append((self.link, frame))
        else:
            for branch in self.branches:
                branch.push(frame, out)

    def finish(self, out: Deliveries) -> None:
        """Carry each step's last frames through the steps after it."""
        for index, step in enumerate(self.steps):
            for piece in _each(step.finish()):
                self.push(piece, out, index + 1)
        for branch in self.branches:
            branch.finish(out)

    def links(self) -> Iterator[Link]:
        """Yield the links this branch leads to."""
        if self.link is not None:
            yield self.link
        for branch in self.branches:
            yield from branch.links()


class Outlet:
    """All that hangs on one task's output.

    Args:
        branches: Where it leads.
        clock: The pipeline's time, where the stream is live: frames say when they were queued.
    """

    def __init__(self, branches: Sequence[Branch], clock: Clock | None = None) -> None:
        self._branches = tuple(branches)
        self._clock = clock

    async def send(self, frame: AudioFrame) -> None:
        """Carry `frame` to every link below; waits where a full link says so."""
        out: Deliveries = []
        for branch in self._branches:
            branch.push(frame, out)
        await self._deliver(out)

    async def finish(self) -> None:
        """Send what the steps still hold, then close the links: the stream ended."""
        out: Deliveries = []
        for branch in self._branches:
            branch.finish(out)
        await self._deliver(out)
        for branch in self._branches:
            for link in branch.links():
                link.close()

    async def _deliver(self, out: Deliveries) -> None:
        now = self._clock.now() if self._clock is not None else None
        for link, frame in out:
            if now is not None:
                audio.meta(frame).queued_at = now
            if not link.offer(frame):
                await link.put(frame)


def _each(made: Processed) -> Iterable[AudioFrame]:
    if made is None:
        return ()
    return (made,) if isinstance(made, AudioFrame) else made
