"""Chains: how a frame gets from one task to the next, through the stages that run inline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from rtpipe import audio
from rtpipe.audio import AudioFrame
from rtpipe.convert import Converter
from rtpipe.link import Link
from rtpipe.running.drops import DropReporter, downmix_reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rtpipe.clock import Clock
    from rtpipe.events import Event
    from rtpipe.running.plan import Edge, Plan
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

    def links(self) -> Iterator[Link]:
        """Yield the links this branch leads to."""
        if self.link is not None:
            yield self.link
        for branch in self.branches:
            yield from branch.links()


class Outlet:
    """All that hangs on one task's output.

    Attributes:
        branches: Where it leads, from the next frame on.
    """

    __slots__ = ("branches",)

    def __init__(self) -> None:
        self.branches: Sequence[Branch] = ()

    def offer(self, frame: AudioFrame) -> Deliveries:
        """Carry `frame` to every link below; returns what found no room: then await `deliver`."""
        out: Deliveries = []
        for branch in self.branches:
            branch.push(frame, out)
        return _offered(out)

    async def send(self, frame: AudioFrame) -> None:
        """Carry `frame` to every link below; waits where a full link says so."""
        if late := self.offer(frame):
            await deliver(late)

    async def finish(self) -> None:
        """Send what the steps still hold, then close the links: the stream ended."""
        out: Deliveries = []
        for branch in self.branches:
            branch.finish(out)
        await deliver(_offered(out))
        for branch in self.branches:
            for link in branch.links():
                link.close()


async def deliver(late: Deliveries) -> None:
    """Bring what found no room where it belongs, waiting for room."""
    waiting = iter(late)
    try:
        for link, frame in waiting:
            await link.put(frame)
    except BaseException:  # cancelled, or full where that is a failure
        _refuse(waiting)
        raise


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


class Wiring:
    """The links of a running pipeline, and what stands on the way to them.

    Args:
        ids: Of the stages.
        inline: The stages without a task of their own, as steps, by id.
        clock: The pipeline's time.
        publish: Told what the links drop.
        check: Assert the rules of frames on every edge.
    """

    def __init__(
        self,
        ids: Iterable[str],
        inline: Mapping[str, Step],
        clock: Clock,
        publish: Callable[[Event], None],
        *,
        check: bool,
    ) -> None:
        self._inline = inline
        self._clock = clock
        self._publish = publish
        self._check = check
        self._links: dict[str, dict[int, Link]] = {}
        self._converters: dict[Edge, Converter] = {}
        self._losses: list[DropReporter] = []
        self.outlets = {id: Outlet() for id in ids if id not in inline}
        """By id of the stage whose output it carries."""

    def follow(self, plan: Plan) -> None:
        """Connect the stages as `plan` says; links, and what is queued in them, stay."""
        for id, outlet in self.outlets.items():
            outlet.branches = self._branches(plan, id)

    def inlets(self, id: str) -> list[Link]:
        """Return the links that stage `id` reads, in the order of its inputs."""
        return [link for _, link in sorted(self._links.get(id, {}).items())]

    def flush(self, id: str) -> float:
        """Drop what waits for stage `id`; returns the milliseconds dropped."""
        for edge, converter in self._converters.items():
            if edge.reader == id:
                converter.reset()
        return sum(link.flush() for link in self.inlets(id))

    def tell_losses(self) -> None:
        """Tell of what the links have dropped and was not told yet: they carry no more."""
        for losses in self._losses:
            losses.tell()

    def _branches(self, plan: Plan, feeder: str) -> list[Branch]:
        branches = []
        for edge in plan.edges[feeder]:
            steps: list[Step] = [PlainStep(Checker())] if self._check else []
            if edge.dates_read:
                steps.append(PlainStep(Dater(self._clock, "read_at")))
            if edge.own_copy:
                steps.append(PlainStep(Copier()))
            if edge.converts:
                steps.append(PlainStep(Fitter(self._converter(edge))))
            if edge.reader in self._inline:
                steps.append(self._inline[edge.reader])
                branches.append(Branch(steps, self._branches(plan, edge.reader)))
            else:
                if edge.dates_queued:
                    steps.append(PlainStep(Dater(self._clock, "queued_at")))
                branches.append(Branch(steps, self._link(edge)))
        return branches

    def _converter(self, edge: Edge) -> Converter:
        """Return the converter on an edge; a new one where the reader takes another format now."""
        conversion = replace(
            edge, policy=None, own_copy=False, dates_read=False, dates_queued=False
        )
        if conversion not in self._converters:
            self.flush(edge.reader)  # what waits there has the format that was taken before
            self._converters[conversion] = Converter(
                edge.target or audio.ANY,
                frame_ms=edge.exact_ms,
                locked=edge.locked,
                on_downmix=downmix_reporter(edge.reader, self._clock, self._publish),
            )
        return self._converters[conversion]

    def _link(self, edge: Edge) -> Link:
        """Return the link on an edge, which goes by the edge's policy from now on."""
        assert edge.policy is not None
        links = self._links.setdefault(edge.reader, {})
        if edge.inlet not in links:
            losses = DropReporter(edge.reader, self._clock, self._publish)
            self._losses.append(losses)
            links[edge.inlet] = Link(f"{edge.feeder} -> {edge.reader}", edge.policy, on_drop=losses)
        links[edge.inlet].adopt(edge.policy)
        return links[edge.inlet]


def _each(made: Processed) -> Sequence[AudioFrame]:
    if made is None:
        return ()
    return (made,) if isinstance(made, AudioFrame) else list(made)
