"""A call of rtpipe's to an aiortc peer that sends a beacon, through a network that can be bad."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from av import AudioFrame

from helpers.beacon import Beacon, Reading, read
from helpers.loopback import allow_loopback
from helpers.network import Relay
from rtpipe import Clock
from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer
from rtpipe_plugins.peers.realtime.options import JitterOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.connection import WebRtcConnection

_TICK_S = 0.01


@dataclass
class Heard:
    """A call that stands, and what has been heard in it."""

    call: WebRtcConnection
    far_end: RTCPeerConnection
    relay: Relay
    beacon: Beacon
    origin_s: float
    frames: list[AudioFrame] = field(default_factory=list)
    stall_ms: float = 0.0
    """For how long this machine stood still at most, and with it both ends of the call."""

    async def listen(self, seconds: float) -> None:
        """Keep what is heard for so long."""
        received, loop = self.call.incoming.received, asyncio.get_running_loop()
        end = loop.time() + seconds
        ticking = asyncio.create_task(self._tick())
        while loop.time() < end:
            self.frames.append(await received.get())
        ticking.cancel()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK_S)
            self.stall_ms = max(self.stall_ms, (loop.time() - before - _TICK_S) * 1000)

    def reading(self) -> Reading:
        """Return what can be read off what was heard."""
        return read(self.frames, self.origin_s, self.beacon.sent_s)


@asynccontextmanager
async def called(
    *, engine: str = "rtpipe", target_ms: float | None = None, codec: str = "audio/opus"
) -> AsyncIterator[Heard]:
    """Have a call; what is heard is kept from now on."""
    allow_loopback()
    relay, beacon = Relay(), Beacon()
    jitter = JitterOptions.model_validate({"engine": engine, "target_ms": target_ms})
    log = logging.getLogger("rtpipe.stage.realtime")
    origin_s, clock = asyncio.get_running_loop().time(), Clock()
    call = WebRtcConnection(clock, "test", [], lambda _: None, log, jitter=jitter)
    far_end = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        far_end.addTrack(beacon)
        codecs = [c for c in RTCRtpSender.getCapabilities("audio").codecs if c.mimeType == codec]
        far_end.getTransceivers()[0].setCodecPreferences(codecs)
        offer = await relay.offer(await call.offer())
        await far_end.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await far_end.setLocalDescription(await far_end.createAnswer())
        answer = await relay.answer(far_end.localDescription.sdp)
        await call.accept(SdpAnswer(answer, None))
        async with asyncio.timeout(20):
            await call.opened()
        call.incoming.begin()
        yield Heard(call, far_end, relay, beacon, origin_s)
    finally:
        await call.close()
        await far_end.close()
        await relay.close()
