"""What calls cost: sound both ways, in real time, with far ends in another process.

    python -m benchmarks.subjects.calls rtpipe --calls 1 10 --seconds 3

Prints the CPU time of one call for each second of audio that it carried, both ways. The far ends
send the same packets to all. Nobody makes the sound and nobody hears it: that is not the call's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from benchmarks.subjects.lengths import RATE, speech
from rtpipe import Clock, Link, QueuePolicy, WhenFull, audio, fiber
from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer
from rtpipe_plugins.peers.realtime.options import OpusOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.connection import WebRtcConnection
from rtpipe_webrtc.loopback import Hosts, gathering

if TYPE_CHECKING:
    from av import AudioFrame

SLOT = 960
SLOT_S = SLOT / RATE
_SETTLED_S = 2.0
_APART_S = 0.005
_VOIP = OpusOptions(application="voip", fec=True)


@dataclass(slots=True)
class Call:
    """A call that runs.

    Attributes:
        close: Ends it.
        heard: How many samples have come out of it.
    """

    close: Callable[[], Awaitable[None]] | None = None
    heard: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


Answer = Callable[[str], Awaitable[str]]
"""Carries an offer to a far end, and its answer back."""


def frames(channels: int) -> list[AudioFrame]:
    """Return 3 s of speech and pauses, in frames of 20 ms."""
    sound = speech()
    sound = sound[: len(sound) // SLOT * SLOT]
    both = np.repeat(sound[:, None], channels, axis=1)
    return [
        audio.from_pcm(both[at : at + SLOT], sample_rate=RATE, pts=at)
        for at in range(0, len(both), SLOT)
    ]


async def ours(answer: Answer, seconds: float, opus: OpusOptions | None = None) -> Call:
    """Make a call of rtpipe's, as `realtime` does."""
    call, log = Call(), logging.getLogger("benchmark")
    made = WebRtcConnection(Clock(), "test", [], lambda _: None, log, opus=opus)
    await made.accept(SdpAnswer(await answer(await made.offer()), None))
    await made.opened()
    link = Link("benchmark", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))
    spoken = frames(1)
    for n in range(round(seconds / SLOT_S)):
        link.offer(spoken[n % len(spoken)])

    async def hear() -> None:
        async for frame in made.incoming.received:
            call.heard += frame.samples

    made.incoming.begin()
    made.outgoing.attach(link)
    call.close = made.close
    call.tasks.append(fiber.start(hear()))  # as a pipeline reads it
    return call


class Spoken(MediaStreamTrack):
    """Gives frames as aiortc's own `AudioStreamTrack` does, without making them."""

    kind = "audio"

    def __init__(self, spoken: list[AudioFrame]) -> None:
        super().__init__()
        self._spoken = spoken
        self._slot = 0
        self._start = 0.0

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due."""
        if self._slot == 0:
            self._start = time.monotonic()
        else:
            await asyncio.sleep(self._start + self._slot * SLOT_S - time.monotonic())
        frame = self._spoken[self._slot % len(self._spoken)]
        frame.pts = self._slot * SLOT
        self._slot += 1
        return frame


async def stock(answer: Answer, channels: int) -> Call:
    """Make a call of aiortc's."""
    call, connection = Call(), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    opened = asyncio.Event()

    async def hear(track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            call.heard += frame.samples  # type: ignore[union-attr]  # an audio track's

    def listen(track: MediaStreamTrack) -> None:
        call.tasks.append(asyncio.create_task(hear(track)))

    connection.on("track", listen)
    connection.addTrack(Spoken(frames(channels)))
    connection.createDataChannel("test").on("open", opened.set)
    await connection.setLocalDescription(await connection.createOffer())
    answered = await answer(connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answered, "answer"))
    await opened.wait()
    call.close = connection.close
    return call


async def cost(kind: str, count: int, seconds: float) -> tuple[float, float]:
    """Return what a call costs (ms a second), and how much of the audio came in time (%)."""
    program = (sys.executable, "-m", "benchmarks.subjects.far_ends", str(count))
    far_ends = await asyncio.create_subprocess_exec(
        *program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert far_ends.stdin is not None
    assert far_ends.stdout is not None
    _elsewhere(far_ends.pid)

    async def answer(offer: str) -> str:
        far_ends.stdin.write(json.dumps(offer).encode() + b"\n")  # type: ignore[union-attr]
        answered: str = json.loads(await far_ends.stdout.readline())  # type: ignore[union-attr]
        return answered

    calls: list[Call] = []
    for number in range(count):
        long_s = seconds + _SETTLED_S + count
        match kind:
            case "rtpipe":
                calls.append(await ours(answer, long_s))
            case "voip":
                calls.append(await ours(answer, long_s, _VOIP))
            case _:
                calls.append(await stock(answer, 2 if kind == "aiortc-stereo" else 1))
        await asyncio.sleep(_APART_S * (number % 4))  # nobody dials in step
    await asyncio.sleep(_SETTLED_S)
    gc.collect()
    heard = -sum(call.heard for call in calls)
    began, cpu = time.monotonic(), -time.process_time()
    await asyncio.sleep(seconds)
    cpu += time.process_time()
    wall = time.monotonic() - began
    heard_s = (heard + sum(call.heard for call in calls)) / RATE
    for call in calls:
        assert call.close is not None
        await call.close()
        await asyncio.gather(*call.tasks)
    far_ends.stdin.close()
    await far_ends.wait()
    return cpu * 1000 / heard_s, 100 * heard_s / wall / count


def _elsewhere(pid: int) -> None:
    """Give a process the cores that this one does not have."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(pid, (os.sched_getaffinity(1) - mine) or mine)


def main() -> None:
    """Measure what the command line asks for; print it as a line of JSON."""
    parser = argparse.ArgumentParser(description="What calls cost.")
    parser.add_argument("kind", choices=("rtpipe", "voip", "aiortc", "aiortc-stereo"))
    parser.add_argument("--calls", type=int, nargs="+", default=[1])
    parser.add_argument("--seconds", type=float, default=3.0)
    asked = parser.parse_args()
    figures = {}
    with gathering(Hosts.LOOPBACK):
        for count in asked.calls:
            spent, in_time = asyncio.run(cost(asked.kind, count, asked.seconds))
            figures |= {f"{count} calls ms": spent, f"{count} calls in time %": in_time}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
