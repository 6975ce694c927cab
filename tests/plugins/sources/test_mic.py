"""mic: every block once and in its time, and silence or a clear end when its device is gone."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers import fake_sounddevice
from helpers.fake_sounddevice import PortAudioError, SoundDevice, Stream
from rtpipe import AudioFrame, EnvironmentProblem, RtpipeError, StageError, audio
from rtpipe.testing import Bench, joined, run_virtual
from rtpipe_plugins.sound.drift import SHORTENED
from rtpipe_plugins.sources.mic.stage import Mic


class Listening:
    """An opened microphone and what it has given."""

    def __init__(self, bench: Bench, stream: Stream) -> None:
        self.bench = bench
        self.stream = stream
        self.frames: list[AudioFrame] = []
        self.error: Exception | None = None

    async def listen(self) -> None:
        try:
            async for frame in self.bench.stage.frames():
                self.frames.append(frame)
        except RtpipeError as error:
            self.error = error

    @property
    def samples(self) -> NDArray[np.int16]:
        return joined(self.frames)[:, 0]


@asynccontextmanager
async def listening(laptop: SoundDevice, **options: Any) -> AsyncIterator[Listening]:
    bench = Bench(Mic, options)
    async with bench.opened():
        mic = Listening(bench, laptop.streams[-1])
        task = asyncio.create_task(mic.listen())
        await asyncio.sleep(0)
        yield mic
        await asyncio.sleep(0)
        task.cancel()


def block(n: int, *, channels: int = 1, samples: int = 960) -> NDArray[np.int16]:
    return np.full((samples, channels), n, np.int16)


async def hear_each_20_ms(mic: Listening, blocks: list[NDArray[np.int16]], **how: Any) -> None:
    for data in blocks:
        await asyncio.sleep(0.02)
        mic.stream.hear(data, **how)
    await asyncio.sleep(0.001)


def test_every_block_is_a_frame_with_its_time(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(n) for n in range(1, 51)], late_s=0.03)
            assert mic.stream.options["samplerate"] == 48_000
            assert mic.stream.options["blocksize"] == 960
            assert mic.bench.stage.gauge() == "", "its drift is not known yet"
            assert [frame.pts for frame in mic.frames] == [n * 960 for n in range(50)]
            assert np.array_equal(mic.samples, np.repeat(np.arange(1, 51), 960))
            at = [audio.meta(frame).captured_at for frame in mic.frames]
            assert at == pytest.approx([0.02 * n - 0.03 for n in range(1, 51)])
        assert mic.stream.state == "closed"
        assert mic.error is None

    run_virtual(run())


def test_drivers_that_know_no_time_are_taken_to_be_one_block_late(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)], late_s=-3.0)
            assert audio.meta(mic.frames[0]).captured_at == pytest.approx(0.0)

    run_virtual(run())


def test_what_was_heard_before_anybody_listened_is_dropped(laptop: SoundDevice) -> None:
    async def run() -> None:
        bench = Bench(Mic, {})
        async with bench.opened():
            laptop.streams[0].hear(block(1))
            await asyncio.sleep(0)
            frames = bench.stage.frames()
            first = asyncio.create_task(anext(frames))
            await asyncio.sleep(0)
            laptop.streams[0].hear(block(2))
            assert audio.pcm(await first)[0, 0] == 2
            await frames.aclose()

    run_virtual(run())


@pytest.mark.parametrize(
    ("options", "mono_possible", "channels", "expected"),
    [
        ({}, True, 1, 10),  # the system mixes
        ({}, False, 2, 15),  # we mix: the mean of 10 and 20
        ({"channel": 1}, True, 1, 10),
        ({"channel": 2}, True, 2, 20),
    ],
)
def test_one_channel_or_all_mixed(
    laptop: SoundDevice,
    options: dict[str, int],
    mono_possible: bool,  # noqa: FBT001 - a test's parameter
    channels: int,
    expected: int,
) -> None:
    laptop.mono_possible = mono_possible

    async def run() -> None:
        async with listening(laptop, **options) as mic:
            assert mic.stream.options["channels"] == channels
            await hear_each_20_ms(mic, [np.tile(np.int16([10, 20][:channels]), (960, 1))])
            assert set(mic.samples) == {expected}

    run_virtual(run())


def test_an_overrun_is_told_and_is_a_hole_in_the_times(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)])
            await asyncio.sleep(0.1)
            await hear_each_20_ms(mic, [block(2)], overflow=True)
            assert [frame.pts for frame in mic.frames] == [0, 5808]
            assert [event.payload() for event in mic.bench.run.events] == [{"count": 1}]

    run_virtual(run())


def test_overruns_in_every_block_are_told_once_a_second_and_none_is_left_out(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)] * 110, overflow=True)
            await hear_each_20_ms(mic, [block(1)] * 100)
            counts = [event.payload()["count"] for event in mic.bench.run.events]
            assert len(counts) == 4
            assert (counts[0], counts[-1]) == (1, 110)

    run_virtual(run())


def test_a_loop_that_was_held_up_loses_the_oldest_and_says_so(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            for n in range(150):
                mic.stream.hear(block(n))
            await asyncio.sleep(0.001)
            assert len(mic.frames) == 100
            assert mic.samples[-1] == 149
            assert mic.bench.run.of_type("mic.overran")

    run_virtual(run())


def test_while_the_device_is_gone_there_is_silence_and_then_its_audio_again(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)] * 50, late_s=0.02)
            laptop.refusal = PortAudioError("No such device", -9996)
            threading.Thread(target=mic.stream.vanish).start()
            await asyncio.sleep(10)
            assert mic.stream.state == "closed"
            [lost] = mic.bench.run.of_type("device.lost")
            assert lost.payload() == {
                "device": "Built-in Audio: ALC (hw:0,0)",
                "reason": "is gone",
                "direction": "input",
                "others": ["USB Headset: Audio (hw:1,0)", "USB Camera: Audio (hw:2,0)", "pulse"],
            }
            gone = list(mic.frames)
            laptop.refusal = None
            opened = asyncio.Event()
            laptop.when_opened = lambda: loop.call_soon_threadsafe(opened.set)
            await opened.wait()
            await asyncio.sleep(0.001)
            assert loop.time() < 1 + 10 + 2.1
            mic.stream = laptop.streams[1]
            await hear_each_20_ms(mic, [block(2)] * 50, late_s=0.02)
            [returned] = mic.bench.run.of_type("device.returned")
            assert returned.payload()["away_s"] == pytest.approx(returned.at - lost.at, abs=0.001)
            # All the time 20 ms of audio each 20 ms, and the times rise without an overlap.
            assert len(gone) * 0.02 == pytest.approx(11, abs=0.1)
            ends = [(frame.pts or 0) + frame.samples for frame in mic.frames]
            assert all(
                0 <= (frame.pts or 0) - end <= 960
                for end, frame in zip(ends, mic.frames[1:], strict=False)
            )
            assert set(mic.samples) == {0, 1, 2}
            assert set(joined(gone[60:])[:, 0]) == {0}
            assert mic.samples[-1] == 2
            assert ends[-1] / 48_000 == pytest.approx(loop.time(), abs=0.06)

    run_virtual(run())


def test_a_device_that_falls_silent_is_opened_again(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)] * 150)
            await asyncio.sleep(2.5)
            [lost] = mic.bench.run.of_type("device.lost")
            assert "hangs" in lost.payload()["reason"]
            assert lost.at == pytest.approx(3.0 + 1.0, abs=0.8)
            assert len(laptop.streams) == 2
            assert not mic.bench.run.of_type("device.returned")  # it opens, but nothing comes
            await asyncio.sleep(30)
            assert 5 < len(laptop.streams) < 15
            assert [stream.state for stream in laptop.streams[:-1]] == ["closed"] * (
                len(laptop.streams) - 1
            )

    run_virtual(run())


def test_a_device_may_fill_its_buffer_and_stand_still_for_two_seconds_at_its_start(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)] * 10)
            await asyncio.sleep(2.0)
            await hear_each_20_ms(mic, [block(1)] * 100)
            assert not mic.bench.run.of_type("device.lost")
            await asyncio.sleep(2.5)
            [lost] = mic.bench.run.of_type("device.lost")
            assert lost.at == pytest.approx(0.2 + 2.0 + 2.0 + 1.0, abs=0.8)

    run_virtual(run())


def test_what_is_plugged_in_later_is_found_once_no_stream_would_break(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = (("Built-in Audio", 2, 2), ("USB Headset", 1, 2))
    laptop = fake_sounddevice.install(monkeypatch, before)
    looked: list[str] = []

    def look() -> None:
        looked.append("again")
        laptop.devices = (("HDMI", 0, 2), *before)  # it has another number now

    monkeypatch.setattr(laptop, "_initialize", look)

    async def run() -> None:
        async with (
            listening(laptop, device="built-in") as other,
            listening(laptop, device="headset") as mic,
        ):
            beats = asyncio.create_task(hear_each_20_ms(other, [block(1)] * 400))
            await hear_each_20_ms(mic, [block(1)])
            mic.stream.vanish()
            await asyncio.sleep(3.3)  # the microphone's first try has failed, its second is to come
            assert not looked
            other.stream.vanish()
            await asyncio.sleep(4)
            assert looked
            assert 2 in [stream.options["device"] for stream in laptop.streams]
            beats.cancel()

    run_virtual(run())


@pytest.mark.parametrize(
    ("on_lost", "error"), [("fallback", EnvironmentProblem), ("fail", StageError)]
)
def test_who_does_not_want_to_wait_is_told(
    laptop: SoundDevice, on_lost: str, error: type[Exception]
) -> None:
    async def run() -> None:
        async with listening(laptop, on_lost=on_lost) as mic:
            await hear_each_20_ms(mic, [block(1)])
            mic.stream.vanish()
            await asyncio.sleep(0.1)
            assert type(mic.error) is error
            assert "(hw:0,0) is gone" in str(mic.error)
            assert len(laptop.streams) == 1

    run_virtual(run())


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [300, -300])
def test_a_clock_that_runs_apart_is_measured_and_made_to_fit(
    laptop: SoundDevice, ppm: float
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            for _ in range(5 * 60 * 50):
                await asyncio.sleep(0.02 / (1 + ppm * 1e-6))
                mic.stream.hear(block(1), late_s=0.02)
                if len(mic.frames) > 100:
                    del mic.frames[0]
            now = asyncio.get_running_loop().time()
            last = mic.frames[-1]
            assert ((last.pts or 0) + last.samples) / 48_000 == pytest.approx(now, abs=0.03)
            measured = mic.bench.run.of_type("device.drift_measured")
            assert len(measured) in {4, 5}
            assert measured[-1].payload()["ppm"] == pytest.approx(ppm, abs=20)
            assert float(mic.bench.stage.gauge().removesuffix(" ppm")) == pytest.approx(ppm, abs=20)
            shortened = audio.meta(last).extra[SHORTENED]
            assert shortened == pytest.approx(ppm * 1e-6, abs=1e-4), "what moves the echo"

    run_virtual(run())
