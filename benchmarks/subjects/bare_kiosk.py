"""What a kiosk must at least do: microphone to a call, the call to the loudspeaker. No pipeline.

Written as the examples of aiortc and sounddevice are: a callback that hands blocks to the event
loop, a track that gives them to the call, and a queue between the far end and the loudspeaker. Runs
until it is killed; prints `connected` when it is.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import aiohttp
import av
import numpy as np
import sounddevice
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

if TYPE_CHECKING:
    from collections.abc import Callable

_RATE, _BLOCK = 48_000, 960
_MOST = 25


class Microphone(MediaStreamTrack):
    """What the default microphone hears."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._own_loop = asyncio.get_running_loop()
        self._blocks: asyncio.Queue[bytes] = asyncio.Queue(_MOST)
        self._pts = 0
        self._stream = sounddevice.RawInputStream(
            _RATE, _BLOCK, dtype="int16", channels=1, callback=self._heard
        )
        self._stream.start()

    def _heard(self, data: Any, _frames: int, _time: object, _status: object) -> None:
        self._own_loop.call_soon_threadsafe(self._put, bytes(data))

    def _put(self, data: bytes) -> None:
        if not self._blocks.full():
            self._blocks.put_nowait(data)

    async def recv(self) -> av.AudioFrame:
        """Return the next block."""
        frame = av.AudioFrame(format="s16", layout="mono", samples=_BLOCK)
        frame.planes[0].update(await self._blocks.get())
        frame.sample_rate, frame.time_base = _RATE, Fraction(1, _RATE)
        frame.pts, self._pts = self._pts, self._pts + _BLOCK
        return frame


class Loudspeaker:
    """Plays what it is given on the default loudspeaker."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque(maxlen=_MOST)
        self._stream = sounddevice.RawOutputStream(
            _RATE, _BLOCK, dtype="int16", channels=1, callback=self._wanted
        )
        self._stream.start()

    def play(self, frame: av.AudioFrame) -> None:
        """Queue a frame of 20 ms."""
        mono = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
        self._blocks.append(np.ascontiguousarray(mono).tobytes())

    def _wanted(self, data: Any, frames: int, _time: object, _status: object) -> None:
        data[:] = self._blocks.popleft() if self._blocks else bytes(2 * frames)


async def _play(track: MediaStreamTrack, play: Callable[[av.AudioFrame], None]) -> None:
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, av.AudioFrame)
        play(frame)


async def main() -> None:
    """Hold a call until the process ends."""
    microphone, loudspeaker = Microphone(), Loudspeaker()
    tasks = []
    call = RTCPeerConnection()
    call.addTrack(microphone)
    call.createDataChannel("oai-events")
    connected = asyncio.Event()

    @call.on("track")
    def _(track: MediaStreamTrack) -> None:
        tasks.append(asyncio.create_task(_play(track, loudspeaker.play)))

    @call.on("connectionstatechange")
    def _() -> None:
        if call.connectionState == "connected":
            connected.set()

    await call.setLocalDescription(await call.createOffer())
    url = os.environ["OPENAI_BASE_URL"] + "/realtime/calls?model=gpt-realtime"
    headers = {
        "Authorization": "Bearer " + os.environ["OPENAI_API_KEY"],
        "Content-Type": "application/sdp",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=call.localDescription.sdp, headers=headers) as response,
    ):
        answer = await response.text()
    await call.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await connected.wait()
    print("connected", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
