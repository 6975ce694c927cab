"""What a call costs: rtpipe's own codec and jitter buffer beside aiortc's.

    PYTHONPATH=tests .venv/bin/python benchmarks/call.py [--seconds 8] [--rounds 3] [--calls 1]

Real calls, sound both ways; the far ends, aiortc peers, are in a process of their own. Printed: the
CPU time of this process for a second of a call, medians of alternating rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import time

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from helpers.beacon import Beacon
from rtpipe import Clock, Link, QueuePolicy, WhenFull, audio, fiber
from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer
from rtpipe_plugins.peers.realtime.options import JitterOptions, OpusOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.connection import WebRtcConnection
from rtpipe_webrtc.loopback import allow_loopback

RATE = 48_000
FRAME = 960
SETTLED_S = 2.0
KINDS = {
    "aiortc": (JitterOptions(engine="aiortc"), None),
    "rtpipe": (JitterOptions(), OpusOptions()),
    "rtpipe, voip + fec": (JitterOptions(), OpusOptions(application="voip", fec=True)),
}


def spoken(seconds: float) -> Link:
    """Return a link with so much sound in it."""
    link = Link("benchmark", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))
    pcm = np.random.default_rng(1).normal(0, 3000, FRAME).astype(np.int16)
    for n in range(round(seconds * RATE / FRAME)):
        link.offer(audio.from_pcm(pcm, sample_rate=RATE, pts=n * FRAME))
    return link


async def cost_ms(kind: str, seconds: float, count: int) -> float:
    """Return the CPU time of a second of one of `count` calls (ms)."""
    jitter, opus = KINDS[kind]
    far_end = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--far-end"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert far_end.stdin is not None
    assert far_end.stdout is not None
    calls = []
    for _ in range(count):
        log = logging.getLogger("benchmark")
        call = WebRtcConnection(Clock(), "test", [], lambda _: None, log, jitter=jitter, opus=opus)
        calls.append(call)
        far_end.stdin.write(json.dumps(await call.offer()).encode() + b"\n")
        await call.accept(SdpAnswer(json.loads(await far_end.stdout.readline()), None))
        if opus is None:
            call.outgoing.encoder = None
        await call.opened()
        call.incoming.begin()
        call.outgoing.attach(spoken(seconds + SETTLED_S + count))
    drains = [fiber.start(drained(call.incoming.received)) for call in calls]
    await asyncio.sleep(SETTLED_S)
    began = time.process_time()
    await asyncio.sleep(seconds)
    cost = time.process_time() - began
    for call in calls:
        await call.close()
    await asyncio.gather(*drains)
    far_end.stdin.close()
    await far_end.wait()
    return cost / seconds / count * 1000


async def drained(link: Link) -> None:
    """Take what comes."""
    async for _ in link:
        pass


async def serve() -> None:
    """Answer offers on stdin with answers on stdout."""
    loop = asyncio.get_running_loop()
    connections = []
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.append(connection)
        connection.addTrack(Beacon())
        offer = RTCSessionDescription(sdp=json.loads(line), type="offer")
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        print(json.dumps(connection.localDescription.sdp), flush=True)
    for connection in connections:
        await connection.close()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What a call costs.")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1, help="at a time")
    parser.add_argument("--far-end", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    allow_loopback()
    if asked.far_end:
        asyncio.run(serve())
        return
    costs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(asked.rounds):
        for kind, known in costs.items():
            known.append(asyncio.run(cost_ms(kind, asked.seconds, asked.calls)))
    stock = statistics.median(costs["aiortc"])
    print(f"{'CPU of a call':22}{'ms/s':>8}{'of aiortc':>12}")
    for kind, known in costs.items():
        cost = statistics.median(known)
        print(f"{kind:22}{cost:8.1f}{cost / stock:12.0%}")


if __name__ == "__main__":
    main()
