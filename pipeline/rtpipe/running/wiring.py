"""The wiring: the links of a running pipeline, and what stands on the way to them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe.convert import Converter
from rtpipe.link import Link, LinkClosed
from rtpipe.running.chain import Branch, Checker, Copier, Dater, Fitter, Outlet, PlainStep
from rtpipe.running.drops import DropReporter, downmix_reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from rtpipe.clock import Clock
    from rtpipe.events import Event
    from rtpipe.running.chain import Deliveries, Step
    from rtpipe.running.plan import Edge, Plan


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
        self._fitters: dict[Edge, PlainStep] = {}
        self._losses: dict[Link, DropReporter] = {}
        self.outlets = {id: Outlet() for id in ids if id not in inline}
        """By id of the stage whose output it carries."""

    def follow(self, plan: Plan) -> None:
        """Connect the stages as `plan` says; links, and what is queued in them, stay."""
        for id, outlet in self.outlets.items():
            outlet.branches = self._branches(plan, id)

    def change(
        self,
        plan: Plan,
        inline: Mapping[str, Step],
        *,
        leaving: Collection[Step] = (),
        renewed: Collection[str] = (),
        given_s: Mapping[str, float] | None = None,
    ) -> dict[str, list[Link]]:
        """Connect the stages of another graph, between two frames: what is on its way arrives.

        What a step that leaves would say after the newest frame (the tail of an echo, the rest of a
        delay) is refused, and counted, where a stage stays: its place is that of the next frame.

        Args:
            plan: How they are connected from now on.
            inline: The stages without a task of their own, as steps, by id.
            leaving: Steps that stand there no longer: their last frames go out first.
            renewed: Ids of readers whose place another instance takes: it gets links of its own.
            given_s: Up to which media time (s) stages with a task have given out frames, by id.

        Returns:
            The links that are fed no more, by the id of their reader.
        """
        for outlet in self.outlets.values():
            outlet.settle()
        wanted = {_conversion(edge) for edges in plan.edges.values() for edge in edges}
        over = [key for key in self._fitters if key not in wanted or key.reader in renewed]
        steps = {*leaving, *(self._fitters.pop(key) for key in over)}
        tasks = {id: None for id in plan.graph.nodes if id not in inline}
        parted = [id for id in self._links if id not in tasks or id in renewed]
        links = {id: self.inlets(id) for id in parted}
        goes = {link for inlets in links.values() for link in inlets}
        for id, outlet in self.outlets.items():
            out: Deliveries = []
            for branch in outlet.branches:
                branch.let_go(steps, out)
            for link, frame in out:
                late_s = audio.end_s(frame) - (given_s or {}).get(id, 0.0)
                if link in goes or late_s <= 1 / frame.sample_rate:
                    link.insist(frame)
                else:
                    link.refuse(frame)
        for key in over:
            del self._converters[key]
        self._inline = inline
        for id in [id for id in self.outlets if id not in tasks]:
            self.outlets.pop(id).leave()
        for id in tasks:
            self.outlets.setdefault(id, Outlet())
        for id in parted:
            del self._links[id]
        self.follow(plan)
        return links

    def take_over(self, id: str) -> None:
        """Let another instance go on with the stream of stage `id`; nobody reads the old one."""
        outlet = self.outlets[id]
        self.outlets[id] = outlet.successor()
        outlet.leave()

    def pass_on(self, link: Link, plan: Plan, feeder: str, readers: Collection[str]) -> None:
        """Bring what waits in a link that nobody reads to those who read its feeder instead.

        What has no reader any more is dropped, and counted as flushed.
        """
        branches = [
            self._branch(plan, edge)
            for edge in plan.edges.get(feeder, ())
            if edge.reader in readers
        ]
        out: Deliveries = []
        with suppress(LinkClosed):
            while branches and (frame := link.get_nowait()) is not None:
                for branch in branches:
                    branch.push(frame, out)
        for reached, frame in out:
            reached.insist(frame)
        link.abandon()

    def retire(self, link: Link) -> None:
        """Tell of what a link has dropped: it carries no more."""
        self._losses.pop(link).tell()

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
        for losses in self._losses.values():
            losses.tell()

    def _branches(self, plan: Plan, feeder: str) -> list[Branch]:
        return [self._branch(plan, edge) for edge in plan.edges[feeder]]

    def _branch(self, plan: Plan, edge: Edge) -> Branch:
        steps: list[Step] = [PlainStep(Checker())] if self._check else []
        if edge.dates_read:
            steps.append(PlainStep(Dater(self._clock, "read_at")))
        if edge.own_copy:
            steps.append(PlainStep(Copier()))
        if edge.converts:
            steps.append(self._fitter(edge))
        if edge.reader in self._inline:
            steps.append(self._inline[edge.reader])
            return Branch(steps, self._branches(plan, edge.reader))
        if edge.dates_queued:
            steps.append(PlainStep(Dater(self._clock, "queued_at")))
        return Branch(steps, self._link(edge))

    def _fitter(self, edge: Edge) -> PlainStep:
        """Return the step of a conversion; a new one where the reader takes another format now."""
        key = _conversion(edge)
        if key not in self._fitters:
            self.flush(edge.reader)  # what waits there has the format that was taken before
            self._converters[key] = Converter(
                edge.target or audio.ANY,
                frame_ms=edge.exact_ms,
                locked=edge.locked,
                on_downmix=downmix_reporter(edge.reader, self._clock, self._publish),
            )
            self._fitters[key] = PlainStep(Fitter(self._converters[key]))
        return self._fitters[key]

    def _link(self, edge: Edge) -> Link:
        """Return the link on an edge, which goes by the edge's policy from now on."""
        assert edge.policy is not None
        links = self._links.setdefault(edge.reader, {})
        name = f"{edge.feeder} -> {edge.reader}"
        if edge.inlet not in links:
            losses = DropReporter(edge.reader, self._clock, self._publish)
            link = links[edge.inlet] = Link(name, edge.policy, on_drop=losses)
            self._losses[link] = losses
        links[edge.inlet].name = name
        links[edge.inlet].adopt(edge.policy)
        return links[edge.inlet]


def _conversion(edge: Edge) -> Edge:
    """Return what names the conversion on an edge: whoever feeds it, it goes on."""
    return replace(
        edge, feeder="", policy=None, own_copy=False, dates_read=False, dates_queued=False
    )
