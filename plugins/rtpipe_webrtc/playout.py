"""Playout: RTP packets in, an even stream of samples out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from rtpipe_webrtc.jitter_buffer import (
    RATE,
    SLOT,
    Conceal,
    JitterBuffer,
    Packet,
    Play,
    Recover,
    Wait,
)
from rtpipe_webrtc.libopus import OpusError
from rtpipe_webrtc.opus import OpusDecoder, samples_in
from rtpipe_webrtc.time_scale import stretched

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtpipe_webrtc.pace import Pace

_LATEST_S = 0.06
"""Until then what should have been played is played at once; later, time has jumped."""


class Playout:
    """Decodes each packet when it is its turn, and makes up what is missing.

    Args:
        clock: Says when it is.
        buffer: Says what is to be played.
        decoder: Of Opus packets.
        deliver: Takes what is played: samples, mono, 48 kHz, and the second at which the first is.
    """

    def __init__(
        self,
        clock: Pace,
        buffer: JitterBuffer,
        decoder: OpusDecoder,
        deliver: Callable[[NDArray[np.int16], float], None],
    ) -> None:
        self.buffer = buffer
        self._clock = clock
        self._decoder = decoder
        self._deliver = deliver
        self._due: float | None = None
        self._ssrc: int | None = None
        self._ended = False
        self._news = asyncio.Event()

    def receive(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take an RTP packet that has just come."""
        samples = samples_in(payload)
        if samples == 0:
            return
        if ssrc != self._ssrc:
            if self._ssrc is not None:
                self.buffer.restart()
            self._ssrc = ssrc
        now, has_copy = self._clock.now(), self._decoder.has_copy(payload)
        self.buffer.put(Packet(sequence, timestamp, payload, samples, now, has_copy))
        self._news.set()

    def end(self) -> None:
        """Say that nothing more will come; `run` returns when all has been played."""
        self._ended = True
        self._news.set()

    async def run(self) -> None:
        """Play until the end."""
        while not (self._ended and not self.buffer.waiting_s):
            due = self.play()
            now = self._clock.now()
            if due is None:
                self._news.clear()
                if not self._ended:
                    await self._news.wait()
            elif due > now:
                await self._clock.sleep_until(due)
            else:
                await asyncio.sleep(0)

    def play(self) -> float | None:
        """Deliver what is due now; returns when to come again, None: when a packet has come."""
        now = self._clock.now()
        # By the plan, not by the timer, which is up to a millisecond late.
        at = now if self._due is None or now - self._due > _LATEST_S else self._due
        step = self.buffer.take(at)
        if isinstance(step, Wait):
            self._due = step.until_s
            return step.until_s
        pcm = self._sound(step)
        self._due = at + len(pcm) / RATE
        self._deliver(pcm, at)
        return self._due

    def _sound(self, step: Play | Recover | Conceal) -> NDArray[np.int16]:
        match step:
            case Play(packet, surplus):
                try:
                    return stretched(self._decoder.decode(packet.payload), surplus)
                except OpusError:
                    return self._decoder.conceal(packet.samples)
            case Recover(following, samples):
                try:
                    return self._decoder.recover(following.payload, samples)
                except OpusError:
                    return self._decoder.conceal(_whole(samples))[:samples]
            case Conceal(samples, last):
                pcm = self._decoder.conceal(_whole(samples))[:samples]
                if last:
                    pcm = np.rint(pcm * np.linspace(1.0, 0.0, len(pcm))).astype(np.int16)
                return pcm


def _whole(samples: int) -> int:
    """Return how much a decoder can make up at once: it counts in steps of 2.5 ms."""
    return -(-samples // 120) * 120 if samples < SLOT else SLOT
