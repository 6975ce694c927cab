"""Listening to a stage: to the sample what it gives out, and nobody is the later for it."""

from __future__ import annotations

import asyncio
import io
import wave
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
from rtpipe_control.view.listening import Listener, Taps

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
