"""Chains: how a frame gets from one task to the next, through the stages that run inline."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from rtpipe import audio
from rtpipe.audio import AudioFrame
from rtpipe.link import Link, WhenFull

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from rtpipe.clock import Clock
    from rtpipe.convert import Converter
    from rtpipe.running.timeline import Timeline
    from rtpipe.stage import Processed

    Deliveries: TypeAlias = list[tuple[Link, AudioFrame]]


class Processor(Protocol):
    """What is asked at a step: an inline stage, a converter, a copier, a check."""

    def process(self, frame: AudioFrame) -> Processed:
        """Return what comes out for `frame`."""


class Copier:
    """Gives the step after it a frame of its own, where others hold the same one."""

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return a copy of `frame`."""
        return audio.copy(frame)

    def finish(self) -> None:
        """Hold nothing, so return nothing."""


class Fitter:
    """Asks a converter, which most frames go past."""

    __slots__ = ("finish", "process")

    def __init__(self, converter: Converter) -> None:
        self.process = converter.fit
        self.finish = converter.finish


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


class Dater:
    """Notes in each frame's meta when it came by.

    Args:
        clock: The pipeline's time.
        field: The field of `rtpipe.audio.Meta`.
    """

    def __init__(self, clock: Clock, field: Literal["read_at", "queued_at"]) -> None:
        self._clock = clock
        self._field = field

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame`, dated."""
        setattr(audio.meta(frame), self._field, self._clock.now())
        return frame

    def finish(self) -> None:
        """Hold no frame back."""


class Step(Protocol):
    """One place on a chain.

    Attributes:
        processor: What is asked there. An inline stage's place has another one while the stage is
            not there to ask, or somebody listens to it.
        last: The newest frame that came out.
    """

    processor: Processor
    last: AudioFrame | None

    def made(self, made: Processed, frame: AudioFrame) -> Sequence[AudioFrame]:
        """Return the frames in what the processor made of `frame`, where that is not `frame`."""
        ...

    def finish(self) -> Sequence[AudioFrame]:
        """Return the last frames."""
        ...

    def failed(self, error: BaseException) -> None:
        """Deal with what the processor raised."""


class PlainStep:
    """The place of what the runtime itself puts on a chain; what it raises goes to the feeder."""

    __slots__ = ("_finish", "last", "processor")

    def __init__(self, processor: Checker | Copier | Dater | Fitter) -> None:
        self.processor: Processor = processor
        self._finish = processor.finish
        self.last: AudioFrame | None = None

    def made(self, made: Processed, frame: AudioFrame) -> Sequence[AudioFrame]:  # noqa: ARG002
        """Return the frames in what the processor made."""
        return _each(made)

    def finish(self) -> Sequence[AudioFrame]:
        """Return the last frames."""
        return _each(self._finish())

    def failed(self, error: BaseException) -> None:
        """Raise it on."""
        raise error


class Branch:
    """Steps in a row, then either a link or several branches."""

    __slots__ = ("branches", "link", "steps")

    def __init__(self, steps: Sequence[Step], end: Link | Sequence[Branch]) -> None:
        if not isinstance(end, Link) and len(end) == 1:  # no fork: one row with what follows
            steps, end = (*steps, *end[0].steps), end[0].link or end[0].branches
        self.steps: tuple[Step, ...] = tuple(steps)
        self.link: Link | None = end if isinstance(end, Link) else None
        self.branches: tuple[Branch, ...] = () if isinstance(end, Link) else tuple(end)

    def push(self, frame: AudioFrame, out: Deliveries, start: int = 0) -> None:
        """Carry `frame` from step `start` to the end; append what reaches a link to `out`."""
        step: Step
        pieces: Sequence[AudioFrame]
        for step in self.steps[start:] if start else self.steps:
            try:
                made = step.processor.process(frame)
                if made is frame:
                    step.last = frame
                    continue
                pieces = step.made(made, frame)
            except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
                step.failed(error)
                return
            if len(pieces) != 1:
                after = self.steps.index(step) + 1
                for piece in pieces:
                    self.push(piece, out, after)
                return
            frame = pieces[0]
        if self.link is not None:
            out.append((self.link, frame))
        else:
            for branch in self.branches:
                branch.push(frame, out)

    def finish(self, out: Deliveries) -> None:
        """Carry each step's last frames through the steps after it."""
        for after, step in enumerate(self.steps, 1):
            for piece in step.finish():
                self.push(piece, out, after)
        for branch in self.branches:
            branch.finish(out)

    def let_go(self, leaving: Container[Step], out: Deliveries) -> None:
        """Carry the last frames of the steps that are `leaving` through the steps after them."""
        for after, step in enumerate(self.steps, 1):
            if step in leaving:
                for piece in step.finish():
                    self.push(piece, out, after)
        for branch in self.branches:
            branch.let_go(leaving, out)

    def links(self) -> Iterator[Link]:
        """Yield the links this branch leads to."""
        if self.link is not None:
            yield self.link
        for branch in self.branches:
            yield from branch.links()


class Outlet:
    """Where a stage with a task gives out its frames.

    Attributes:
        branches: Where they go.
        closes: Whether the end of the stage's stream is the end of the links: not where another
            instance goes on with it.
        timeline: Of the stream that goes out here, whichever instance makes it.
    """

    __slots__ = ("_late", "branches", "closes", "timeline")

    def __init__(self) -> None:
        self.branches: Sequence[Branch] = ()
        self.closes = True
        self.timeline: Timeline | None = None
        self._late: list[deque[tuple[Link, AudioFrame]]] = []

    def offer(self, frame: AudioFrame) -> Deliveries:
        """Carry `frame` to every link below; returns what found no room: then await `deliver`."""
        out: Deliveries = []
        for branch in self.branches:
            branch.push(frame, out)
        return _offered(out)

    async def send(self, frame: AudioFrame) -> None:
        """Carry `frame` to every link below; waits where a full link says so."""
        if late := self.offer(frame):
            await self.deliver(late)

    async def deliver(self, late: Deliveries) -> None:
        """Bring what found no room where it belongs, waiting for room."""
        waiting = deque(late)
        self._late.append(waiting)
        try:
            while waiting:
                link, frame = waiting.popleft()
                if link.enqueue(frame):
                    link.hand_over()
                    continue
                waiting.appendleft((link, frame))
                await link.room()
        except BaseException:  # cancelled, or full where that is a failure
            _refuse(waiting)
            raise
        finally:
            self._late.remove(waiting)

    async def send_last(self, frame: AudioFrame) -> None:
        """Carry one of a stream's last frames to every link below; see `finish`."""
        out: Deliveries = []
        for branch in self.branches:
            branch.push(frame, out)
        await self._deliver_last(out)

    async def _deliver_last(self, out: Deliveries) -> None:
        """Deliver what a stream ends with: more at once than a live queue holds, and not too late.

        Nothing comes behind it that it could delay, so no link drops it.
        """
        for link, frame in out:
            if link.policy.when_full is not WhenFull.BLOCK:
                link.insist(frame)
        waits = [each for each in out if each[0].policy.when_full is WhenFull.BLOCK]
        await self.deliver(_offered(waits))

    def successor(self) -> Outlet:
        """Return the outlet of another instance, which goes on with this one's stream."""
        successor = Outlet()
        successor.branches, successor.timeline = self.branches, self.timeline
        return successor

    def leave(self) -> None:
        """Lead nowhere from now on: what the instance still gives out is lost."""
        self.branches, self.closes = (), False

    def settle(self) -> None:
        """Bring what waits for room where it belongs, whether there is room or not."""
        for waiting in self._late:
            while waiting:
                link, frame = waiting.popleft()
                link.insist(frame)

    async def finish(self) -> None:
        """Send what the steps still hold, then close the links: the stream ended."""
        if not self.closes:
            return
        out: Deliveries = []
        for branch in self.branches:
            branch.finish(out)
        await self._deliver_last(out)
        for branch in self.branches:
            for link in branch.links():
                link.close()


def _offered(out: Deliveries) -> Deliveries:
    """Enqueue everything, then let the readers have it: they may run at once, and act.

    Returns:
        What found no room, and what comes after it.
    """
    waiting = iter(out)
    try:
        for delivery in waiting:
            link, frame = delivery
            if not link.enqueue(frame):
                return [delivery, *waiting]
    except BaseException:  # full where that is a failure
        _refuse(waiting)
        raise
    finally:
        for link, _ in out:
            link.hand_over()
    return []


def _refuse(deliveries: Iterable[tuple[Link, AudioFrame]]) -> None:
    for link, frame in deliveries:
        link.refuse(frame)


def _each(made: Processed) -> Sequence[AudioFrame]:
    if made is None:
        return ()
    return (made,) if isinstance(made, AudioFrame) else list(made)
