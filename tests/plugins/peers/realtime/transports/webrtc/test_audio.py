"""The edge of the call, without a call: pacing, levels, and the order of time."""

from __future__ import annotations

import asyncio
import logging
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet
from hypothesis import given
from hypothesis import strategies as st

from helpers import sound
from rtpipe import Clock, Link, QueuePolicy, WhenFull, audio
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.options import JitterOptions, OpusOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import (
    IncomingAudio,
    OutgoingTrack,
    SampleClock,
)
from rtpipe_webrtc.opus import opus_decoder, opus_encoder
from rtpipe_webrtc.pace import Slots

LOG = logging.getLogger("rtpipe.stage.realtime")


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 100.0
        self.overslept = 0.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, at: float) -> None:
        self.time = max(self.time, at) + self.overslept


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def link() -> Link:
    return Link("test", QueuePolicy(1e9, WhenFull.BLOCK, trim=False))


def never(error: Exception) -> None:
    raise AssertionError(error)


# -- what leaves -------------------------------------------------------------------------------


async def test_slots_come_every_20_ms_without_drift(clock: FakeClock) -> None:
    slots = Slots(clock)
    clock.overslept = 0.004  # every timer fires late; the next slot does not inherit it
    times = []
    for _ in range(500):
        assert await slots.next() == len(times)
        times.append(clock.now())
    assert times[-1] - times[0] == pytest.approx(499 * 0.02, abs=0.005)


async def test_a_small_delay_is_caught_up_and_a_long_one_skipped(clock: FakeClock) -> None:
    slots = Slots(clock)
    assert [await slots.next() for _ in range(3)] == [0, 1, 2]
    clock.time += 0.15
    assert [await slots.next() for _ in range(3)] == [3, 4, 5]
    clock.time += 60.0
    burst = clock.now()
    late = await slots.next()
    assert late > 3000
    assert [await slots.next() for _ in range(3)] == [late + 1, late + 2, late + 3]
    assert clock.now() - burst == pytest.approx(0.06, abs=0.021)


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


# -- what arrives ------------------------------------------------------------------------------


def test_frames_in_time_keep_their_order_and_distance() -> None:
    timeline = SampleClock()
    places = [timeline.place(960 * n, 960, 5000 + 960 * n + 70 * (n % 3)) for n in range(100)]
    assert places == [5000 + 960 * n for n in range(100)]


def test_a_lost_frame_is_a_hole_of_its_length() -> None:
    timeline = SampleClock()
    places = [timeline.place(960 * n, 960, 960 * n) for n in (0, 1, 2, 5, 6)]
    assert places == [0, 960, 1920, 4800, 5760]


def test_where_the_far_clock_stood_still_ours_is_right() -> None:
    timeline = SampleClock()
    timeline.place(0, 960, 0)
    assert timeline.place(960, 960, 5 * 48_000) == 5 * 48_000
    assert timeline.place(1920, 960, 5 * 48_000 + 960) == 5 * 48_000 + 960


def test_a_burst_after_a_stall_keeps_every_sample() -> None:
    timeline = SampleClock()
    places = [timeline.place(960 * n, 960, 480_000) for n in range(500)]
    assert places == [480_000 + 960 * n for n in range(500)]


def test_a_far_clock_that_leaps_makes_no_hole_of_hours() -> None:
    timeline = SampleClock()
    assert timeline.place(0, 960, 0) == 0
    assert timeline.place(2**31, 960, 960) == 960
    assert timeline.place(2**31 + 960, 960, 1920) == 1920


@given(
    st.lists(
        st.tuples(st.integers(-(2**33), 2**33), st.integers(1, 5760), st.integers(0, 2**33)),
        max_size=30,
    )
)
def test_whatever_the_far_clock_does_time_never_overlaps(
    frames: list[tuple[int, int, int]],
) -> None:
    timeline = SampleClock()
    ends = 0
    for remote, samples, arrived in frames:
        pts = timeline.place(remote, samples, arrived)
        assert pts >= ends
        ends = pts + samples


def remote_frame(pts: int, value: int = 4000) -> Any:
    pcm = np.full((960, 2), value, np.int16)
    return audio.from_pcm(pcm, sample_rate=48_000, pts=pts)


def test_what_arrives_is_canonical_and_stamped(clock: FakeClock) -> None:
    incoming = IncomingAudio(clock, LOG)
    incoming.take(remote_frame(0))
    assert incoming.received.depth_ms == 0  # nobody has begun to listen
    incoming.begin()
    for n in range(5):
        clock.time += 0.02
        incoming.take(remote_frame(960 * (n + 1), 1000 * n))
    previous = None
    for n in range(5):
        frame = incoming.received.get_nowait()
        assert frame is not None
        audio.check_frame(frame, previous)
        previous = frame
        assert (frame.samples, frame.layout.name, frame.sample_rate) == (960, "mono", 48_000)
        assert frame.pts == 960 * (n + 1)
        assert set(audio.pcm(frame).ravel()) == {1000 * n}
        assert audio.meta(frame).captured_at == pytest.approx(100.0 + 0.02 * (n + 1))


def test_g711_arrives_in_the_same_form(clock: FakeClock) -> None:
    incoming = IncomingAudio(clock, LOG)
    incoming.begin()
    for n in range(50):
        quiet = np.full(160, 4000, np.int16)
        incoming.take(audio.from_pcm(quiet, sample_rate=8000, pts=160 * n))
        clock.time += 0.02
    frames = []
    while (frame := incoming.received.get_nowait()) is not None:
        audio.check_frame(frame, frames[-1] if frames else None)
        frames.append(frame)
    assert sum(frame.samples for frame in frames) == pytest.approx(48_000, abs=1000)


def test_what_nobody_takes_is_dropped_said_and_bounded(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    incoming = IncomingAudio(clock, LOG)
    incoming.begin()
    for n in range(200):
        clock.time += 0.02
        incoming.take(remote_frame(960 * n))
    assert incoming.received.depth_ms == 1000
    assert incoming.received.statistics.dropped_ms == 3000
    assert len(caplog.records) == 1
    incoming.reset()
    assert incoming.received.depth_ms == 0


def test_it_knows_when_the_model_was_last_audible(clock: FakeClock) -> None:
    incoming = IncomingAudio(clock, LOG)
    incoming.begin()
    for n, value in enumerate((4000, 0, -4000, 0, 10)):
        clock.time = 200.0 + n
        incoming.take(remote_frame(960 * n, value))
    assert incoming.audible_at == 202.0


def opus_packets(count: int, hz: float = 440.0, **options: Any) -> list[bytes]:
    encoder = opus_encoder(OpusOptions(**options))
    assert encoder is not None
    t = np.arange(960 * count) / 48_000
    buzz = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 12))
    pcm = np.rint(5000 * buzz).astype(np.int16)
    return [encoder.encode(pcm[at : at + 960]) for at in range(0, len(pcm), 960)]


class Silent(MediaStreamTrack):
    """A track of which aiortc gives nothing, since its packets are taken out before."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    async def recv(self) -> Any:
        await self.ended.wait()
        raise MediaStreamError


async def played(incoming: IncomingAudio, clock: Clock, packets: list[bytes | None]) -> list[Any]:
    """Have packets come in time, 960 samples each; None is lost; return what `received` held."""
    track = Silent()
    pump = asyncio.create_task(incoming.pump(track))
    for n, payload in enumerate(packets):
        await clock.sleep_until(n * 0.02)
        if payload is not None:
            incoming.playout.receive(7, 1000 + n, 960 * n, payload)
    track.ended.set()
    await pump
    return [frame async for frame in incoming.received]


def test_packets_are_played_to_the_last_with_an_even_step() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        frames = await played(incoming, clock, [*opus_packets(50)])
        previous = None
        for frame in frames:
            audio.check_frame(frame, previous)
            if previous is not None:
                assert frame.pts == previous.pts + previous.samples
            previous = frame
        assert frames[0].pts == pytest.approx(960, abs=100)  # kept back by the first target
        assert sum(frame.samples for frame in frames) == pytest.approx(48_000, abs=1000)
        for frame in frames:
            assert audio.meta(frame).captured_at == pytest.approx(frame.pts / 48_000, abs=1e-4)
        assert incoming.audible_at == pytest.approx(1.0, abs=0.03)

    run_virtual(call())


def test_a_second_of_tone_arrives_whole_and_pure() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        encoder = opus_encoder(OpusOptions())
        assert encoder is not None
        t = np.arange(48_000) / 48_000
        tone = np.rint(np.sin(2 * np.pi * 1000 * t) * 10_000).astype(np.int16)
        pcm = np.concatenate([np.zeros(4800, np.int16), tone, np.zeros(9600, np.int16)])
        packets = [encoder.encode(pcm[at : at + 960]) for at in range(0, len(pcm), 960)]
        playing = asyncio.create_task(played(incoming, clock, [*packets]))
        heard = np.concatenate(
            [audio.pcm(frame)[:, 0] async for frame in incoming.received]
        ).astype(float)
        await playing
        loud = np.flatnonzero(np.abs(heard) > 1000)
        assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(1.0, abs=0.02)
        middle = heard[loud[0] + 4800 :][:38_400]
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(38_400))) ** 2
        assert spectrum[790:811].sum() / spectrum.sum() > 0.99

    run_virtual(call())


def test_a_lost_packet_is_no_hole() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        packets: list[bytes | None] = [*opus_packets(50)]
        packets[20] = None
        frames = await played(incoming, clock, packets)
        heard = np.concatenate([audio.pcm(frame)[:, 0] for frame in frames]).astype(float)
        assert len(heard) == pytest.approx(48_000, abs=1000)
        power = [np.mean(part**2) for part in np.split(heard[2400:45600], 90)]
        assert min(power) > 0.5 * np.median(power)
        assert incoming.buffer.statistics.lost == 1

    run_virtual(call())


def test_what_waits_when_the_track_ends_is_still_played() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG, JitterOptions(target_ms=150))
        incoming.begin()
        frames = await played(incoming, clock, [*opus_packets(50)])
        assert sum(frame.samples for frame in frames) == pytest.approx(48_000, abs=500)
        assert incoming.received.closed

    run_virtual(call())


def test_a_copy_that_comes_in_time_is_used() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG, JitterOptions(target_ms=60))
        incoming.begin()
        packets: list[bytes | None] = [
            *opus_packets(100, 140.0, application="voip", fec=True, bitrate=24_000)
        ]
        packets[4:24:2] = [None] * 10  # a buzz that goes on is noise, of which there are no copies
        await played(incoming, clock, packets)
        counted = incoming.buffer.statistics
        assert counted.lost == 10
        assert counted.recovered >= 5
        assert counted.recovered + counted.concealed / 960 == 10

    run_virtual(call())


def test_what_is_played_before_anybody_listens_is_dropped() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        asyncio.get_running_loop().call_later(0.5, incoming.begin)
        frames = await played(incoming, clock, [*opus_packets(50)])
        assert sum(frame.samples for frame in frames) == pytest.approx(24_000, abs=2000)
        assert 0 <= frames[0].pts < 960

    run_virtual(call())


def test_a_pause_of_the_far_end_is_a_hole_of_its_length() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        packets: list[bytes | None] = [*opus_packets(100)]
        packets[20:70] = [None] * 50
        frames = await played(incoming, clock, packets)
        holes = [
            b.pts - a.pts - a.samples for a, b in pairwise(frames) if b.pts > a.pts + a.samples
        ]
        assert len(holes) == 1
        assert holes[0] == pytest.approx(50 * 960 - 6 * 960, abs=1500)

    run_virtual(call())


def test_a_reset_leaves_nothing_of_what_has_come() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG, JitterOptions(target_ms=150))
        incoming.begin()
        # Less than `received` takes: else the oldest would go without a reset.
        old, new = opus_packets(50, hz=440.0), opus_packets(40, hz=1000.0)
        asyncio.get_running_loop().call_later(0.99, incoming.reset)
        frames = await played(incoming, clock, [*old, *new])
        heard = np.concatenate([audio.pcm(frame)[:, 0] for frame in frames]).astype(float)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
        hz = np.fft.rfftfreq(len(heard), 1 / 48_000)
        of_old = spectrum[(hz > 400) & (hz < 480)].sum() / spectrum.sum()
        assert of_old < 0.01
        assert len(heard) == pytest.approx(38_400, abs=1500)
        assert incoming.buffer.statistics.lost == 0

    run_virtual(call())


def test_rubbish_in_a_packet_is_made_up_for() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        packets: list[bytes | None] = [*opus_packets(50)]
        packets[20], packets[30] = b"", b"\xfb\x81\xff\xff"
        frames = await played(incoming, clock, packets)
        assert sum(frame.samples for frame in frames) == pytest.approx(48_000, abs=2000)

    run_virtual(call())


def test_a_mistake_of_ours_in_playing_ends_the_pump() -> None:
    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        incoming.received.offer = None  # type: ignore[assignment,method-assign]
        with pytest.raises(TypeError):
            await played(incoming, clock, [*opus_packets(5)])

    run_virtual(call())


async def test_the_pump_ends_with_the_track(clock: FakeClock) -> None:
    class Three(MediaStreamTrack):
        kind = "audio"
        left = 3

        async def recv(self) -> Any:
            self.left -= 1
            if self.left < 0:
                raise MediaStreamError
            return remote_frame(960 * (2 - self.left))

    incoming = IncomingAudio(clock, LOG)
    incoming.begin()
    await incoming.pump(Three())
    assert incoming.received.closed
    assert incoming.received.depth_ms == 60
