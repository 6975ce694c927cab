"""How a conversation outlives its calls: in virtual time, over a transport that is a script."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rtpipe import (
    Bus,
    Clock,
    EnvironmentProblem,
    Event,
    ExitCode,
    Link,
    LinkClosed,
    NotConnected,
    QueuePolicy,
    StageContext,
    StageError,
    WhenFull,
    audio,
)
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions
from rtpipe_plugins.peers.realtime.call.factory import CallFactory
from rtpipe_plugins.peers.realtime.errors import BudgetSpent, CallRefused, CallUnavailable
from rtpipe_plugins.peers.realtime.transports.transport import Placed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

NOON = 1_800_000_000.0  # by the server's clock


class Incoming:
    """Nothing, unless `speak` is called; counts from `begin` as a call does."""

    def __init__(self) -> None:
        self.received = Link("far end", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))
        self.audible_at = 0.0
        self.kept_s = 0.0
        self._next = 0

    def begin(self) -> None:
        self._next = 0

    def reset(self) -> None:
        self.received.flush()

    def speak(self) -> None:
        pcm = np.full(960, len(self.received.name), np.int16)
        self.received.offer(audio.from_pcm(pcm, sample_rate=48_000, pts=self._next))
        self._next += 960


class Outgoing:
    """Takes whatever waits whenever it is asked whether it has ended."""

    def __init__(self) -> None:
        self.audible_at = -10.0
        self.taken = 0
        self.stopped = False
        self._inlet: Link | None = None

    def attach(self, inlet: Link) -> None:
        self._inlet = inlet

    def stop(self) -> None:
        self.stopped = True

    @property
    def inlet_ended(self) -> bool:
        try:
            while self._inlet is not None and self._inlet.get_nowait() is not None:
                assert not self.stopped
                self.taken += 1
        except LinkClosed:
            return True
        return False


class ScriptedTransport:
    """One call with a far end that is the test."""

    step = "a step"

    def __init__(self, far_end: FarEnd, on_message: Callable[[str | bytes], None]) -> None:
        self.lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.incoming = Incoming()
        self.outgoing = Outgoing()
        self.too_large: StageError | None = None
        self.sent: list[dict[str, Any]] = []
        self.hung_up = False
        self.closed = False
        self._far_end = far_end
        self._on_message = on_message

    async def connect(self) -> Placed:
        self._far_end.attempts_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.2)
        if self._far_end.refusals:
            raise self._far_end.refusals.pop(0)
        self._far_end.add(self)
        now = NOON + asyncio.get_running_loop().time()
        session: dict[str, Any] = {"type": "realtime"}
        if self._far_end.session_s is not None:
            session["expires_at"] = now + self._far_end.session_s
        self.say("session.created", session=session)
        return Placed(f"rtc_{len(self._far_end.calls)}", now)

    def say(self, type: str, **fields: Any) -> None:
        self._on_message(json.dumps({"type": type, **fields}))

    def transmit(self, text: str) -> None:
        if self.closed:
            raise NotConnected("closed")
        if self.too_large is not None:
            raise self.too_large
        self.sent.append(json.loads(text))

    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]

    def lose(self, why: BaseException) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    async def hang_up(self) -> None:
        self.hung_up = not self.lost.done()

    async def close(self) -> None:
        self.closed = True
        self.incoming.received.close()


class FarEnd:
    """The server: what it answers to calls, and those that stand."""

    def __init__(self) -> None:
        self.refusals: list[BaseException] = []
        self.session_s: float | None = None
        self.calls: list[ScriptedTransport] = []
        self.attempts_at: list[float] = []
        self._news = asyncio.Event()

    @property
    def call(self) -> ScriptedTransport:
        return self.calls[-1]

    async def called(self, count: int) -> ScriptedTransport:
        async with asyncio.timeout(20_000):
            while len(self.calls) < count:
                self._news.clear()
                await self._news.wait()
        await asyncio.sleep(0.01)  # for what the stage does with it
        return self.calls[count - 1]

    def add(self, call: ScriptedTransport) -> None:
        self.calls.append(call)
        self._news.set()


class Life:
    """A stage, its far end, and what both say."""

    def __init__(self, far_end: FarEnd, *, live: bool = True, **options: Any) -> None:
        bus = Bus()
        self.far_end = far_end
        self.events: list[Event] = []
        bus.subscribe("*", self.events.append)
        self.ctx = StageContext("realtime", Clock(), bus.publish, bus.subscribe)
        self.ctx.live = live
        self.inlet = Link("mic -> realtime", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))
        settings = {"api_key": "sk-test-123456", "base_url": "http://127.0.0.1:9/v1", **options}
        self.stage = Realtime(RealtimeOptions(**settings), self.ctx)
        self.frames: list[Any] = []
        self.talking: asyncio.Task[None] | None = None

    async def begin(self) -> ScriptedTransport:
        await self.stage.open()
        await self.begin_talking()
        return self.far_end.call

    async def begin_talking(self) -> None:
        self.talking = asyncio.create_task(self.stage.converse(self.inlet, self._send))
        await asyncio.sleep(0.05)

    async def end(self) -> None:
        assert self.talking is not None
        try:
            async with asyncio.timeout(10_000):
                await self.talking
        finally:
            await self.stage.close()

    async def stop(self) -> None:
        self.ctx.stopping = True
        await self.end()

    def of(self, type: str) -> list[dict[str, Any]]:
        return [dict(event.payload()) for event in self.events if event.type == type]

    def life(self) -> list[str]:
        return [event.type for event in self.events if event.type.startswith("realtime.")]

    async def _send(self, frame: Any) -> None:
        self.frames.append(frame)


@pytest.fixture
def far_end(monkeypatch: pytest.MonkeyPatch) -> FarEnd:
    scripted = FarEnd()
    monkeypatch.setattr(
        CallFactory, "_transport", lambda _, on_message: ScriptedTransport(scripted, on_message)
    )
    return scripted


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[FarEnd], None]:
    def run(far_end: FarEnd) -> None:
        run_virtual(test(far_end))

    run.__name__ = test.__name__
    return run


def busy(status: int = 503, **more: Any) -> CallUnavailable:
    return CallUnavailable(f"HTTP {status}", status=status, **more)


def ask(call: ScriptedTransport, words: str = "Where is the café?", id: str = "u1") -> None:
    """Let the visitor have said something; the answer is owed."""
    item = {"id": id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    call.say("input_audio_buffer.speech_started", item_id=id)
    call.say("input_audio_buffer.speech_stopped", item_id=id)
    call.say("input_audio_buffer.committed", item_id=id)
    call.say("conversation.item.added", previous_item_id=None, item=item)
    completed = "conversation.item.input_audio_transcription.completed"
    call.say(completed, item_id=id, transcript=words)


def answer(call: ScriptedTransport, words: str = "On the left.", id: str = "m1") -> None:
    """Let the model begin to answer."""
    item = {"id": id, "type": "message", "role": "assistant", "content": []}
    part = {"type": "output_audio", "transcript": words}
    call.say("response.created", response={"id": "r1"})
    call.say("response.output_item.added", response_id="r1", item=item)
    call.say("conversation.item.added", previous_item_id="u1", item=item)
    delta = "response.output_audio_transcript.delta"
    call.say(delta, response_id="r1", item_id=id, content_index=0, delta=words)
    call.say("output_audio_buffer.started", response_id="r1")
    call.say("conversation.item.done", item={**item, "content": [part]})


def ask_and_answer(call: ScriptedTransport, words: str = "On the left.") -> None:
    ask(call)
    answer(call, words)


def finish(call: ScriptedTransport, tokens: int = 10) -> None:
    usage = {"output_tokens": tokens}
    call.say("response.done", response={"id": "r1", "status": "completed", "usage": usage})
    call.say("output_audio_buffer.stopped", response_id="r1")


def told(call: ScriptedTransport) -> list[str]:
    """Return the words that a new call was told of the conversation before it."""
    items = [e["item"] for e in call.sent if e["type"] == "conversation.item.create"]
    return [item["content"][0]["text"] for item in items]


# -- opening -----------------------------------------------------------------------------------


@virtually
async def test_what_may_pass_is_tried_again(far_end: FarEnd) -> None:
    far_end.refusals = [busy(503), busy(429), EnvironmentProblem("connection refused")]
    life = Life(far_end)
    await life.begin()
    await life.stop()
    assert len(far_end.attempts_at) == 4
    assert life.life() == ["realtime.connected", "realtime.disconnected"]


@virtually
async def test_the_server_says_when_to_try_again(far_end: FarEnd) -> None:
    far_end.refusals = [busy(429, retry_after_s=4.0)]
    life = Life(far_end)
    await life.begin()
    await life.stop()
    first, second = far_end.attempts_at
    assert second - first == pytest.approx(4.2, abs=0.01)


@virtually
async def test_trying_again_ends_with_the_time_for_the_call(far_end: FarEnd) -> None:
    far_end.refusals = [busy(500)] * 1000
    life = Life(far_end, connect_timeout_s=5)
    with pytest.raises(CallUnavailable, match="500"):
        await life.stage.open()
    assert len(far_end.attempts_at) >= 4
    assert life.ctx.now() < 5.1
    await life.stage.close()


@virtually
async def test_a_pause_that_takes_too_long_is_not_begun(far_end: FarEnd) -> None:
    far_end.refusals = [busy(429, retry_after_s=60.0)]
    life = Life(far_end)
    with pytest.raises(CallUnavailable):
        await life.stage.open()
    assert life.ctx.now() < 1
    await life.stage.close()


@pytest.mark.parametrize(
    "problem",
    [CallRefused("no", status=400), busy(429, code="insufficient_quota")],
    ids=["400", "no money"],
)
def test_what_will_not_pass_is_not_tried_again(far_end: FarEnd, problem: Exception) -> None:
    async def open_once() -> None:
        far_end.refusals = [problem]
        life = Life(far_end)
        with pytest.raises(type(problem)):
            await life.stage.open()
        await life.stage.close()

    run_virtual(open_once())
    assert len(far_end.attempts_at) == 1


@virtually
async def test_what_is_asked_for_while_we_hang_up_is_broken_off_too(far_end: FarEnd) -> None:
    life = Life(far_end, tools=[{"python": "asyncio:sleep"}])
    call = await life.begin()

    async def hang_up() -> None:
        wanted = {"type": "function_call", "call_id": "c1", "name": "sleep"}
        output = [{**wanted, "arguments": '{"delay": 1000}'}]
        call.say("response.done", response={"id": "r", "status": "completed", "output": output})
        await asyncio.sleep(0.5)

    call.hang_up = hang_up  # type: ignore[method-assign]
    await life.stop()
    assert life.of("tool.failed")
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("tool")]


# -- losing the call ---------------------------------------------------------------------------


@virtually
async def test_the_conversation_goes_on_in_another_call(far_end: FarEnd) -> None:
    life = Life(far_end, greeting="Welcome!")
    first = await life.begin()
    ask(first)
    answer(first)
    finish(first)
    first.lose(NotConnected("the server has closed the event channel"))
    second = await far_end.called(2)
    assert told(second) == ["Where is the café?", "On the left."]
    assert "response.create" in first.types()
    assert "response.create" not in second.types()  # it is not greeted again, and owes nothing
    assert first.closed
    assert not first.hung_up
    await life.stop()
    assert second.hung_up
    assert life.life() == [
        "realtime.connected",
        "realtime.disconnected",
        "realtime.reconnecting",
        "realtime.connected",
        "realtime.disconnected",
    ]
    (lost, _), (again,) = life.of("realtime.disconnected"), life.of("realtime.reconnecting")
    assert lost["reason"] == again["reason"] == "the server has closed the event channel"
    assert again["attempt"] == 1


@virtually
async def test_a_call_that_is_lost_before_the_greeting_is_followed_by_another(
    far_end: FarEnd,
) -> None:
    life = Life(far_end, greeting="Welcome!")
    await life.stage.open()
    far_end.call.closed = True  # while other stages were being opened
    far_end.call.lose(NotConnected("gone"))
    await life.begin_talking()
    await far_end.called(2)
    await life.stop()


@virtually
async def test_every_attempt_is_told_with_its_reason(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy(503), EnvironmentProblem("cannot reach it")]
    first.lose(NotConnected("gone"))
    await far_end.called(2)
    await life.stop()
    told = [(one["attempt"], one["reason"]) for one in life.of("realtime.reconnecting")]
    assert told == [(1, "gone"), (2, "HTTP 503"), (3, "cannot reach it")]


@virtually
async def test_the_server_repeats_what_it_was_told_and_nobody_hears_it_twice(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    before = len(life.events)
    for create in [e for e in second.sent if e["type"] == "conversation.item.create"]:
        for type in ("added", "done"):
            second.say(f"conversation.item.{type}", previous_item_id=None, item=create["item"])
    assert life.events[before:] == []
    ask(second, "And the toilets?", id="u2")
    await life.stop()
    assert [said["text"] for said in life.of("transcript.user")] == [
        "Where is the café?",
        "And the toilets?",
    ]


@virtually
async def test_a_question_that_was_lost_with_the_call_is_answered(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    await life.stop()
    assert second.types() == ["conversation.item.create", "response.create"]


@virtually
async def test_what_was_typed_and_perhaps_never_arrived_is_put_to_the_next_call(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    first = await life.begin()
    life.stage.text("Is anybody there?")
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    (created,) = [e["item"] for e in first.sent if e["type"] == "conversation.item.create"]
    assert [e["item"] for e in second.sent if "item" in e] == [created]
    assert second.types() == ["conversation.item.create", "response.create"]
    second.say("conversation.item.added", previous_item_id=None, item=created)
    second.say("conversation.item.done", previous_item_id=None, item=created)
    assert [said["text"] for said in life.of("transcript.user")] == ["Is anybody there?"]
    second.lose(NotConnected("gone again"))
    third = await far_end.called(3)
    await life.stop()
    assert [e["item"] for e in third.sent if "item" in e] == [created], "once, from the history"


@virtually
async def test_what_is_too_large_to_be_sent_does_not_silence_the_model_for_good(
    far_end: FarEnd,
) -> None:
    life = Life(far_end)
    call = await life.begin()
    call.too_large = StageError("the far end takes no larger event")
    with pytest.raises(StageError):
        life.stage.text("A very long story")
    call.too_large = None
    life.stage.text("A short one")
    await life.stop()
    assert call.types() == ["conversation.item.create", "response.create"]


@virtually
async def test_a_request_that_is_too_large_makes_room_for_the_next(far_end: FarEnd) -> None:
    life = Life(far_end)
    call = await life.begin()
    call.too_large = StageError("the far end takes no larger event")
    with pytest.raises(StageError):
        life.stage.respond(instructions="A very long story")
    call.too_large = None
    life.stage.respond(instructions="A short one")
    await life.stop()
    assert [event["response"]["instructions"] for event in call.sent] == ["A short one"]


@virtually
async def test_nobody_is_answered_a_minute_later(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    far_end.refusals = [busy(503, retry_after_s=60.0)]
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    await life.stop()
    assert second.types() == ["conversation.item.create"]
    assert life.of("realtime.connected")[1]["outage_s"] > 60


@virtually
async def test_what_a_live_visitor_says_meanwhile_is_dropped_and_counted(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy(503, retry_after_s=1.0)]
    first.lose(NotConnected("gone"))
    await asyncio.sleep(0.5)
    for n in range(10):
        life.inlet.offer(audio.silence(960, pts=n * 960))
    second = await far_end.called(2)
    await life.stop()
    assert life.of("realtime.connected")[1]["unsent_ms"] == 200
    assert (first.outgoing.taken, second.outgoing.taken) == (0, 0)


@virtually
async def test_what_can_wait_waits_for_the_next_call(far_end: FarEnd) -> None:
    life = Life(far_end, live=False)
    first = await life.begin()
    first.lose(NotConnected("gone"))
    await asyncio.sleep(0)
    for n in range(10):
        life.inlet.offer(audio.silence(960, pts=n * 960))
    life.inlet.close()
    second = await far_end.called(2)
    await life.end()
    assert second.outgoing.taken == 10


@virtually
async def test_the_end_of_the_input_ends_an_outage(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy()] * 1000
    first.lose(NotConnected("gone"))
    await asyncio.sleep(20)
    life.inlet.close()
    await life.end()
    assert life.ctx.now() < 21


@virtually
async def test_a_stop_ends_an_outage(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy()] * 1000
    first.lose(NotConnected("gone"))
    await asyncio.sleep(20)
    with pytest.raises(NotConnected):
        life.stage.say("Hello?")
    await life.stop()
    assert life.ctx.now() < 21


@virtually
async def test_an_outage_may_last_for_ever(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    far_end.refusals = [busy()] * 300
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    assert life.ctx.now() > 1000
    life.stage.say("Here I am again.")
    assert second.types() == ["response.create"]
    await life.stop()


@virtually
async def test_patience_may_have_an_end(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect={"give_up_s": 30})
    first = await life.begin()
    far_end.refusals = [busy()] * 1000
    first.lose(NotConnected("gone"))
    with pytest.raises(EnvironmentProblem, match="no call for 30 s: HTTP 503") as raised:
        await life.end()
    assert raised.value.exit_code is ExitCode.TEMPORARY
    assert life.ctx.now() == pytest.approx(30.3, abs=0.2)


@virtually
async def test_who_does_not_want_another_call_gets_the_reason(far_end: FarEnd) -> None:
    life = Life(far_end, reconnect=False)
    first = await life.begin()
    first.lose(NotConnected("gone"))
    with pytest.raises(NotConnected, match="gone"):
        await life.end()
    assert len(far_end.attempts_at) == 1


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("insufficient_quota", ExitCode.TEMPORARY), ("invalid_api_key", ExitCode.NO_PERMISSION)],
)
def test_an_end_for_good_is_one(far_end: FarEnd, code: str, exit_code: ExitCode) -> None:
    async def conversation() -> None:
        life = Life(far_end)
        first = await life.begin()
        first.say("error", error={"code": code, "message": "No more."})
        with pytest.raises(CallRefused, match=r"No more\.") as raised:
            await life.end()
        assert raised.value.exit_code is exit_code

    run_virtual(conversation())
    assert len(far_end.attempts_at) == 1


@virtually
async def test_a_server_that_refuses_the_next_call_ends_it(far_end: FarEnd) -> None:
    life = Life(far_end, api_key="ek_0123456789")
    far_end_refuses = CallRefused("expired", status=401, exit_code=ExitCode.NO_PERMISSION)
    first = await life.begin()
    far_end.refusals = [far_end_refuses]
    first.lose(NotConnected("gone"))
    with pytest.raises(CallRefused, match="expired"):
        await life.end()


@virtually
async def test_an_expired_session_is_followed_by_another(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    answer(first, "It is on the left, behind the stairs, and it is open until six.")
    await asyncio.sleep(1.0)
    first.say("error", error={"code": "session_expired", "message": "60 minutes."})
    second = await far_end.called(2)
    assert told(second) == ["Where is the café?", "It is on the …"]
    await life.stop()
    assert life.of("realtime.disconnected")[0]["reason"] == "the session has expired: 60 minutes."
    assert life.of("transcript.assistant")[0]["interrupted"]


@virtually
async def test_what_was_changed_in_the_session_is_asked_for_again(far_end: FarEnd) -> None:
    life = Life(far_end, api_key="ek_0123456789", instructions="Be brief.")
    first = await life.begin()
    life.stage.update(instructions="Be long.")
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    (update,) = [event for event in second.sent if event["type"] == "session.update"]
    assert update["session"]["instructions"] == "Be long."
    second.say("session.updated", session={"type": "realtime"})
    await asyncio.sleep(0.1)
    await life.stop()


@virtually
async def test_the_models_audio_is_one_stream_with_a_hole(far_end: FarEnd) -> None:
    life = Life(far_end)
    first = await life.begin()
    for _ in range(5):
        first.incoming.speak()
    await asyncio.sleep(0.2)
    far_end.refusals = [busy(503, retry_after_s=2.0)]
    first.lose(NotConnected("gone"))
    second = await far_end.called(2)
    for _ in range(5):
        second.incoming.speak()
    await asyncio.sleep(0.2)
    await life.stop()
    previous = None
    for frame in life.frames:
        audio.check_frame(frame, previous)
        previous = frame
    assert len(life.frames) == 10
    assert 2.6 < life.frames[5].pts / 48_000 < 3.3  # the first pause is up to 0.5 s


# -- rolling over ------------------------------------------------------------------------------


@virtually
async def test_the_next_call_takes_over_before_the_session_ends(far_end: FarEnd) -> None:
    far_end.session_s = 3600.0
    life = Life(far_end)
    first = await life.begin()
    ask(first)
    answer(first)
    finish(first)
    second = await far_end.called(2)
    assert life.ctx.now() == pytest.approx(3540.4, abs=0.5)
    await asyncio.sleep(0.3)
    assert told(second) == ["Where is the café?", "On the left."]
    assert first.hung_up
    assert first.closed
    assert life.life() == ["realtime.connected", "realtime.rolled_over"]
    (rolled,) = life.of("realtime.rolled_over")
    assert rolled == {"call_id": "rtc_2", "items": 2, "forced": False}
    await life.stop()
    assert second.closed


@virtually
async def test_nobody_is_interrupted_by_it(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask_and_answer(first))
    await asyncio.sleep(2.0)
    assert not first.closed
    finish(first)
    await asyncio.sleep(0.3)
    assert first.closed
    assert told(second) == ["Where is the café?", "On the left."]
    await life.stop()
    assert "realtime.disconnected" not in life.life()[:-1]


async def _dialled_while(life: Life, far_end: FarEnd, happens: Callable[[], Any]) -> Any:
    """Let something begin just before the next call is made; returns that."""
    await asyncio.sleep(11.5 - life.ctx.now())
    happens()
    return await far_end.called(2)


@virtually
async def test_a_visitor_who_has_just_begun_is_not_cut_off(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    await far_end.called(2)
    first.outgoing.audible_at = life.ctx.now()  # and the server has not noticed yet
    await asyncio.sleep(0.4)
    assert not first.closed
    await asyncio.sleep(0.5)
    assert first.closed
    await life.stop()


@virtually
async def test_at_last_it_takes_over_whoever_speaks_and_what_is_owed_is_said(
    far_end: FarEnd,
) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask(first))
    await asyncio.sleep(17.5 - life.ctx.now())
    assert first.closed
    assert second.types() == ["conversation.item.create", "response.create"]
    (rolled,) = life.of("realtime.rolled_over")
    assert rolled["forced"]
    assert life.life() == [
        "realtime.connected",
        "realtime.disconnected",
        "realtime.connected",
        "realtime.rolled_over",
    ]
    await life.stop()


@virtually
async def test_a_call_that_cannot_be_made_beforehand_is_made_again(far_end: FarEnd) -> None:
    far_end.session_s = 60.0
    life = Life(far_end)
    await life.begin()
    far_end.refusals = [busy(), busy()]
    await far_end.called(2)
    await asyncio.sleep(0.5)
    await life.stop()
    assert len(life.of("realtime.rolled_over")) == 1


@virtually
async def test_where_the_next_call_stands_already_a_loss_costs_nothing(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask_and_answer(first, "Left. " * 9))
    first.lose(NotConnected("expired early"))
    await asyncio.sleep(0.3)
    question, heard = told(second)
    assert heard.endswith("Left. …")
    assert question == "Where is the café?"
    assert len(far_end.attempts_at) == 2
    await life.stop()
    assert life.of("realtime.reconnecting") == []


@virtually
async def test_a_line_that_was_not_needed_is_hung_up(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    first = await life.begin()
    second = await _dialled_while(life, far_end, lambda: ask_and_answer(first))
    await life.stop()
    assert second.hung_up
    assert second.closed


@virtually
async def test_who_wants_no_roll_over_gets_none(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end, roll_over=False)
    await life.begin()
    await asyncio.sleep(100)
    await life.stop()
    assert len(far_end.attempts_at) == 1


@virtually
async def test_sessions_of_twenty_seconds_for_ten_minutes(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end)
    await life.begin()
    tasks = len(asyncio.all_tasks())
    await asyncio.sleep(600)
    assert len(asyncio.all_tasks()) <= tasks + 1  # the one that dials
    await life.stop()
    rolled = life.of("realtime.rolled_over")
    assert len(rolled) > 40
    assert not any(one["forced"] for one in rolled)
    assert all(call.closed for call in far_end.calls)


# -- the budget --------------------------------------------------------------------------------


@virtually
async def test_when_the_budget_is_spent_the_answer_is_finished_and_then_it_is_over(
    far_end: FarEnd,
) -> None:
    life = Life(far_end, budget={"output_tokens_per_hour": 10})
    first = await life.begin()
    ask(first)
    answer(first)
    usage = {"output_tokens": 10}
    first.say("response.done", response={"id": "r1", "status": "completed", "usage": usage})
    await asyncio.sleep(5)
    assert life.talking is not None
    assert not life.talking.done()
    first.say("output_audio_buffer.stopped", response_id="r1")
    with pytest.raises(BudgetSpent, match="10 output tokens") as raised:
        await life.end()
    assert raised.value.exit_code is ExitCode.NO_PERMISSION
    assert first.hung_up
    assert life.life() == ["realtime.connected", "realtime.budget_spent", "realtime.disconnected"]
    assert "the budget is spent" in life.of("realtime.disconnected")[0]["reason"]


@virtually
async def test_minutes_go_on_over_several_calls(far_end: FarEnd) -> None:
    far_end.session_s = 20.0
    life = Life(far_end, budget={"minutes": 2})
    first = await life.begin()
    await asyncio.sleep(5)
    far_end.refusals = [busy(503, retry_after_s=60.0)]
    first.lose(NotConnected("gone"))  # for a minute, which costs nothing
    with pytest.raises(BudgetSpent, match="2 minutes"):
        await life.end()
    assert life.ctx.now() == pytest.approx(181.0, abs=1.0)
    assert len(far_end.calls) > 5
