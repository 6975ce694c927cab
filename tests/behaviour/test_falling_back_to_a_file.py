"""A device falls back to a source that nothing paces: every sample is recorded, in its place.

Liveness is what stands there now (`ctx.live`), not what the file asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.media_files import read_tracks, read_wav, write_wav
from rtpipe import AudioFrame, EnvironmentProblem, Event, Options, Source, audio, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import joined, noise, run_virtual

RATE = 48_000


class DeviceOptions(Options):
    plays_s: float = 0.0


class Device(Source[DeviceOptions]):
    """A device that is not there, or is unplugged after a while."""

    kind = "device"

    @classmethod
    def has_clock(cls, options: DeviceOptions) -> bool:
        return True

    async def open(self) -> None:
        if not self.options.plays_s:
            raise EnvironmentProblem("no such device")

    async def frames(self) -> AsyncIterator[AudioFrame]:
        for n in range(round(self.options.plays_s / 0.02)):
            await self.ctx.clock.sleep_until((n + 1) * 0.02)
            frame = audio.from_pcm(np.full(960, 99, np.int16), sample_rate=RATE, pts=n * 960)
            audio.meta(frame).captured_at = n * 0.02
            yield frame
        raise EnvironmentProblem("unplugged")


class Devices:
    @hookimpl
    def rtpipe_stages(self) -> list[type[Source[Any]]]:
        return [Device]


async def run(text: str) -> list[Event]:
    registry = Registry.discover()
    registry.register(Devices())
    pipeline = Pipeline(from_text(f"version: 1\n{text}", registry=registry).graph, check=True)
    events: list[Event] = []
    pipeline.bus.subscribe("*", events.append)
    await pipeline.run()
    return events


def a_minute(path: Path, seed: int, seconds: float = 60.0) -> NDArray[np.int16]:
    data = joined(noise(seconds=seconds, seed=seed, level_dbfs=-20))[:, 0]
    write_wav(path, data)
    return data


def two_devices(folder: Path, into: str, *, play_s: float = 0.0) -> str:
    return f"""
stages:
  - device: {{plays_s: {play_s}}}
    id: visitor
    fallback: {{file: {folder / "visitor.wav"}}}
  - device: {{plays_s: {play_s}}}
    id: desk
    fallback: {{file: {folder / "desk.wav"}}}
{into}
"""


CLOCK_ELSEWHERE = """
  - tone: {duration_s: 0.1}
  - blackhole: {realtime: true}
"""
LIVE_S = 2.0

falling_back = pytest.mark.parametrize("play_s", [0.0, LIVE_S], ids=["at once", "while it runs"])


@falling_back
@pytest.mark.parametrize("name", ["a.wav", "a.mka"], ids=["stereo", "tracks"])
def test_a_minute_of_each_device_is_recorded_as_a_minute(
    tmp_path: Path, name: str, play_s: float
) -> None:
    visitor = a_minute(tmp_path / "visitor.wav", 1)
    desk = a_minute(tmp_path / "desk.wav", 2, seconds=45.0)
    codec = "pcm" if name == "a.wav" else "flac"
    recorder = f"""
  - recorder: {{path: {tmp_path / name}, codec: {codec}, sidecar: false}}
    from: [visitor, desk]
"""
    events = run_virtual(run(two_devices(tmp_path, recorder, play_s=play_s)))
    (stopped,) = [event for event in events if event.type == "recorder.stopped"]
    assert stopped.payload()["duration_s"] == 60.0 + play_s
    if name == "a.wav":
        left, right = read_wav(tmp_path / name)[0].T
    else:
        left, right = (
            np.rint(track * 32768).astype(np.int16) for track in read_tracks(tmp_path / name)
        )
    begin = round(play_s * RATE)
    assert np.all(left[:begin] == 99)
    assert np.all(right[:begin] == 99)
    assert np.array_equal(left[begin:], visitor)
    assert np.array_equal(right[begin : begin + len(desk)], desk)
    assert not right[begin + len(desk) :].any()


@falling_back
@pytest.mark.parametrize("silent", ["visitor", "desk"])
def test_a_minute_of_each_device_is_mixed_sample_by_sample(
    tmp_path: Path, silent: str, play_s: float
) -> None:
    """Also where something else in the pipeline has a clock."""
    visitor = a_minute(tmp_path / "visitor.wav", 1)
    desk = a_minute(tmp_path / "desk.wav", 2, seconds=45.0)
    mix = f"""
  - mix: {{gains: {{{silent}: -120}}}}
    from: [visitor, desk]
  - file_sink: {tmp_path / "mix.wav"}
"""
    run_virtual(run(two_devices(tmp_path, mix + CLOCK_ELSEWHERE, play_s=play_s)))
    heard = read_wav(tmp_path / "mix.wav")[0][:, 0]
    begin = round(play_s * RATE)
    assert len(heard) == begin + len(visitor)
    assert np.all(heard[:begin] == 99)
    audible = desk if silent == "visitor" else visitor
    assert np.array_equal(heard[begin : begin + len(audible)], audible)
    assert not heard[begin + len(audible) :].any()
