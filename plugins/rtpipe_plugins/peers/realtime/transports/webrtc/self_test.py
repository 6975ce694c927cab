"""A call to oneself: a tone through Opus and WebRTC, and how much of it arrives.

Imports aiortc; imported only when the call is made.
"""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from av import AudioFrame

from rtpipe import audio
from rtpipe_webrtc.loopback import Hosts, gathering

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RATE = 48_000
_FRAME = 960
_FREQUENCY = 1000
_SKIPPED_S = 0.5
"""Opus and the jitter buffer settle."""
_HEARD_S = 1.0
_AMPLITUDE = 0.25 * 32768


class Loopback(NamedTuple):
    """What came of a call.

    Attributes:
        snr_db: How far the tone stands above everything else that arrives.
        connect_s: From the offer to the first audio.
    """

    snr_db: float
    connect_s: float


async def call_oneself() -> Loopback:
    """Send a tone from one peer to another over 127.0.0.1.

    Raises:
        OSError: There is no way from this machine to itself.
        TimeoutError: It did not connect, or nothing arrived. The caller sets the limit.
    """
    begun = time.monotonic()
    # Without a list aiortc asks Google's STUN server, which costs 5 s where it is unreachable.
    near, far = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    arriving: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
    far.on("track", arriving.set_result)
    try:
        with gathering(Hosts.LOOPBACK):
            near.addTrack(_Tone())
            await near.setLocalDescription(await near.createOffer())
            await far.setRemoteDescription(near.localDescription)
            await far.setLocalDescription(await far.createAnswer())
            await near.setRemoteDescription(far.localDescription)
        track = await arriving
        first = await _pcm(track)
        connect_s = time.monotonic() - begun
        parts = [first]
        while sum(map(len, parts)) < (_SKIPPED_S + _HEARD_S) * _RATE:
            parts.append(await _pcm(track))
    finally:
        await near.close()
        await far.close()
    heard = np.concatenate(parts)[-round(_HEARD_S * _RATE) :]
    return Loopback(tone_snr_db(heard, _FREQUENCY, _RATE), connect_s)


def tone_snr_db(heard: NDArray[np.float64], frequency: float, sample_rate: int) -> float:
    """Return how far a sine stands above all else in `heard` (dB); its phase and level are free."""
    t = 2 * np.pi * frequency * np.arange(len(heard)) / sample_rate
    basis = np.stack([np.sin(t), np.cos(t), np.ones_like(t)], axis=1)
    parts, *_ = np.linalg.lstsq(basis, heard, rcond=None)
    tone = basis[:, :2] @ parts[:2]
    rest = heard - tone
    return float(10 * np.log10(max(tone @ tone, 1e-12) / max(rest @ rest, 1e-12)))


async def _pcm(track: MediaStreamTrack) -> NDArray[np.float64]:
    frame = await track.recv()
    assert isinstance(frame, AudioFrame)
    return audio.pcm(frame)[:, 0].astype(np.float64)


class _Tone(MediaStreamTrack):
    """A sine in frames of 20 ms, paced: aiortc's sender does not do that."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._begun = 0.0

    async def recv(self) -> AudioFrame:
        self._begun = self._begun or time.monotonic()
        await asyncio.sleep(self._begun + self._count * _FRAME / _RATE - time.monotonic())
        at = self._count * _FRAME
        self._count += 1
        t = 2 * np.pi * _FREQUENCY * np.arange(at, at + _FRAME) / _RATE
        mono = np.rint(_AMPLITUDE * np.sin(t)).astype(np.int16)
        frame = audio.from_pcm(np.stack([mono, mono], axis=1), sample_rate=_RATE, pts=at)
        frame.time_base = Fraction(1, _RATE)
        return frame
