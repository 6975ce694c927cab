"""encoding: nothing that was handed over is lost or turned round, however slow the disk is."""

import asyncio
import resource
import threading
import wave
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpipe import StageError
from rtpipe_plugins.disk.background_writer import BackgroundWriter
from rtpipe_plugins.media.encoding import _BY_ENDING, _RATES, WavWriter, find_encoding


class SlowWriter:
    """A disk that stands still until it is let go."""

    def __init__(self) -> None:
        self.moving = threading.Event()
        self.written: list[int] = []
        self.complete = False
        self.fails = False

    def write(self, tracks: Sequence[NDArray[np.int16]]) -> None:
        assert self.moving.wait(10)
        if self.fails:
            raise OSError(28, "No space left on device")
        self.written += tracks[0][:, 0].tolist()

    def close(self) -> None:
        self.complete = True


def piece(first: int, count: int = 10) -> NDArray[np.int16]:
    return np.arange(first, first + count, dtype=np.int16)[:, None]


async def test_whoever_writes_waits_for_a_slow_disk_one_batch_behind() -> None:
    disk = SlowWriter()
    out = BackgroundWriter(Path("x"), lambda: disk, batch=10)
    await out.write(piece(0))  # goes to the disk
    waiting = asyncio.create_task(out.write(piece(10)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    disk.moving.set()
    await waiting
    await out.close()
    assert disk.written == list(range(20))
    assert disk.complete


async def test_cancelling_whoever_waits_loses_nothing() -> None:
    disk = SlowWriter()
    out = BackgroundWriter(Path("x"), lambda: disk, batch=10)
    await out.write(piece(0))
    waiting = asyncio.create_task(out.write(piece(10)))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    disk.moving.set()
    await out.close()
    assert disk.written == list(range(20))


async def test_less_than_a_batch_is_written_at_the_end() -> None:
    disk = SlowWriter()
    disk.moving.set()
    out = BackgroundWriter(Path("x"), lambda: disk, batch=1000)
    await out.write(piece(0))
    assert disk.written == []
    await out.close()
    await out.close()
    assert disk.written == list(range(10))


async def test_after_an_error_it_takes_no_more_and_the_file_is_closed() -> None:
    disk = SlowWriter()
    disk.moving.set()
    disk.fails = True
    out = BackgroundWriter(Path("x.wav"), lambda: disk, batch=10)
    await out.write(piece(0))
    with pytest.raises(StageError, match=r"cannot write x\.wav: No space left on device"):
        await out.write(piece(10))
    with pytest.raises(StageError, match="any more"):
        await out.write(piece(20))
    await out.close()
    assert disk.complete


def test_a_wav_that_would_pass_4_gib_is_refused(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", 48_000, "mono")
    writer._bytes = 0xFFFF_FFFF - 40
    with pytest.raises(OSError, match="4 GiB at most"):
        writer.write([piece(0)])
    writer.close()


@pytest.mark.parametrize(("encoder", "rates"), _RATES.items())
def test_the_sample_rates_that_need_no_look_into_ffmpeg_are_its_own(
    encoder: str, rates: list[int] | None
) -> None:
    told = av.Codec(encoder, "w").audio_rates
    assert rates == (sorted(told) if told else None)
    assert {each.codec for each in _BY_ENDING.values()} <= {*_RATES, "pcm_s16le"}


@pytest.mark.parametrize("ending", ["mka", "mkv", "webm"])
def test_what_survives_a_kill_is_set_where_it_is_known(ending: str) -> None:
    encoding = find_encoding(Path(f"a.{ending}"))
    assert encoding.many_tracks
    assert encoding.options == {"cluster_time_limit": "200"}


def test_a_block_that_a_full_disk_took_in_part_is_not_in_the_file(tmp_path: Path) -> None:
    samples = np.arange(4 * 480, dtype=np.int16).reshape(-1, 2)
    room = 44 + 480 * 4 + 101 * 4 + 1  # the first block, part of the second, and a byte
    writer = WavWriter(tmp_path / "a.wav", 48_000, "stereo")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        writer.write([samples[:480]])
        with pytest.raises(OSError, match="File too large"):
            writer.write([samples[480:]])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.close()
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert read.getnframes() == 480
        heard = np.frombuffer(read.readframes(480), np.int16).reshape(-1, 2)
    assert np.array_equal(heard, samples[:480])
    assert (tmp_path / "a.wav").stat().st_size == 44 + 480 * 4
