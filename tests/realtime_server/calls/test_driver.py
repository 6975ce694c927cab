"""A session's driver alone: what it tells the log, and what a client hears of its troubles."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from realtime_server.bench import session
from realtime_server.fake_brain import ANSWER, FakeBrain
from rtpipe_realtime_server.calls.driver import Driver
from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Question


class Line:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.ended = asyncio.Event()

    def send(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def send_raw(self, message: str | bytes) -> None: ...

    def hang_up(self, reason: str, code: int = 1001) -> None:
        self.ended.set()


class Clerk(FakeBrain):
    async def reply(self, question: Question) -> BrainAnswer:
        return BrainAnswer(ANSWER, (FunctionCall("open_door"),))


def driver(notes: list[str], brain: FakeBrain, *, lifetime_s: float = 60.0) -> Driver:
    return Driver(
        "call 1",
        session(),
        brain,
        media=True,
        lifetime_s=lifetime_s,
        limits=Limits(),
        faults=Injector(Faults(), 0).for_call(),
        on_note=notes.append,
    )


def ask(driver: Driver, words: str = "") -> None:
    content = [{"type": "input_text", "text": words}] if words else []
    item = {"type": "message", "role": "user", "content": content}
    for event in ({"type": "conversation.item.create", "item": item}, {"type": "response.create"}):
        driver.run(lambda event=event: driver.protocol.receive(json.dumps(event)))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Open!", ["call 1 heard: Open!", f"call 1 says: {ANSWER}", "call 1 calls: open_door"]),
        ("", [f"call 1 says: {ANSWER}", "call 1 calls: open_door"]),
    ],
)
async def test_the_log_tells_what_is_said_and_called(words: str, told: list[str]) -> None:
    notes: list[str] = []
    call = driver(notes, Clerk())
    ask(call, words)
    await asyncio.gather(*call._thoughts)
    assert notes == told
    await call.close()


async def test_a_fault_of_ours_is_an_error_and_the_session_goes_on() -> None:
    line = Line()
    call = driver([], FakeBrain())
    call.attach(line)
    call.run(lambda: 1 / 0)
    assert line.events[-1]["error"]["type"] == "server_error"
    ask(call)
    assert line.events[-1]["type"] == "response.created"
    await call.close()


async def test_it_is_busy_while_it_answers() -> None:
    call = driver([], FakeBrain(seconds=0.1))
    assert not call.busy.is_set()
    ask(call)
    assert call.busy.is_set()
    await asyncio.gather(*call._thoughts)
    await asyncio.gather(*call._thoughts)  # the words, then their sound
    for _ in range(50):
        call.run(call.protocol.tick)
    assert not call.busy.is_set()
    await call.close()


async def test_who_comes_too_late_is_sent_away() -> None:
    line = Line()
    call = driver([], FakeBrain())
    await call.close()
    call.attach(line)
    assert line.ended.is_set()


class Thinker(FakeBrain):
    async def reply(self, question: Question) -> BrainAnswer:
        return await asyncio.Future()


async def test_the_brain_is_not_kept_at_what_was_cancelled() -> None:
    call = driver([], Thinker())
    ask(call)
    (thought,) = call._thoughts
    await asyncio.sleep(0)
    call.run(lambda: call.protocol.receive('{"type": "response.cancel"}'))
    await asyncio.wait([thought], timeout=10)
    assert thought.cancelled()
    await call.close()
