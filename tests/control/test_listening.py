"""Listening to a stage: to the sample what it gives out, and nobody is the later for it."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

import rtpipe
from helpers.listening import tracks
from rtpipe import StageError
from rtpipe.testing import run_virtual
from rtpipe_control.view import listening
from rtpipe_control.view.listening import BEHIND_S, Listener, Taps

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 48_000
NOISE = """
version: 1
name: hall
stages:
  - tone: {{waveform: noise, level_dbfs: -20, realtime: true, duration_s: {seconds}}}
  - gain: -3
  - recorder: {{path: "{path}"}}
"""


async def heard(listener: Listener) -> bytes:
    data = b""
    while (more := await listener.next()) is not None:
        data += more
    return data


def samples(stream: bytes) -> NDArray[np.int16]:
    """Return what a WAV without an end holds, read by its header."""
    assert stream[:4] == b"RIFF"
    assert stream[8:16] == b"WAVEfmt "
    whole = io.BytesIO(stream[:40] + (len(stream) - 44).to_bytes(4, "little") + stream[44:])
    with wave.open(whole) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (RATE, 2, 1)
        return np.frombuffer(file.readframes(1 << 30), "<i2")


def test_what_is_heard_is_what_is_recorded_to_the_sample(tmp_path: Path) -> None:
    pipeline = rtpipe.loads(NOISE.format(seconds=5, path=tmp_path / "hall.wav"))

    async def run() -> bytes:
        async with pipeline:
            taps = Taps(pipeline)
            await asyncio.sleep(1.01)
            listener, leave = taps.join("gain", "wav")
            reading = asyncio.create_task(heard(listener))
            await asyncio.sleep(2)
            leave()
            assert taps.listeners == 0
            await asyncio.sleep(3)
            return await reading

    stream = run_virtual(run())
    (recorded,) = tracks(tmp_path / "hall.wav", rate=RATE)
    said = samples(stream)
    assert len(said) == 2 * RATE
    begin = int(1.02 * RATE)
    assert (recorded[begin : begin + len(said)] == said).all()
    assert len(recorded) == 5 * RATE


def test_a_hole_is_silence_of_its_length_and_pushes_nothing_aside(tmp_path: Path) -> None:
    """The second voice begins late and pauses; the recorder aligns it, and so does the tap."""
    rng = np.random.default_rng(1)
    noise = rng.integers(-9000, 9000, 6 * RATE, dtype=np.int16)
    noise[2 * RATE : 4 * RATE] = 0
    given = np.concatenate([noise[: 2 * RATE], noise[4 * RATE :]])
    pauses = {2 * RATE: 2 * RATE}

    async def run() -> bytes:
        pipeline = rtpipe.loads(NOISE.format(seconds=20, path=tmp_path / "x.wav"))
        async with pipeline:
            taps = Taps(pipeline)
            listener, leave = taps.join("gain", "wav")
            (tap,) = taps._taps.values()
            tap._end()  # fed by hand
            reading = asyncio.create_task(heard(listener))
            pts = 0
            for start in range(0, len(given), 960):
                await asyncio.sleep(pauses.get(start, 0) / RATE)
                pts += pauses.get(start, 0)
                piece = given[start : start + 960]
                tap._take(rtpipe.audio.from_pcm(piece, sample_rate=RATE, pts=pts))
                pts += 960
                await asyncio.sleep(0.02)
            leave()
            return await reading

    said = samples(run_virtual(run()))
    assert len(said) == 6 * RATE
    assert (said == noise).all()


def test_an_mp3_is_one_for_all_and_players_read_it() -> None:
    async def run() -> tuple[bytes, bytes]:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, gain: 0, blackhole]")
        async with pipeline:
            taps = Taps(pipeline)
            first, leave_first = taps.join("tone", "mp3")
            one = asyncio.create_task(heard(first))
            await asyncio.sleep(1)
            second, leave_second = taps.join("tone", "mp3")
            other = asyncio.create_task(heard(second))
            assert len(taps._taps) == 1
            await asyncio.sleep(2)
            leave_first()
            leave_second()
            return await one, await other

    for stream, seconds in zip(run_virtual(run()), (3, 2), strict=True):
        with av.open(io.BytesIO(stream), format="mp3") as file:
            data = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
        assert len(data) / RATE == pytest.approx(seconds, abs=0.15)
        spectrum = np.abs(np.fft.rfft(data[RATE // 2 : RATE * 3 // 2]))
        assert int(np.argmax(spectrum)) == 440, "one bin a hertz"


def test_one_who_does_not_read_loses_and_delays_nobody() -> None:
    async def run() -> tuple[float, float]:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, blackhole]")
        async with pipeline:
            taps = Taps(pipeline)
            listener, _ = taps.join("tone", "wav")
            await asyncio.sleep(60)
            (link,) = pipeline.state()[1].links
            return listener.lost_s, link.dropped_ms

    lost_s, dropped_ms = run_virtual(run())
    assert lost_s == pytest.approx(60 - listening._MOST_WAITING_S, abs=0.1)
    assert dropped_ms == 0


async def test_there_is_nothing_to_hear_of_a_stage_that_is_not_there() -> None:
    pipeline = rtpipe.loads("version: 1\nstages: [tone, blackhole]")
    with pytest.raises(StageError, match="no stage `gone`"):
        Taps(pipeline).join("gone", "wav")


async def test_what_a_stream_begins_with_is_not_lost_though_nobody_reads() -> None:
    listener = Listener()
    listener.begin(b"head")
    for _ in range(3):
        listener.take(b"six seconds", 6.0)
    listener.end()
    assert await heard(listener) == b"head" + b"six seconds"
    assert listener.lost_s == 12.0


def test_a_stream_that_stood_still_goes_on_whole() -> None:
    """A source that waits for two seconds (its pts do not) is late for ever, and no less heard."""
    rng = np.random.default_rng(2)
    noise = rng.integers(1, 9000, 3 * RATE, dtype=np.int16)

    async def run() -> bytes:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, gain: 0, blackhole]")
        async with pipeline:
            taps = Taps(pipeline)
            listener, leave = taps.join("gain", "wav")
            (tap,) = taps._taps.values()
            tap._end()  # fed by hand
            reading = asyncio.create_task(heard(listener))
            for start in range(0, len(noise), 960):
                await asyncio.sleep(2.02 if start == RATE else 0.02)
                piece = noise[start : start + 960]
                tap._take(rtpipe.audio.from_pcm(piece, sample_rate=RATE, pts=start))
            leave()
            return await reading

    said = samples(run_virtual(run()))
    assert (said[said != 0] == noise).all()
    silent = int((said == 0).sum())
    assert 0.5 * RATE < silent < 2 * RATE


def test_a_stage_that_gives_nothing_is_silence_after_a_second() -> None:
    async def run() -> bytes:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, gain: 0, blackhole]")
        taps = Taps(pipeline)  # of a pipeline that has not begun
        listener, leave = taps.join("gain", "wav")
        reading = asyncio.create_task(heard(listener))
        await asyncio.sleep(4.05)
        leave()
        return await reading

    said = samples(run_virtual(run()))
    assert not said.any()
    assert len(said) / RATE == pytest.approx(4.0 - 1.0 - BEHIND_S["wav"], abs=0.11)


FALLING = """
version: 1
name: hall
stages:
  - flaky:
    on_error: {restart: {tries: 3, backoff_s: [0.5, 0.5]}}
    fallback: {tone: {realtime: true}}
  - blackhole
"""


class Flaky(rtpipe.Source[rtpipe.Options]):
    """Breaks off after a second: twice by a fault, then for want of its surroundings."""

    kind = "flaky"
    opened = 0

    @classmethod
    def has_clock(cls, options: rtpipe.Options) -> bool:
        return True

    async def frames(self) -> AsyncIterator[rtpipe.AudioFrame]:
        Flaky.opened += 1
        begun = self.ctx.now()
        for number in range(50):
            await self.ctx.clock.sleep_until(begun + number * 0.02)
            piece = np.full(960, 1000 * Flaky.opened, np.int16)
            yield rtpipe.audio.from_pcm(piece, sample_rate=RATE, pts=number * 960)
        if Flaky.opened == 3:
            raise rtpipe.EnvironmentProblem("it is gone")
        raise RuntimeError("broke off")


class FlakyPlugin:
    @rtpipe.hookimpl
    def rtpipe_stages(self) -> list[type[rtpipe.Source[rtpipe.Options]]]:
        return [Flaky]


def test_a_tap_stays_with_a_stage_that_restarts_and_with_its_fallback() -> None:
    Flaky.opened = 0

    async def run() -> bytes:
        pipeline = rtpipe.loads(FALLING, plugins=[FlakyPlugin()])
        async with pipeline:
            taps = Taps(pipeline)
            listener, leave = taps.join("flaky", "wav")
            reading = asyncio.create_task(heard(listener))
            await asyncio.sleep(6)
            leave()
            return await reading

    said = samples(run_virtual(run()))
    assert Flaky.opened == 3
    for value in (1000, 2000, 3000):
        assert int((said == value).sum()) == pytest.approx(RATE, abs=960), value
    tail = said[-RATE:]
    spectrum = np.abs(np.fft.rfft(tail))
    assert int(np.argmax(spectrum)) == 440, "the fallback's tone"
    assert len(said) / RATE == pytest.approx(6.0, abs=0.1)


def test_one_who_is_too_slow_is_told_of_and_nobody_else_is_slowed() -> None:
    async def run() -> list[rtpipe.Event]:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, blackhole]")
        told: list[rtpipe.Event] = []
        pipeline.bus.subscribe("control.*", told.append)
        async with pipeline:
            taps = Taps(pipeline)
            _, leave = taps.join("tone", "mp3")
            other, leave_other = taps.join("tone", "wav")
            reading = asyncio.create_task(heard(other))
            await asyncio.sleep(30)
            leave()
            leave_other()
            assert len(samples(await reading)) / RATE == pytest.approx(30, abs=0.1)
            assert taps.lost_s == pytest.approx(20, abs=0.2)
        return told

    (event,) = run_virtual(run())
    assert event.type == "control.sound_lost"
    assert event.payload()["lost_s"] == pytest.approx(20, abs=0.2)


def test_what_a_slow_encoder_cannot_keep_up_with_goes_and_is_counted() -> None:
    """A pipeline of files runs a hundred times as fast as anybody hears."""

    async def run() -> tuple[float, float]:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, gain: 0, blackhole]")
        taps = Taps(pipeline)
        _, leave = taps.join("gain", "mp3")
        (tap,) = taps._taps.values()
        silence = np.zeros(RATE, np.int16)
        for second in range(30):
            tap._take(rtpipe.audio.from_pcm(silence, sample_rate=RATE, pts=second * RATE))
        held_s = tap._raw_samples / RATE
        leave()
        return held_s, taps.lost_s

    assert run_virtual(run()) == (10, 20)


def test_a_later_format_becomes_that_of_the_first_frame() -> None:
    async def run() -> bytes:
        pipeline = rtpipe.loads("version: 1\nstages: [tone: {realtime: true}, gain: 0, blackhole]")
        async with pipeline:
            taps = Taps(pipeline)
            listener, leave = taps.join("gain", "wav")
            (tap,) = taps._taps.values()
            tap._end()  # fed by hand
            reading = asyncio.create_task(heard(listener))
            for number in range(100):
                rate = RATE if number < 50 else 16_000
                shape = rate // 50 if number < 50 else (rate // 50, 2)
                piece = np.full(shape, 1000, np.int16)
                tap._take(rtpipe.audio.from_pcm(piece, sample_rate=rate, pts=number * rate // 50))
                await asyncio.sleep(0.02)
            leave()
            return await reading

    said = samples(run_virtual(run()))
    assert len(said) / RATE == pytest.approx(2, abs=0.03)
    assert (said[:RATE] == 1000).all()
    assert np.median(said[RATE:]) == pytest.approx(1000, abs=2)


@pytest.mark.parametrize("rate", [8000, 22_050, 37_000, 96_000])
def test_an_mp3_of_any_rate(rate: int) -> None:
    async def run() -> bytes:
        text = f"version: 1\nstages: [tone: {{realtime: true}}, resample: {rate}, blackhole]"
        pipeline = rtpipe.loads(text)
        async with pipeline:
            taps = Taps(pipeline)
            listener, leave = taps.join("resample", "mp3")
            reading = asyncio.create_task(heard(listener))
            await asyncio.sleep(3)
            leave()
            return await reading

    with av.open(io.BytesIO(run_virtual(run())), format="mp3") as file:
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    assert seconds == pytest.approx(3, abs=0.35)
