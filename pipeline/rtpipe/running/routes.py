"""Routes: the lines of `events:` in the file, as handlers on the bus, and who subscribes to it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from rtpipe.bus import Mailbox
from rtpipe.errors import StageError
from rtpipe.events import RouteFailed, StageFailed, SubscriberOverflowed
from rtpipe.running.bounded import cancel
from rtpipe.running.faults import asked_to_end, contained, place_of_task
from rtpipe.stage import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rtpipe.bus import Bus
    from rtpipe.events import Event
    from rtpipe.language.spec import RouteSpec, StageSpec
    from rtpipe.running.supervisor import Slot

MOST_STALLS = 3
STALLS_WITHIN_S = 30.0
"""A subscriber that holds the event loop so often within so long is cut off: audio comes first."""
_ITS_FAULTS = {"stage.failed", "stage.stalled"}
"""A subscriber is not told of its own, which it would answer with another."""
SUBSCRIBERS_S = 2.0
"""How long subscribers may take over the last events."""


class Condition:
    """The `where:` and `from:` of a route."""

    def __init__(self, route: RouteSpec) -> None:
        self._source = route.source
        self._where = {tuple(path.split(".")): value for path, value in route.where.items()}

    def holds(self, event: Event) -> bool:
        """Return whether `event` is one of those meant."""
        if self._source is not None and event.source != self._source:
            return False
        if not self._where:
            return True
        said = event.as_dict()
        return all(_look_up(said, path) == value for path, value in self._where.items())


def connect(
    bus: Bus,
    route: RouteSpec,
    perform: Callable[..., object],
    mailbox: Mailbox | None,
    report: Callable[[Event], None],
) -> Callable[[], None]:
    """Make `route` a handler on `bus`; returns what ends that.

    Args:
        bus: Where the events come by.
        route: What to hear and what to do.
        perform: Carries out one action: called with stage, name and arguments.
        mailbox: The route's subscriber's, if it has one.
        report: Publishes what went wrong.
    """
    condition = Condition(route)
    subscriber = route.subscriber.id if route.subscriber else None

    stalls: deque[float] = deque(maxlen=MOST_STALLS)

    def stalled(mailbox: Mailbox, at: float) -> None:
        stalls.append(at)
        if len(stalls) == MOST_STALLS and at - stalls[0] <= STALLS_WITHIN_S:
            stalls.clear()
            mailbox.abandon()
            why = f"held the event loop {MOST_STALLS} times: it gets no more events"
            report(StageFailed(source=f"{subscriber}", error=why, policy="drop"))

    def handle(event: Event) -> None:
        if not condition.holds(event):
            return
        if mailbox is not None and event.source == subscriber and event.type in _ITS_FAULTS:
            if event.type == "stage.stalled":
                stalled(mailbox, event.at)
        elif mailbox is not None:
            mailbox.deliver(event)
        for call in route.actions:
            try:
                perform(call.stage, call.name, *call.args, **call.kwargs)
            except BaseException as error:  # noqa: BLE001 - an action is a plugin's code; the bus goes on
                report(RouteFailed(action=f"{call.stage}.{call.name}", error=f"{error}"))

    return bus.subscribe(route.match, handle)


class Subscription:
    """A subscriber, in a task of its own behind its own mailbox."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.mailbox = Mailbox()
        self._attending: asyncio.Task[None] | None = None

    async def open(self, *, before: StageSpec | None = None) -> None:
        """Open the subscriber, and hand it its events from now on; for `before` see `Slot.open`.

        Raises:
            StageError: It could not be opened.
        """
        await self.slot.open(before=before)
        attending = _attend(self.slot, self.mailbox)
        self._attending = asyncio.create_task(attending, name=self.slot.spec.id)

    async def close(self) -> None:
        """Let it take the last events, at most `SUBSCRIBERS_S` long, and close it."""
        slot, task = self.slot, self._attending
        if self.mailbox.lost:
            slot.ctx.publish(SubscriberOverflowed(lost=self.mailbox.lost))
        self.mailbox.close()
        if task is not None:
            await asyncio.wait([task], timeout=SUBSCRIBERS_S)
            if not task.done():
                why = f"was not done with the last events, at {place_of_task(task)}"
                slot.report(StageError(why))
            await cancel([task])
        await slot.close_instance()


class Routes:
    """The routes of a pipeline, with their subscribers.

    Args:
        bus: Where the events come by.
        perform: Carries out one action: called with stage, name and arguments.
        report: Publishes what went wrong.
    """

    def __init__(
        self, bus: Bus, perform: Callable[..., object], report: Callable[[Event], None]
    ) -> None:
        self._bus = bus
        self._perform = perform
        self._report = report
        self._connected: list[tuple[RouteSpec, Subscription | None, Callable[[], None]]] = []

    @property
    def slots(self) -> dict[str, Slot]:
        """The places of the subscribers, by id."""
        return {each.slot.spec.id: each.slot for _, each, _ in self._connected if each is not None}

    def add(self, route: RouteSpec, subscription: Subscription | None) -> None:
        """Connect a route, and what it hands its events to."""
        mailbox = None if subscription is None else subscription.mailbox
        end: Callable[[], None] = _nothing
        if route.hears:
            end = connect(self._bus, route, self._perform, mailbox, self._report)
        self._connected.append((route, subscription, end))

    def follow(
        self,
        routes: Iterable[RouteSpec],
        opened: Mapping[str, Subscription],
        mask: Callable[[str], str],
    ) -> list[Subscription]:
        """Be the routes of another file from now on; returns the subscriptions that are over.

        Args:
            routes: The file's.
            opened: Subscribers that come anew, or in the place of another, by id.
            mask: Takes known secrets out of a text.
        """
        before, self._connected = self._connected, []
        running = {each.slot.spec.id: each for _, each, _ in before if each is not None}
        stay = {**running, **opened}
        for _, _, end in before:
            end()
        for route in routes:
            spec = route.subscriber
            subscription = None if spec is None else stay[spec.id]
            if spec is not None and subscription is not None:
                subscription.slot.become(spec, mask)
            self.add(route, subscription)
        kept = {id(each) for _, each, _ in self._connected}
        return [each for each in running.values() if id(each) not in kept]

    async def open(self, *, hearing: bool) -> None:
        """Open the subscribers that hear, or those that only publish: these after every stage.

        Raises:
            StageError: One could not be opened.
        """
        for subscription in self._subscriptions(hearing=hearing):
            await subscription.open()

    async def close(self, *, hearing: bool) -> None:
        """Let the subscribers take the last events, and close them; those that hear come last."""
        await asyncio.gather(*(each.close() for each in self._subscriptions(hearing=hearing)))

    def _subscriptions(self, *, hearing: bool) -> list[Subscription]:
        found = ((route, each) for route, each, _ in self._connected if each is not None)
        return [each for route, each in found if route.hears is hearing]


def _nothing() -> None:
    """End what was never begun."""


async def _attend(slot: Slot, mailbox: Mailbox) -> None:
    """Hand the mailbox's events to its subscriber, until it is closed and empty.

    An event that the subscriber fails on is lost to it and reported; a call never ends because a
    subscriber could not keep up or raised.
    """
    while (event := await mailbox.next()) is not None:
        subscriber = slot.stage
        assert isinstance(subscriber, Subscriber)
        try:
            if subscriber.hears:
                await subscriber.on_event(event)
        except BaseException as error:
            if asked_to_end(error):
                raise
            slot.report(contained(error))
        await asyncio.sleep(0)  # one that never waits must not hold the loop


def _look_up(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value
