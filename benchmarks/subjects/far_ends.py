"""The far ends of the calls that are measured: cheap ones, which neither encode nor decode.

    python -m benchmarks.subjects.far_ends COUNT

Answers an offer a line on stdin with an answer on stdout, both as JSON; at its end all hang up.
"""

from __future__ import annotations

import asyncio
import json
import sys
from fractions import Fraction
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet

from benchmarks.subjects.lengths import RATE, speech
from rtpipe_webrtc.loopback import Hosts, gathering
from rtpipe_webrtc.options import OpusOptions
from rtpipe_webrtc.opus import opus_encoder
from rtpipe_webrtc.rtp_path import SendPath

SLOT = 960


def packets() -> list[bytes]:
    """Return 3 s of speech and pauses as Opus."""
    encoder = opus_encoder(OpusOptions(application="voip", bitrate=32_000))
    assert encoder is not None
    sound = speech()
    ends = range(SLOT, len(sound) + 1, SLOT)
    return [encoder.encode(sound[end - SLOT : end]) for end in ends]


class Recorded(MediaStreamTrack):
    """Sends packets that are there, each 20 ms, `late_s` after the others'."""

    kind = "audio"

    def __init__(self, sound: list[bytes], late_s: float) -> None:
        super().__init__()
        self.path: SendPath | None = None
        self._sound = sound
        self._loop = asyncio.get_running_loop()
        self._late_s = late_s
        self._start = 0.0
        self._slot = 0

    async def recv(self) -> Packet[Any]:
        """Return the first packet; then send all others."""
        assert self.path is not None
        if self._slot == 0:
            now = self._loop.time()
            self._start = now - now % 0.02 + 0.02 + self._late_s
            assert self.path.learn()
        while self.readyState == "live":
            slot, self._slot = self._slot, self._slot + 1
            await asyncio.sleep(self._start + slot * SLOT / RATE - self._loop.time())
            payload = self._sound[slot % len(self._sound)]
            if not self.path.open:
                packet: Packet[Any] = Packet(payload)
                packet.pts, packet.time_base = 0, Fraction(1, RATE)
                return packet
            self.path.send(payload, slot * SLOT)
        raise MediaStreamError


async def serve(count: int) -> None:
    """Answer `count` offers, and go on until stdin ends."""
    loop = asyncio.get_running_loop()
    connections: list[RTCPeerConnection] = []
    sound = packets()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        track = Recorded(sound, 0.02 * (len(connections) + 0.5) / count)
        connections.append(connection)
        sender = connection.addTrack(track)
        track.path = SendPath(sender)
        offer = RTCSessionDescription(sdp=json.loads(line), type="offer")
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        print(json.dumps(connection.localDescription.sdp), flush=True)
    for connection in connections:
        await connection.close()


if __name__ == "__main__":
    with gathering(Hosts.LOOPBACK):
        asyncio.run(serve(int(sys.argv[1])))
