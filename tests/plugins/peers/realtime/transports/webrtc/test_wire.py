"""What leaves for a server: the offer, and the sound of whatever stands before the call."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.codecs.opus import OpusEncoder
from aiortc.sdp import SessionDescription

from helpers import sound
from rtpipe import AudioFrame, Bus, Clock, Converter, Link, NotConnected, StageContext, audio
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime import Realtime
from rtpipe_plugins.peers.realtime.options import OpusOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import OutgoingTrack
from rtpipe_plugins.peers.realtime.transports.webrtc.connection import WebRtcConnection
from rtpipe_plugins.transforms.mute_gate.stage import MuteGate, MuteGateOptions
from rtpipe_webrtc.opus import opus_decoder, opus_encoder

LOG = logging.getLogger("rtpipe.stage.realtime")


def never(error: Exception) -> None:
    raise AssertionError(error)


def track_of(inlet: Link, clock: Any) -> OutgoingTrack:
    track = OutgoingTrack(clock, never)
    track.encoder = opus_encoder(OpusOptions())
    track.attach(inlet)
    return track


# -- the offer ---------------------------------------------------------------------------------


async def test_our_half_of_a_call_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Seen(RTCPeerConnection):
        def __init__(self, configuration: Any) -> None:
            asked.append(configuration.iceServers)
            super().__init__(configuration)

    monkeypatch.setattr(
        "rtpipe_plugins.peers.realtime.transports.webrtc.connection.RTCPeerConnection", Seen
    )
    call = WebRtcConnection(Clock(), "oai-events", [], lambda _: None, LOG)
    try:
        offer = SessionDescription.parse(await call.offer())
    finally:
        await call.close()
    assert asked == [[]]  # None would be Google's STUN server
    sound, channel = offer.media
    assert (sound.kind, sound.direction, channel.kind) == ("audio", "sendrecv", "application")
    assert sound.rtp.codecs[0].mimeType == "audio/opus"
    assert {candidate.type for candidate in sound.ice_candidates} == {"host"}


async def test_a_call_is_closed_once_or_twice() -> None:
    call = WebRtcConnection(Clock(), "oai-events", [], lambda _: None, LOG)
    await call.close()
    await call.close()
    assert call.incoming.received.closed
    assert not call.lost.done()  # it was not lost: we closed it


async def test_what_cannot_be_sent_ends_the_call() -> None:
    call = WebRtcConnection(Clock(), "oai-events", [], lambda _: None, LOG)
    with pytest.raises(NotConnected):
        call.transmit("{}")
    assert isinstance(call.lost.result(), NotConnected)
    await call.close()


# -- the sound ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "samples", "channels", "kind"),
    [
        (48_000, 960, 1, "s16"),
        (48_000, 1920, 2, "s16"),
        (48_000, 4800, 1, "fltp"),
        (48_000, 441, 2, "fltp"),
        (44_100, 1024, 1, "s16"),
        (24_000, 2400, 2, "s16"),
        (16_000, 320, 1, "fltp"),
        (8_000, 37, 1, "s16"),
    ],
)
async def test_any_frames_leave_pure_and_at_their_level(
    patient_link: Link, rate: int, samples: int, channels: int, kind: str
) -> None:
    framed = Converter(Realtime.accepts, frame_ms=Realtime.exact_ms)  # as a plan puts it before us
    t = np.arange(round(1.6 * rate)) / rate
    tone = np.rint(np.sin(2 * np.pi * 1000.0 * t) * 10_000).astype(np.int16)
    for at in range(0, len(tone), samples):
        pcm = np.repeat(tone[at : at + samples, None], channels, axis=1)
        frame = audio.from_pcm(pcm, sample_rate=rate, pts=at)
        if kind == "fltp":
            layout = "mono" if channels == 1 else "stereo"
            wave = np.ascontiguousarray(pcm.T / np.float32(32768))
            frame = AudioFrame.from_ndarray(wave, format="fltp", layout=layout)
            audio.stamp(frame, sample_rate=rate, pts=at)
        for whole in framed.process(frame):
            assert patient_link.offer(whole)
    track, decoder = track_of(patient_link, _Hurried()), opus_decoder()
    heard = np.concatenate([decoder.decode(bytes(await track.recv())) for _ in range(75)])
    middle = heard[24_000:72_000].astype(float)
    assert 20 * np.log10(np.sqrt(np.mean(middle**2)) / 10_000 * np.sqrt(2)) == pytest.approx(
        0.0, abs=0.1
    )
    assert purity(middle) > 0.99


def purity(pcm: np.ndarray) -> float:
    """Return how much of one second of sound is a tone of 1000 Hz, of 1."""
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm)))) ** 2
    return float(spectrum[990:1011].sum() / spectrum.sum())


class _Hurried:
    """A clock that nobody waits for."""

    time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, at: float) -> None:
        self.time = max(self.time, at)

    def next_tick(self, period_s: float) -> float:
        return self.time


def test_fifty_packets_a_second_leave_960_samples_apart(patient_link: Link) -> None:
    async def minute() -> list[Any]:
        clock = Clock()
        track = track_of(patient_link, clock)
        sound.fill(patient_link, sound.tone(20.0))  # and then the source stalls
        packets = []
        while clock.now() < 60.0:
            packets.append(await track.recv())
        return packets

    packets = run_virtual(minute())
    assert len(packets) == pytest.approx(3000, abs=30)
    encoder = OpusEncoder()  # what aiortc makes RTP timestamps with
    assert {b.pts - a.pts for a, b in pairwise(packets)} == {960}
    assert encoder.pack(packets[-1])[1] == 960 * (len(packets) - 1)


async def test_what_is_muted_leaves_as_zeros_and_never_later(patient_link: Link) -> None:
    bus = Bus()
    gate = MuteGate(MuteGateOptions(), StageContext("gate", Clock(), bus.publish, bus.subscribe))
    track = OutgoingTrack(_Hurried(), never)
    track.attach(patient_link)
    loud = np.full(960, 9000, np.int16)
    heard = []
    for n in range(30):
        if n == 10:
            gate.close_gate()
        if n == 20:
            gate.open_gate()
        frame = gate.process(audio.from_pcm(loud, sample_rate=48_000, pts=960 * n))
        assert isinstance(frame, AudioFrame)
        patient_link.offer(frame)
        heard.append(int(np.abs(audio.pcm(await track.recv())).min()))
    assert set(heard[:10]) == {9000}
    assert set(heard[11:20]) == {0}
    assert set(heard[21:]) == {9000}
    assert patient_link.depth_ms == 0
