"""A bus that remembers, and a far end of our own: an aiortc answerer with no protocol in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtpipe import Bus, Clock, Event, Link, QueuePolicy, StageContext, WhenFull, audio

FIXTURE = json.loads((Path(__file__).parent / "sequences.json").read_text())


@pytest.fixture(scope="session")
def sequences() -> dict[str, list[dict[str, Any]]]:
    """Recorded orders of events: {name: [{"dir": "server"|"client", "event": {...}}]}."""
    return FIXTURE


class Published:
    """The events of a bus, and a way to wait for them."""

    def __init__(self, bus: Bus) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        bus.subscribe("*", self._take)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, type: str) -> list[Event]:
        return [event for event in self.events if event.type == type]

    async def wait_for(self, type: str, count: int = 1, timeout_s: float = 20.0) -> Event:
        async with asyncio.timeout(timeout_s):
            while len(self.of(type)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(type)[count - 1]


@pytest.fixture
async def bus() -> Bus:
    return Bus()


@pytest.fixture
async def published(bus: Bus) -> Published:
    return Published(bus)


@pytest.fixture
async def ctx(bus: Bus) -> StageContext:
    return StageContext("realtime", Clock(), bus.publish, bus.subscribe)


@pytest.fixture
def patient_link() -> Link:
    return Link("test -> realtime", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))


SESSION = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_test",
    "model": "gpt-realtime-2.1",
    "audio": {
        "input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}},
        "output": {"voice": "marin"},
    },
}


class Answerer:
    """Takes calls; in the newest says what the test tells it to and echoes audio when asked to.

    `refusals` are status and headers of what it answers instead, to as many calls. `read_as` and
    `written_as` change what it reads of an offer and writes of an answer; `reads_sessions`: it
    takes `multipart/form-data`, not only SDP alone; `own_channel`: it opens the data channel and
    hears nothing of ours; `binary`: its messages are.
    """

    def __init__(self) -> None:
        from aiohttp import web

        self._web = web
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.session: dict[str, Any] | None = SESSION
        self.commands: list[dict[str, Any]] = []
        self.confirms = True
        self.echo = False
        self.heard: list[Any] = []
        self.offer = ""
        self.call: Any = None
        self.calls: list[Any] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.knows_hangup = True
        self.answer_delay_s = 0.0
        self.deleted: list[str] = []
        self.read_as: Callable[[str], str] = str
        self.written_as: Callable[[str], str] = str
        self.reads_sessions = True
        self.own_channel = False
        self.binary = False
        self.channel: Any = None
        self.base_url = ""
        self._runner: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self.track: Any = None

    async def start(self) -> None:
        web = self._web
        app = web.Application()
        app.router.add_post("/v1/realtime/client_secrets", self._secret)
        app.router.add_post("/v1/realtime/calls", self._place)
        app.router.add_post("/v1/realtime/calls/{id}/hangup", self._hang_up)
        app.router.add_delete("/v1/realtime/calls/{id}", self._delete)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for call in self.calls:
            await call.close()
        await self._runner.cleanup()

    def send(self, event: dict[str, Any]) -> None:
        text = json.dumps(event)
        self.channel.send(text.encode() if self.binary else text)

    async def received(self, type: str, count: int = 1, timeout_s: float = 20.0) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [command for command in self.commands if command["type"] == type]

        async with asyncio.timeout(timeout_s):
            while len(found()) < count:
                self._news.clear()
                await self._news.wait()
        return found()[count - 1]

    async def hears(self, frames: int, timeout_s: float = 20.0) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.heard) < frames:
                self._news.clear()
                await self._news.wait()

    async def _secret(self, request: Any) -> Any:
        self.requests.append((request.path, dict(request.headers), await request.read()))
        return self._web.json_response({"value": "ek_test123456", "expires_at": 1, "session": {}})

    async def _hang_up(self, request: Any) -> Any:
        self.requests.append((request.path, dict(request.headers), await request.read()))
        return self._web.Response(status=200 if self.knows_hangup else 404)

    async def _delete(self, request: Any) -> Any:
        self.deleted.append(request.path)
        return self._web.Response(status=204)

    async def _place(self, request: Any) -> Any:
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

        body = await request.read()
        self.requests.append((request.path, dict(request.headers), body))
        if request.content_type != "application/sdp" and not self.reads_sessions:
            return self._web.Response(status=415, text="Send the SDP alone.")
        self.offer = body[body.index(b"v=0") :].decode().split("\r\n--")[0] + "\r\n"
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return self._web.Response(status=status, headers=headers)
        self.call = call = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.calls.append(call)
        self.track = _echo_track()
        call.addTrack(self.track)
        call.on("track", self._on_track)
        if self.own_channel:
            channel = call.createDataChannel("events")
            channel.on("open", lambda: self._on_channel(channel))
        else:
            call.on("datachannel", self._on_channel)
        offer = RTCSessionDescription(sdp=self.read_as(self.offer), type="offer")
        await call.setRemoteDescription(offer)
        await call.setLocalDescription(await call.createAnswer())
        await asyncio.sleep(self.answer_delay_s)
        return self._web.Response(
            status=201,
            text=self.written_as(call.localDescription.sdp),
            headers={"Location": f"/v1/realtime/calls/rtc_test_{len(self.calls)}"},
        )

    def _on_track(self, track: Any) -> None:
        task = asyncio.ensure_future(self._listen(track))
        self._tasks.add(task)

    async def _listen(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame = await track.recv()
                self.heard.append(frame)
                self._news.set()
                if self.echo:
                    self.track.waiting.append(frame)
        except MediaStreamError:
            return

    def _on_channel(self, channel: Any) -> None:
        self.channel = channel
        channel.on("message", self._on_message)
        if self.session is not None:
            self.send({"type": "session.created", "event_id": "event_1", "session": self.session})

    def _on_message(self, message: str) -> None:
        command = json.loads(message)
        self.commands.append(command)
        self._news.set()
        if command["type"] == "session.update" and self.confirms:
            self.send(
                {"type": "session.updated", "event_id": "event_2", "session": command["session"]}
            )


def _echo_track() -> Any:
    from aiortc.mediastreams import MediaStreamTrack

    class EchoTrack(MediaStreamTrack):
        kind = "audio"

        def __init__(self) -> None:
            super().__init__()
            self.waiting: list[Any] = []
            self._slot = 0
            self._start = asyncio.get_running_loop().time()

        async def recv(self) -> Any:
            pts = self._slot * 960
            self._slot += 1
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._start + pts / 48_000 - loop.time()))
            if not self.waiting:
                return audio.silence(960, pts=pts, layout="stereo")
            return audio.stamp(self.waiting.pop(0), sample_rate=48_000, pts=pts)

    return EchoTrack()


@pytest.fixture
def make_answerer() -> type[Answerer]:
    """The far end's class, for tests that want several."""
    from helpers.loopback import allow_loopback

    allow_loopback()
    return Answerer


@pytest.fixture
async def answerer(make_answerer: type[Answerer]) -> Any:
    far_end = make_answerer()
    await far_end.start()
    yield far_end
    await far_end.close()
