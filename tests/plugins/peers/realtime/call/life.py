"""A conversation in virtual time, over a transport that is a script, and its far end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe import (
    Bus,
    Clock,
    Event,
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
from rtpipe_plugins.peers.realtime.errors import CallUnavailable
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
        self._far_end.at_once(self)
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
        await self._far_end.hangs_up()
        self.hung_up = True

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
        self.hang_up_s = 0.0
        self.at_once: Callable[[ScriptedTransport], None] = lambda _call: None
        """What the server does before anybody could take note of its session."""
        self._news = asyncio.Event()

    async def hangs_up(self) -> None:
        await asyncio.sleep(self.hang_up_s)

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
        """Return what has become of the calls; what an answer cost is no news of them."""
        told = [event.type for event in self.events if event.type.startswith("realtime.")]
        return [each for each in told if each != "realtime.tokens_used"]

    async def _send(self, frame: Any) -> None:
        self.frames.append(frame)


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
