"""Playout: RTP packets in, an even stream of samples out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from rtpipe import audio
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
from rtpipe_webrtc.opus import OpusDecoder, is_celt, samples_in
from rtpipe_webrtc.time_scale import stretched

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rtpipe_webrtc.pace import Pace

_EARLY_S = SLOT / RATE
"""So much before its turn a packet is played when one comes."""
_LONGEST_PAUSE = RATE // 5
"""Where old sound is caught up with, longer silences are cut to this (samples)."""
_LATEST_S = 0.06
"""Until then what should have been played is played at once; later, time has jumped."""


class Playout:
    """Decodes each packet when it is its turn, and makes up what is missing.

    When a packet comes, what is to be played next is played with it if it is there, by the length
    of a packet too early at the most: to wake up again would cost more than to decode it.

    Args:
        clock: Says when it is; runs as the event loop's does.
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
        self._silent = 0
        """For how long what is caught up with has been silent (samples)."""
        self._ssrc: int | None = None
        self._ended = False
        self._over: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take an RTP packet that has just come."""
        samples = samples_in(payload)
        if samples == 0:
            return
        if ssrc != self._ssrc:
            if self._ssrc is not None:
                self.buffer.restart()
            self._ssrc = ssrc
        now = self._clock.now()
        has_copy = not is_celt(payload) and self._decoder.has_copy(payload)
        self.buffer.put(Packet(sequence, timestamp, payload, samples, now, has_copy))
        if self._due is None or (self._due - now <= _EARLY_S and self.buffer.has_next):
            self._go_on()

    def end(self) -> None:
        """Say that nothing more will come; `run` returns when all has been played."""
        self._ended = True
        if self._due is None:
            self._go_on()

    async def run(self) -> None:
        """Play until the end."""
        self._over = asyncio.get_running_loop().create_future()
        try:
            self._go_on()
            await self._over
        finally:
            self._over = None
            self._rest()

    def _wake(self) -> None:
        try:
            self._go_on()
        except Exception as error:  # noqa: BLE001 - asyncio would only log it
            if self._over is not None and not self._over.done():
                self._over.set_exception(error)

    def _go_on(self) -> None:
        """Play what is due, and wait for what will be."""
        over = self._over
        if over is None or over.done():
            return
        self._rest()
        while not (self._ended and not self.buffer.waiting_s):
            due = self.play()
            if due is None:
                if not self._ended:
                    return
                continue
            wait_s = due - self._clock.now()
            if wait_s > 0:
                self._timer = over.get_loop().call_later(wait_s, self._wake)
                return
        over.set_result(None)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

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
        if self.buffer.behind and self._is_long_silence(pcm):
            self.buffer.leave_out()
            self._due = at
            return at
        self._due = at + len(pcm) / RATE
        self._deliver(pcm, at)
        return self._due

    def _is_long_silence(self, pcm: NDArray[np.int16]) -> bool:
        self._silent = 0 if audio.peak(pcm) >= audio.AUDIBLE else self._silent + len(pcm)
        return self._silent > _LONGEST_PAUSE

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
