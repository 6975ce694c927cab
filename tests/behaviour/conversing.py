"""A stage in a call with a server, its silent visitor, and all that is said on its bus."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rtpipe import Bus, Clock, Event, Link, StageContext, audio
from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of


class Conversation:
    """A stage in a call, its silent visitor, and all that is said on its bus."""

    def __init__(self, base_url: str, **options: Any) -> None:
        bus = Bus()
        self._news = asyncio.Event()
        self.events: list[Event] = []
        bus.subscribe("*", self._take)
        ctx = StageContext("realtime", Clock(), bus.publish, bus.subscribe)
        ctx.live = True
        self.inlet = Link("mic -> realtime")
        settings = {"base_url": base_url, "api_key": "sk-test-123456", **options}
        self.stage = Realtime(RealtimeOptions(**settings), ctx)
        self.frames: list[Any] = []

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, type: str) -> list[Any]:
        return [event.payload() for event in self.events if event.type == type]

    async def heard(self, type: str, count: int = 1, timeout_s: float = 30.0) -> Any:
        """Wait for the `count`-th event of a type; returns what it says."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self.of(type)) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            last = [(round(event.at, 2), event.type) for event in self.events[-40:]]
            pytest.fail(f"no {type} within {timeout_s} s, but {last}")
        return self.of(type)[count - 1]

    async def ask(self, words: str) -> str:
        """Put a question, return the answer when it has been played, and think for a while."""
        count = len(self.of("transcript.assistant")) + 1
        self.stage.text(words)
        said: str = (await self.heard("transcript.assistant", count))["text"]
        await asyncio.sleep(0.3)
        return said

    async def remembered(self, item_id: str) -> bool:
        """Whether the server that serves now knows an item."""
        count = len(self.of("conversation.item.retrieved")) + 1
        call = self.stage._manager.call
        assert call is not None
        self.stage._manager.tell(call)
        retrieve = {"type": "conversation.item.retrieve", "item_id": item_id}
        call.transport.transmit(json.dumps(retrieve))
        known = await self.heard("conversation.item.retrieved", count)
        return bool(object_of(known, "item").get("id") == item_id)

    async def speak_silence(self) -> None:
        loop = asyncio.get_running_loop()
        start, pts = loop.time(), 0
        while True:
            self.inlet.offer(audio.silence(960, pts=pts))
            pts += 960
            await asyncio.sleep(start + pts / 48_000 - loop.time())

    async def send(self, frame: Any) -> None:
        self.frames.append(frame)


@asynccontextmanager
async def conversation(base_url: str, **options: Any) -> AsyncIterator[Conversation]:
    talk = Conversation(base_url, **options)
    tasks: list[asyncio.Task[None]] = []
    try:
        await talk.stage.open()
        tasks = [
            asyncio.create_task(talk.stage.converse(talk.inlet, talk.send)),
            asyncio.create_task(talk.speak_silence()),
        ]
        yield talk
        assert not tasks[0].done(), "the stage has ended"
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await talk.stage.close()
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
    previous = None
    for frame in talk.frames:
        audio.check_frame(frame, previous)
        previous = frame
