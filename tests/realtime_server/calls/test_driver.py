"""A session's driver alone: what it tells the log, and what a client hears of its troubles."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from realtime_server.bench import session
from realtime_server.fake_brain import ANSWER, FakeBrain
from rtpipe_realtime_server.calls.driver import Driver
from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


class Line:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.ended = asyncio.Event()
        self.transcribed = asyncio.Event()

    def send(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        if event["type"] == TRANSCRIBED:
            self.transcribed.set()

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


class Listener(FakeBrain):
    """Takes its time, or fails where nobody has asked yet."""

    def __init__(self, *, deaf_first: bool = False) -> None:
        super().__init__()
        self.deaf_first = deaf_first

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        self.received.append(pcm)
        await asyncio.sleep(0)
        if self.deaf_first and len(self.received) == 1:
            raise RuntimeError("not yet")
        return f"{len(pcm)} samples"


def say(call: Driver, pieces: str) -> None:
    """Speak for each `x` and be silent for each `.`, 32 ms each."""
    for piece in pieces:
        pcm = np.full(512, 20_000 if piece == "x" else 0, np.int16)
        call.run(lambda pcm=pcm: call.protocol.hear(pcm))


def heard(line: Line) -> list[str]:
    return [event["transcript"] for event in line.events if event["type"] == TRANSCRIBED]


@pytest.fixture
async def listening(monkeypatch: pytest.MonkeyPatch) -> tuple[Driver, Line, Listener]:
    """Give a call in which whatever is loud is speech."""
    monkeypatch.setattr(
        "rtpipe_realtime_server.calls.driver.SpeechDetector",
        lambda: lambda hop, _threshold: bool(np.abs(hop).max() > 1000),
    )
    brain, line = Listener(), Line()
    call = driver([], brain)
    transcription = {"type": "realtime", "audio": {"input": {"transcription": {"model": "m"}}}}
    call.attach(line)
    call.run(lambda: call.protocol.receive(
        json.dumps({"type": "session.update", "session": transcription})
    ))  # fmt: skip
    return call, line, brain


async def test_words_that_were_foreseen_are_not_looked_for_again(
    listening: tuple[Driver, Line, Listener],
) -> None:
    call, line, brain = listening
    say(call, "x" * 20 + "." * 6)
    await asyncio.sleep(0)
    say(call, "." * 20)
    await line.transcribed.wait()
    assert len(brain.received) == 1
    assert heard(line) == [f"{26 * 512} samples"]
    await call.close()


async def test_what_was_foreseen_in_vain_is_dropped(
    listening: tuple[Driver, Line, Listener],
) -> None:
    call, line, brain = listening
    for pieces in ("x" * 20 + "." * 6, "x" * 10 + "." * 6, "." * 20):
        say(call, pieces)
        await asyncio.sleep(0)
    await line.transcribed.wait()
    assert [len(pcm) for pcm in brain.received] == [26 * 512, 42 * 512]
    assert heard(line) == [f"{42 * 512} samples"]
    await call.close()


async def test_a_failure_that_was_foreseen_fails_the_transcription_alone(
    listening: tuple[Driver, Line, Listener],
) -> None:
    call, line, brain = listening
    brain.deaf_first = True
    say(call, "x" * 20 + "." * 26)
    for _ in range(20):
        await asyncio.sleep(0)
    assert any(event["type"].endswith("transcription.failed") for event in line.events)
    say(call, "x" * 20 + "." * 26)
    await line.transcribed.wait()
    await call.close()
