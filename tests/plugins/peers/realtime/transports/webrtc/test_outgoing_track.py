"""What leaves, without a call: silence, levels, packets."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from av.packet import Packet

from helpers import sound
from helpers.fake_clock import FakeClock
from rtpipe import Clock, Link, QueuePolicy, WhenFull, audio
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.options import OpusOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import OutgoingTrack
from rtpipe_webrtc.opus import opus_decoder, opus_encoder


def link() -> Link:
    return Link("test", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))


def never(error: Exception) -> None:
    raise AssertionError(error)


async def test_the_track_sends_silence_before_between_and_after(clock: FakeClock) -> None:
    track = OutgoingTrack(clock, never)
    inlet = link()
    frames = [await track.recv() for _ in range(2)]
    track.attach(inlet)
    frames.append(await track.recv())
    inlet.offer(audio.from_pcm(np.full(960, 9000, np.int16), sample_rate=48_000, pts=0))
    frames.append(await track.recv())
    assert not track.inlet_ended
    inlet.close()
    frames += [await track.recv() for _ in range(2)]
    assert track.inlet_ended
    assert [frame.pts for frame in frames] == [960 * n for n in range(6)]
    assert [int(audio.pcm(frame).max()) for frame in frames] == [0, 0, 0, 9000, 0, 0]
    for frame in frames:
        audio.check_frame(frame)
        assert (frame.samples, frame.layout.name, frame.format.name) == (960, "stereo", "s16")
        assert (audio.pcm(frame)[:, 0] == audio.pcm(frame)[:, 1]).all()


async def test_the_level_survives_aiortcs_encoder(clock: FakeClock) -> None:
    track = OutgoingTrack(clock, never)
    inlet = link()
    track.attach(inlet)
    tone = sound.tone(2.0, hz=1000.0, peak=0.5)
    sound.fill(inlet, tone)
    encoder, decoder = OpusEncoder(), OpusDecoder()
    heard = []
    for _ in range(100):
        payloads, timestamp = encoder.encode(await track.recv())
        for payload in payloads:
            (frame,) = decoder.decode(JitterFrame(data=payload, timestamp=timestamp))
            heard.append(audio.pcm(frame)[:, 0].astype(float))
    middle = np.concatenate(heard)[24_000:72_000]
    level_db = 20 * np.log10(
        np.sqrt(np.mean(middle**2)) / np.sqrt(np.mean(tone.astype(float) ** 2))
    )
    assert level_db == pytest.approx(0.0, abs=0.1)


async def test_it_knows_when_the_visitor_was_last_audible(clock: FakeClock) -> None:
    track = OutgoingTrack(clock, never)
    inlet = link()
    track.attach(inlet)
    for level in (5000, 20, -5000, 20, 0):
        inlet.offer(audio.from_pcm(np.full(960, level, np.int16), sample_rate=48_000, pts=0))
    times = []
    for _ in range(5):
        await track.recv()
        times.append(clock.now())
    assert track.audible_at == times[2]


async def test_a_frame_that_would_break_the_sound_is_an_error_that_is_heard_of(
    clock: FakeClock,
) -> None:
    failures: list[Exception] = []
    track = OutgoingTrack(clock, failures.append)
    inlet = link()
    track.attach(inlet)
    inlet.offer(audio.silence(1920, pts=0))
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert [str(failure) for failure in failures] == [
        "the call needs frames of 960 samples, s16, mono, 48000 Hz"
    ]


async def test_with_an_encoder_it_gives_packets(clock: FakeClock) -> None:
    track = OutgoingTrack(clock, never)
    track.encoder = opus_encoder(OpusOptions())
    inlet = link()
    track.attach(inlet)
    tone = sound.tone(2.0, hz=1000.0, peak=0.5)
    sound.fill(inlet, tone)
    packets = [await track.recv() for _ in range(100)]
    assert all(isinstance(packet, Packet) for packet in packets)
    assert [packet.pts for packet in packets] == [960 * n for n in range(100)]
    assert {packet.time_base for packet in packets} == {Fraction(1, 48_000)}
    payloads, timestamp = OpusEncoder().pack(packets[3])  # how aiortc sends it
    assert (payloads, timestamp) == ([bytes(packets[3])], 2880)
    heard = np.concatenate([opus_decoder().decode(bytes(packet)) for packet in packets])
    assert np.abs(heard).max() == pytest.approx(np.abs(tone).max(), rel=0.2)
    assert track.audible_at > 100.0


async def test_a_track_that_is_stopped_while_it_waits_leaves_the_inlet_alone() -> None:
    class Stopping(FakeClock):
        async def sleep_until(self, at: float) -> None:
            track.stop()

    track = OutgoingTrack(Stopping(), never)
    inlet = link()
    track.attach(inlet)
    inlet.offer(audio.silence(960, pts=0))
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert inlet.depth_ms == 20


async def test_a_stopped_track_gives_nothing(clock: FakeClock) -> None:
    track = OutgoingTrack(clock, never)
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


# -- past aiortc -------------------------------------------------------------------------------


class Path:
    """What follows the first packet, each with when it was sent (ms)."""

    def __init__(self, clock: Clock) -> None:
        self.open = False
        self.sent: list[tuple[float, int]] = []
        self._clock = clock

    def learn(self) -> bool:
        self.open = True
        return True

    def send(self, payload: bytes, ticks: int) -> None:
        assert payload
        self.sent.append((round(self._clock.now() * 1000, 3), ticks))


class Sending:
    """A track whose first packet has been taken: all others it sends itself, from 20 ms on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.inlet = link()
        self.track = OutgoingTrack(self.clock, never)
        self.track.encoder = opus_encoder(OpusOptions())
        self.path: Any = Path(self.clock)
        self.track.path = self.path
        self.track.attach(self.inlet)

    async def start(self) -> None:
        assert isinstance(await self.track.recv(), Packet)
        self._task = asyncio.create_task(self.track.recv())  # type: ignore[arg-type]

    def speak(self, frames: int) -> None:
        for _ in range(frames):
            self.inlet.offer(
                audio.from_pcm(np.full(960, 9000, np.int16), sample_rate=48_000, pts=0)
            )

    async def stop(self) -> None:
        self.track.stop()
        with pytest.raises(MediaStreamError):
            await self._task


def test_the_path_takes_all_packets_but_the_first_each_in_its_slot() -> None:
    async def call() -> None:
        sending = Sending()
        await sending.start()
        await sending.clock.sleep_until(0.109)
        await sending.stop()
        assert sending.path.sent == [(20.0 * n, 960 * n) for n in range(1, 6)]

    run_virtual(call())


def test_a_slot_is_brought_forward_when_its_sound_is_there() -> None:
    async def call() -> None:
        sending = Sending()
        await sending.start()
        await sending.clock.sleep_until(0.012)
        sending.track.nudge()  # there is nothing to send yet
        sending.speak(3)
        await sending.clock.sleep_until(0.015)
        for _ in range(5):  # packets in a burst bring one slot forward, not five
            sending.track.nudge()
        assert sending.path.sent == [(15.0, 960)]
        await sending.clock.sleep_until(0.061)
        sending.track.nudge()
        await sending.clock.sleep_until(0.101)
        await sending.stop()
        ticks = [ticks for _, ticks in sending.path.sent]
        assert ticks == [960 * n for n in range(1, len(ticks) + 1)]
        times = [at for at, _ in sending.path.sent]
        assert times == [15.0, 40.0, 60.0, 80.0, 100.0]
        assert sending.inlet.statistics.frames_out == 3

    run_virtual(call())


def test_a_track_that_was_stopped_is_not_nudged() -> None:
    async def call() -> None:
        sending = Sending()
        await sending.start()
        sending.speak(1)
        sending.track.stop()
        sending.track.nudge()
        await sending.stop()
        assert sending.path.sent == []
        assert sending.inlet.depth_ms == 20  # it belongs to the next call

    run_virtual(call())


async def test_without_a_path_aiortc_is_given_each_packet(clock: FakeClock) -> None:
    track = OutgoingTrack(clock, never)
    track.encoder = opus_encoder(OpusOptions())

    class Shut(Path):
        def learn(self) -> bool:
            return False

    track.path = Shut(Clock())  # type: ignore[assignment]
    packets = [await track.recv() for _ in range(3)]
    assert [packet.pts for packet in packets] == [0, 960, 1920]
