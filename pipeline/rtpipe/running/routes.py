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
    from collections.abc import Callable, Iterable

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
) -> None:
    """Make `route` a handler on `bus`.

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

    bus.subscribe(route.match, handle)


class Subscribers:
    """The subscribers of a pipeline, each in a task of its own behind its own mailbox."""

    def __init__(self) -> None:
        self._mailboxes: list[tuple[Slot, Mailbox]] = []
        self._attending: dict[Slot, asyncio.Task[None]] = {}

    def add(self, slot: Slot) -> Mailbox:
        """Add the subscriber in `slot`; returns the mailbox that its events go into."""
        mailbox = Mailbox()
        self._mailboxes.append((slot, mailbox))
        return mailbox

    async def open(self) -> None:
        """Open them, and hand them their events from now on.

        Raises:
            StageError: One could not be opened.
        """
        for slot, mailbox in self._mailboxes:
            await slot.open()
            self._attending[slot] = asyncio.create_task(_attend(slot, mailbox), name=slot.spec.id)

    async def close(self) -> None:
        """Let them take the last events, at most `SUBSCRIBERS_S` long, and close them."""
        for slot, mailbox in self._mailboxes:
            if mailbox.lost:
                slot.ctx.publish(SubscriberOverflowed(lost=mailbox.lost))
        for _, mailbox in self._mailboxes:
            mailbox.close()
        if self._attending:
            await asyncio.wait(self._attending.values(), timeout=SUBSCRIBERS_S)
            for slot, task in self._attending.items():
                if not task.done():
                    why = f"was not done with the last events, at {place_of_task(task)}"
                    slot.report(StageError(why))
            await cancel(self._attending.values())
        for slot, _ in self._mailboxes:
            await slot.close_instance()


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


def connect_all(
    bus: Bus,
    routes: Iterable[RouteSpec],
    slot: Callable[[StageSpec], Slot],
    perform: Callable[..., object],
    report: Callable[[Event], None],
) -> tuple[Subscribers, Subscribers]:
    """Make every route a handler on `bus`; see `connect`.

    Args:
        bus: Where the events come by.
        routes: The pipeline's.
        slot: Makes the place of a subscriber.
        perform: Carries out one action.
        report: Publishes what went wrong.

    Returns:
        The subscribers, and those that hear nothing: to be opened last and closed first.
    """
    hearing, publishing = Subscribers(), Subscribers()
    for route in routes:
        at = None if route.subscriber is None else slot(route.subscriber)
        mailbox = None if at is None else (hearing if route.hears else publishing).add(at)
        if route.hears:
            connect(bus, route, perform, mailbox, report)
    return hearing, publishing


def _look_up(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value
