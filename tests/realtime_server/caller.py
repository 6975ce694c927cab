"""A caller of its own: aiortc, aiohttp and nothing of rtpipe's client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import aiohttp
import av
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from realtime_server.judge import judge
from rtpipe_webrtc.loopback import Hosts, gathering

SESSION = {"type": "realtime", "model": "gpt-realtime"}
TIMEOUT_S = 20
LOUDEST_SILENCE = 20
"""Bytes of an Opus packet; the codec needs 3 for digital silence."""


class Microphone(MediaStreamTrack):
    """Plays what is put in, and zeros, a frame each 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.waiting = np.zeros(0, np.int16)
        self._start: float | None = None
        self._pts = 0

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        if self._start is None:
            self._start = loop.time()
        await asyncio.sleep(max(0.0, self._start + self._pts / 48000 - loop.time()))
        part, self.waiting = self.waiting[:960], self.waiting[960:]
        mono = np.pad(part, (0, 960 - len(part)))
        frame = av.AudioFrame.from_ndarray(
            np.repeat(mono, 2)[np.newaxis], format="s16", layout="stereo"
        )
        frame.sample_rate = 48000
        frame.time_base = Fraction(1, 48000)
        frame.pts = self._pts
        self._pts += 960
        return frame


class Caller:
    def __init__(self, base_url: str, *, channel: bool = True, key: str = "sk-test") -> None:
        self.base_url = base_url
        self.headers = {"Authorization": f"Bearer {key}"}
        self.microphone = Microphone()
        self.events: list[dict[str, Any]] = []
        self.frames: list[NDArray[np.int16]] = []
        self.events_at: list[float] = []
        self.loud_at: list[float] = []
        """When packets came in that hold a sound."""
        self.call_id = ""
        self.answer = ""
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(self.microphone)
        self._watch_packets()
        self.connection.on("track", self._on_track)
        self.closed = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._pumps: list[asyncio.Task[None]] = []
        self._tellings: list[asyncio.Task[None]] = []
        self.channel = self.connection.createDataChannel("oai-events") if channel else None
        if self.channel:
            self.channel.on("message", self._on_message)
            self.channel.on("close", self.closed.set)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.connection.close()
        for pump in self._pumps:  # a track that never connected would never end
            pump.cancel()
        await asyncio.gather(*self._pumps, *self._tellings, return_exceptions=True)

    async def offer(self, *, without: tuple[str, ...] = ()) -> str:
        with gathering(Hosts.LOOPBACK):
            await self.connection.setLocalDescription(await self.connection.createOffer())
        lines = self.connection.localDescription.sdp.split("\r\n")
        return "\r\n".join(line for line in lines if not line.startswith(without))

    async def call(self, *, without: tuple[str, ...] = (), **session: Any) -> None:
        """Call; `without` are the beginnings of the lines that the offer lacks."""
        offer = await self.offer(without=without)
        form = aiohttp.MultipartWriter("form-data")
        for name, kind, body in (
            ("sdp", "application/sdp", offer),
            ("session", "application/json", json.dumps({**SESSION, **session})),
        ):
            part = form.append(body, {"Content-Type": kind})  # type: ignore[arg-type]
            part.set_content_disposition("form-data", name=name)
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.post(f"{self.base_url}/realtime/calls", data=form) as response,
        ):
            self.answer = await response.text()
            assert response.status == 201, self.answer
            self.call_id = response.headers["Location"].rsplit("/", 1)[1]
        await self.connection.setRemoteDescription(
            RTCSessionDescription(sdp=self.answer, type="answer")
        )

    async def hang_up(self) -> int:
        url = f"{self.base_url}/realtime/calls/{self.call_id}/hangup"
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.post(url) as response,
        ):
            return response.status

    def say(self, samples: NDArray[np.int16]) -> None:
        self.microphone.waiting = np.concatenate([self.microphone.waiting, samples])

    def send(self, kind: str, **fields: Any) -> None:
        assert self.channel is not None
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Return the `count`-th event of a type, waiting for it."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["type"] == kind]

        await self._until(lambda: len(found()) >= count)
        return found()[count - 1]

    async def until_heard(self, loud: bool, count: int = 1) -> None:  # noqa: FBT001
        """Wait until the last `count` frames are all loud, or all silent."""
        await self._until(
            lambda: (
                len(self.frames) >= count
                and all((np.abs(f).max() > 1000) == loud for f in self.frames[-count:])
            )
        )

    async def _until(self, holds: Any) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S), self._arrived:
                await self._arrived.wait_for(holds)
        except TimeoutError:
            kinds = [event["type"] for event in self.events]
            raise AssertionError(f"not within {TIMEOUT_S} s; events: {kinds}") from None

    def kinds(self) -> list[str]:
        kinds = [event["type"] for event in self.events]
        return [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]

    def heard(self) -> NDArray[np.int16]:
        return np.concatenate(self.frames)

    def at(self, kind: str, count: int = 1) -> float:
        """Return when the `count`-th event of a type came in."""
        times = zip(self.events, self.events_at, strict=True)
        return [at for event, at in times if event["type"] == kind][count - 1]

    def _watch_packets(self) -> None:
        # Before aiortc's jitter buffer, which holds each packet back for 80 ms and more.
        receiver = self.connection.getTransceivers()[0].receiver
        handle = receiver._handle_rtp_packet

        async def watch(packet: Any, **more: Any) -> None:
            if len(packet.payload) > LOUDEST_SILENCE:
                self.loud_at.append(asyncio.get_running_loop().time())
            await handle(packet, **more)

        receiver._handle_rtp_packet = watch  # type: ignore[method-assign]

    def _on_message(self, message: str) -> None:
        self.events.append(json.loads(message))
        self.events_at.append(asyncio.get_running_loop().time())
        judge(self.events[-1])
        self._tell()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._pumps.append(asyncio.create_task(self._pump(track)))

    async def _pump(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                self.frames.append(frame.to_ndarray()[0, ::2].copy())
                self._tell()

    def _tell(self) -> None:
        async def tell() -> None:
            async with self._arrived:
                self._arrived.notify_all()

        self._tellings.append(asyncio.create_task(tell()))
