"""The bus: everything arrives, in the order it was said, and nobody waits for anybody."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtpipe import Bus, Event, Mailbox, Pattern
from rtpipe.events import BusHandlerFailed
from rtpipe.testing import run_virtual


def event(name: str, source: str = "") -> Event:
    return Event(type=name, source=source)


def test_a_handler_has_heard_when_publish_returns() -> None:
    heard: list[Event] = []
    bus = Bus()
    bus.subscribe("vad.*", heard.append)
    bus.publish(said := event("vad.speech_started"))
    bus.publish(event("mute_gate.opened"))
    assert heard == [said]


def test_an_event_published_by_a_handler_comes_after_the_one_being_delivered() -> None:
    bus = Bus()
    orders: tuple[list[str], list[str]] = ([], [])

    def answer(heard: Event) -> None:
        if heard.type == "question":
            bus.publish(event("answer"))

    bus.subscribe("*", lambda heard: orders[0].append(heard.type))
    bus.subscribe("*", answer)
    bus.subscribe("*", lambda heard: orders[1].append(heard.type))
    bus.publish(event("question"))
    assert orders == (["question", "answer"], ["question", "answer"])


@given(
    sayings=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=30),
    answers=st.dictionaries(st.sampled_from("ab"), st.lists(st.sampled_from("xy"), max_size=3)),
)
def test_every_handler_hears_everything_in_the_same_order(
    sayings: list[tuple[str, int]], answers: dict[str, list[str]]
) -> None:
    bus = Bus()
    heard: list[list[str]] = [[], [], []]

    def first(said: Event) -> None:
        heard[0].append(said.type + said.source)
        for name in answers.get(said.type, ()):
            bus.publish(event(name, said.source))

    bus.subscribe("*", first)
    bus.subscribe(["*"], lambda said: heard[1].append(said.type + said.source))
    bus.subscribe(("a", "b", "x", "y"), lambda said: heard[2].append(said.type + said.source))
    expected: list[str] = []
    for name, number in sayings:
        bus.publish(event(name, str(number)))
        expected += [name + str(number), *(a + str(number) for a in answers.get(name, ()))]
    assert heard == [expected] * 3


def test_a_subscription_ends_also_from_within_its_handler() -> None:
    bus = Bus()
    heard: list[str] = []
    ends: list[Callable[[], None]] = []

    def once(said: Event) -> None:
        heard.append(said.type)
        ends[0]()
        ends[0]()  # twice is harmless

    others: list[str] = []
    ends.append(bus.subscribe("*", once))
    bus.subscribe("*", lambda said: others.append(said.type))
    bus.publish(event("one"))
    bus.publish(event("two"))
    assert heard == ["one"]
    assert others == ["one", "two"]


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt()]
)
def test_a_handler_that_raises_is_told_once_and_the_others_get_every_event(
    error: BaseException,
) -> None:
    bus = Bus()
    heard: list[str] = []
    told: list[BusHandlerFailed] = []

    def fail(_: Event) -> None:
        raise error

    def keep(said: Event) -> None:
        assert isinstance(said, BusHandlerFailed)
        told.append(said)

    bus.subscribe(["one", "two"], fail)
    end = bus.subscribe("*", fail)
    bus.subscribe(["o*", "t*"], lambda said: heard.append(said.type))
    bus.subscribe("bus.*", keep)
    bus.publish(event("one"))
    bus.publish(event("two"))
    end()
    bus.publish(event("three"))
    assert heard == ["one", "two", "three"]
    assert [said.heard for said in told] == ["one", "one"]  # each handler once, its own event not
    assert "fail" in told[0].handler
    assert "test_bus.py:" in told[0].handler
    assert type(error).__name__ in told[0].error
    assert bus.failures == 2 + 2 + 2  # `*` failed on both reports as well


@pytest.mark.parametrize(
    ("globs", "matching", "other"),
    [
        ("*", "a.b.c", None),
        ("response.*", "response.done", "response"),
        (["a.*", "*.z"], "q.z", "b.c"),
        ("vad.speech_started", "vad.speech_started", "vad.speech_stopped"),
        ("Vad.*", "Vad.x", "vad.x"),
    ],
)
def test_patterns(globs: str | list[str], matching: str, other: str | None) -> None:
    pattern = Pattern(globs)
    for _ in range(2):  # the second answer comes from memory
        assert pattern.matches(matching)
        assert other is None or not pattern.matches(other)


def test_a_pattern_does_not_remember_without_end() -> None:
    pattern = Pattern("x.*")
    for number in range(5000):
        assert pattern.matches(f"x.{number}")
    assert len(pattern._known) <= 1024


# --- mailboxes


def test_a_mailbox_gives_events_in_order_and_then_the_end() -> None:
    async def main() -> None:
        mailbox = Mailbox()
        for name in "abc":
            mailbox.deliver(event(name))
        mailbox.close()
        mailbox.close()
        mailbox.deliver(event("late"))
        got = [await mailbox.next() for _ in range(5)]
        assert [said.type if said else None for said in got] == ["a", "b", "c", None, None]

    run_virtual(main())


@given(limit=st.integers(1, 10), count=st.integers(0, 30))
def test_a_full_mailbox_loses_the_oldest_and_counts_them(limit: int, count: int) -> None:
    async def main() -> None:
        mailbox = Mailbox(limit)
        for number in range(count):
            mailbox.deliver(event(str(number)))
        mailbox.close()
        got: list[str] = []
        while (said := await mailbox.next()) is not None:
            got.append(said.type)
        assert got == [str(number) for number in range(max(0, count - limit), count)]
        assert mailbox.lost == max(0, count - limit)

    run_virtual(main())
