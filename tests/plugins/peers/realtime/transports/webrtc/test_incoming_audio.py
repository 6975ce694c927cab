"""What arrives, without a call: frames of a track, and packets that are played."""

from __future__ import annotations

import asyncio
import logging
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from helpers.fake_clock import FakeClock
from rtpipe import Clock, Link, audio
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.options import JitterOptions, OpusOptions
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import IncomingAudio
from rtpipe_webrtc.opus import opus_encoder

LOG = logging.getLogger("rtpipe.stage.realtime")


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
    class Mistaken(Link):
        offer = None  # type: ignore[assignment]

    async def call() -> None:
        clock = Clock()
        incoming = IncomingAudio(clock, LOG)
        incoming.begin()
        incoming.received = Mistaken("mistaken")
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
