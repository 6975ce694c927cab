"""speaker: it plays all and only what it gets, at the device's pace, and tells what was heard."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers import fake_sounddevice
from helpers.fake_sounddevice import PortAudioError, SoundDevice
from rtpipe import AudioFrame, EnvironmentProblem, StageError, audio
from rtpipe.testing import Bench, cut, joined, noise, run_virtual, tone
from rtpipe_plugins.sinks.speaker.playback import PlaybackBuffer
from rtpipe_plugins.sinks.speaker.stage import Speaker

BLOCK = 480


@pytest.fixture
def laptop(monkeypatch: pytest.MonkeyPatch) -> SoundDevice:
    return fake_sounddevice.install(monkeypatch)


class Listener:
    """An opened speaker and the ear in front of it: the device takes 10 ms every 10 ms."""

    def __init__(self, bench: Bench, laptop: SoundDevice) -> None:
        self.bench = bench
        self.stage = bench.stage
        self.stream = laptop.streams[-1]
        self.blocks: list[NDArray[np.int16]] = []
        self.plays = True
        self.block, self.period_s = BLOCK, 0.01

    async def run_device(self) -> None:
        while True:
            await asyncio.sleep(self.period_s)
            if self.plays:
                self.blocks.append(self.stream.play(self.block))

    @property
    def heard(self) -> NDArray[np.int16]:
        return np.concatenate(self.blocks)

    @property
    def told(self) -> list[tuple[str, float]]:
        return [
            (event.type, next(iter(event.payload().values()))) for event in self.bench.run.events
        ]


@asynccontextmanager
async def listening(laptop: SoundDevice, **options: Any) -> AsyncIterator[Listener]:
    bench = Bench(Speaker, options)
    async with bench.opened():
        listener = Listener(bench, laptop)
        device = asyncio.create_task(listener.run_device())
        try:
            yield listener
        finally:
            device.cancel()


async def consume(listener: Listener, frames: list[AudioFrame]) -> None:
    for frame in frames:
        await listener.stage.consume(frame)


def sound(data: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return `data` without the silence around it."""
    loud = np.nonzero(data.any(axis=1))[0]
    return data[loud[0] : loud[-1] + 1]


def test_all_of_it_is_played_on_both_sides_and_nothing_else(laptop: SoundDevice) -> None:
    async def run() -> None:
        frames = noise(seconds=1.0, level_dbfs=-20)
        async with listening(laptop) as listener:
            await consume(listener, frames)
            await listener.stage.drain()
            heard = sound(listener.heard)
            assert np.array_equal(heard[:, 0], joined(frames)[:, 0])
            assert np.array_equal(heard[:, 1], heard[:, 0])
            # The device holds 20 ms: what follows has pushed the last sample out of it.
            assert not np.concatenate(listener.blocks[-2:]).any()
        assert listener.stream.state == "closed"

    run_virtual(run())


def test_who_listens_hears_what_the_device_takes_silence_too(laptop: SoundDevice) -> None:
    async def run() -> None:
        taken: list[AudioFrame] = []
        async with listening(laptop) as listener:
            listener.bench.context.taps.append(taken.append)
            await consume(listener, noise(seconds=0.3, level_dbfs=-20))
            await listener.stage.drain()
            heard = listener.heard
            told = joined(taken)[:, 0]
            assert len(told) > 0.3 * 48_000
            assert np.array_equal(told, heard[: len(told), 0])

    run_virtual(run())


def test_stereo_is_not_mixed_unless_the_device_is_mono(
    laptop: SoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.tile(np.int16([1000, 3000]), (4800, 1))

    async def run(laptop: SoundDevice) -> NDArray[np.int16]:
        async with listening(laptop) as listener:
            await consume(listener, cut(data))
            await listener.stage.drain()
            return sound(listener.heard)

    assert np.array_equal(run_virtual(run(laptop)), data)
    mono = fake_sounddevice.install(monkeypatch, (("Buzzer", 0, 1),))
    assert set(run_virtual(run(mono))[:, 0]) == {2000}


def test_the_device_paces_and_little_waits(laptop: SoundDevice) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop, prebuffer_ms=60) as listener:
            for n, frame in enumerate(tone(seconds=2)):
                await listener.stage.consume(frame)
                ahead_s = (n + 1) * 0.02 - loop.time()
                assert ahead_s <= 0.101  # 60 ms that wait, and the frame that found no room
        assert loop.time() == pytest.approx(2.0, abs=0.1)

    run_virtual(run())


def test_nothing_is_played_before_enough_is_there(laptop: SoundDevice) -> None:
    async def run() -> None:
        frames = tone(seconds=0.06)
        async with listening(laptop) as listener:
            listener.plays = False
            await consume(listener, frames[:2])
            assert not listener.stream.play(BLOCK).any()
            await consume(listener, frames[2:])
            assert listener.stream.play(BLOCK).any()

    run_virtual(run())


def test_a_sound_shorter_than_the_prebuffer_is_played_all_the_same(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.02))
            await asyncio.sleep(0.2)
            assert len(sound(listener.heard)) == pytest.approx(960, abs=5)

    run_virtual(run())


def test_volume(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, volume=2.0) as listener:
            await consume(listener, cut(np.full(4800, 20_000, np.int16)))
            await listener.stage.drain()
            assert set(sound(listener.heard)[:, 0]) == {32_767}
        async with listening(laptop, volume=0.5) as listener:
            await consume(listener, cut(np.full(4800, 20_000, np.int16)))
            await listener.stage.drain()
            assert set(sound(listener.heard)[:, 0]) == {10_000}

    run_virtual(run())


def test_it_tells_when_sound_begins_and_ends_and_how_far_it_was_heard(laptop: SoundDevice) -> None:
    def stream() -> list[AudioFrame]:
        data = np.concatenate(
            [
                np.zeros(48_000, np.int16),
                np.full(24_000, 5000, np.int16),
                np.zeros(4800, np.int16),  # a pause between two words
                np.full(24_000, 5000, np.int16),
                np.zeros(48_000, np.int16),
            ]
        )
        return cut(data, pts=480_000)

    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, stream())
            assert listener.told == [("playback.started", 11.0), ("playback.stopped", 12.1)]
            began, ended = (event.at for event in listener.bench.run.events)
            assert began == pytest.approx(1.05, abs=0.06)
            assert ended - began == pytest.approx(1.1 + 0.2, abs=0.02)

    run_virtual(run())


def test_the_end_of_the_stream_is_the_end_of_the_sound_at_once(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.5))
            await listener.stage.drain()
            assert listener.told == [("playback.started", 0.0), ("playback.stopped", 0.5)]

    run_virtual(run())


def test_a_flush_fades_out_without_a_click_and_tells_how_far_it_was_heard(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop, fade_ms=10) as listener:
            await consume(listener, cut(np.full(48_000, 20_000, np.int16)))
            position = listener.stage._buffer.taken
            listener.stage.reset()
            await asyncio.sleep(0.05)
            heard = sound(listener.heard)[:, 0].astype(int)
            assert len(heard) == pytest.approx(position + 480, abs=2)
            assert np.abs(np.diff(heard)).max() < 50
            assert listener.told[-1] == ("playback.stopped", round((position + 480) / 48_000, 3))

    run_virtual(run())


def test_a_flush_while_nothing_sounds_drops_everything(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.04))
            listener.stage.reset()
            await asyncio.sleep(0.3)
            assert not listener.heard.any()
            assert listener.told == []
            await consume(listener, tone(seconds=0.5))
            assert listener.told[0] == ("playback.started", 0.0)

    run_virtual(run())


def test_audio_that_does_not_come_in_time_is_an_underrun_and_a_pause_is_none(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:

            def underruns() -> list[float]:
                return [count for what, count in listener.told if what == "speaker.underran"]

            await consume(listener, tone(seconds=0.5))
            await asyncio.sleep(0.2)
            await consume(listener, tone(seconds=0.5))
            assert underruns() == [1]
            await consume(listener, cut(np.zeros(24_000, np.int16)))
            await asyncio.sleep(0.3)
            await consume(listener, tone(seconds=0.5))
            await asyncio.sleep(3.0)
            await consume(listener, tone(seconds=0.5))
            listener.stage.reset()
            await asyncio.sleep(0.2)
            await consume(listener, tone(seconds=0.5))
            assert underruns() == [1]

    run_virtual(run())


def test_while_the_device_is_gone_time_passes_unheard_and_then_it_is_heard_again(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop) as listener:
            frames = tone(seconds=10.5)
            await consume(listener, frames[:25])
            laptop.refusal = PortAudioError("No such device", -9996)
            listener.plays = False
            listener.stream.vanish()
            at = loop.time()
            await consume(listener, frames[25:])
            assert loop.time() - at == pytest.approx(10, abs=0.2)
            [stopped] = listener.bench.run.of_type("playback.stopped")
            assert stopped.payload()["position_s"] == pytest.approx(0.44, abs=0.03)
            laptop.refusal = None
            await consume(listener, tone(seconds=2.1))
            listener.stream, listener.plays = laptop.streams[1], True
            listener.blocks.clear()
            await asyncio.sleep(0.1)
            assert listener.bench.run.of_type("device.returned")
            await consume(listener, tone(seconds=1))
            await listener.stage.drain()
            assert len(sound(listener.heard)) == pytest.approx(48_000, abs=100)

    run_virtual(run())


def test_a_device_that_hangs_holds_nobody_up(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.5))
            listener.plays = False
            await consume(listener, tone(seconds=3))
            [lost] = listener.bench.run.of_type("device.lost")
            assert "hangs" in lost.payload()["reason"]
            await listener.stage.drain()

    run_virtual(run())


def test_who_does_not_want_to_wait_is_told(laptop: SoundDevice) -> None:
    async def run(on_lost: str, error: type[Exception]) -> None:
        async with listening(laptop, on_lost=on_lost) as listener:
            await consume(listener, tone(seconds=0.5))
            listener.stream.vanish()
            with pytest.raises(error, match="is gone") as caught:
                await consume(listener, tone(seconds=0.5))
            assert type(caught.value) is error

    run_virtual(run("fallback", EnvironmentProblem))
    run_virtual(run("fail", StageError))


def spoken(response_id: str, seconds: float, *, pts: int) -> list[AudioFrame]:
    frames = cut(np.full(round(seconds * 48_000), 5000, np.int16), pts=pts)
    for frame in frames:
        audio.meta(frame).extra["response_id"] = response_id
    return frames


def test_the_ledger_knows_how_much_of_which_response_was_heard(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, spoken("one", 1, pts=0))
            await consume(listener, cut(np.zeros(24_000, np.int16), pts=48_000))
            await consume(listener, spoken("one", 1, pts=72_000))
            await consume(listener, spoken("two", 2, pts=120_000))
            played = listener.stage._buffer.taken - 120_000
            listener.stage.reset()
            await asyncio.sleep(0.3)
            events = [event.payload() for event in listener.bench.run.events]
            assert [event["response_id"] for event in events] == ["one"] * 4 + ["two"] * 2
            heard_ms = [event["played_ms"] for event in events if "played_ms" in event]
            assert heard_ms[:2] == [1000.0, 2500.0]
            assert heard_ms[2] == pytest.approx(played / 48 + 12, abs=1)  # and the fade

    run_virtual(run())


async def stream(listener: Listener, frames: Iterable[AudioFrame], jitter_s: float = 0.0) -> None:
    """Let frames come live, each up to `jitter_s` late."""
    listener.bench.context.live = True
    loop, random = asyncio.get_running_loop(), np.random.default_rng(4)
    due = loop.time()
    for frame in frames:
        late_s = random.uniform(0, jitter_s) if jitter_s else 0.0
        await asyncio.sleep(max(0.0, due + late_s - loop.time()))
        await listener.stage.consume(frame)
        due += frame.samples / frame.sample_rate


def test_a_device_that_runs_at_pace_plays_every_sample_as_it_is_however_little_waits(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        frames = noise(seconds=40, level_dbfs=-20)
        async with listening(laptop) as listener:
            await stream(listener, frames[:5])
            taken = [listener.stream.play(BLOCK) for _ in range(3)]  # it fills its own buffer
            listener.blocks += taken
            await stream(listener, frames[5:], jitter_s=0.015)
            assert listener.stage._buffer.held < 1920
            await listener.stage.drain()
            assert np.array_equal(sound(listener.heard)[:, 0], joined(frames)[:, 0])
            assert listener.stage.gauge() == ""

    run_virtual(run())


@pytest.mark.slow
@pytest.mark.parametrize(("ppm", "minutes"), [(200, 60), (-200, 15)])
def test_for_an_hour_a_clock_that_runs_apart_is_followed_and_nothing_is_dropped_or_missing(
    laptop: SoundDevice, ppm: float, minutes: int
) -> None:
    """Unless it is followed, 720 ms. At 8 kHz and in blocks of 100 ms, or it would take minutes."""
    waits_s: list[float] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop, sample_rate=8000, prebuffer_ms=300) as listener:
            listener.block, listener.period_s = 800, 0.1 / (1 + ppm * 1e-6)

            def sounds() -> Iterator[AudioFrame]:
                for n in range(minutes * 600):
                    since_s = loop.time() - listener.stage._taken_at
                    waits_s.append(listener.stage._buffer.held / 8000 - since_s)
                    listener.blocks.clear()
                    data = np.full(800, 5000, np.int16)
                    yield audio.from_pcm(data, sample_rate=8000, pts=n * 800)

            await stream(listener, sounds())
            assert not listener.bench.run.of_type("speaker.underran")
            measured = listener.bench.run.of_type("device.drift_measured")[-1].payload()["ppm"]
            assert measured == pytest.approx(ppm, abs=15)
            assert listener.stage.gauge() == f"{measured:+.0f} ppm"

    run_virtual(run())
    assert max(abs(each - waits_s[50]) for each in waits_s[50:]) < 0.04


@pytest.mark.parametrize("moved_ms", [100, -30])
def test_too_much_or_too_little_that_waits_of_a_live_stream_is_put_right_in_a_silence(
    laptop: SoundDevice, moved_ms: int
) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await stream(listener, tone(seconds=0.5))
            if moved_ms > 0:
                await consume(listener, tone(seconds=moved_ms / 1000))  # at once, as after a stall
            else:
                listener.blocks += [listener.stream.play(BLOCK) for _ in range(-moved_ms // 10)]
            await stream(listener, tone(seconds=1))
            held = listener.stage._buffer.held
            assert held / 48 == pytest.approx(60 + moved_ms, abs=20), "no sound is touched"
            await stream(listener, cut(np.zeros(4 * 48_000, np.int16)))
            assert listener.stage._buffer.held / 48 == pytest.approx(60, abs=20)
            spoken = 1.5 + max(moved_ms, 0) / 1000
            assert len(sound(listener.heard)) / 48_000 == pytest.approx(spoken, abs=0.001)

    run_virtual(run())


def test_underflows_in_every_block_are_told_once_a_second(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            listener.plays = False
            listener.block = 0
            for frame in tone(seconds=2.5):
                await listener.stage.consume(frame)
                listener.stream.play(2 * BLOCK, underflow=True)
                await asyncio.sleep(0.02)
            counts = [event.payload()["count"] for event in listener.bench.run.events
                      if event.type == "speaker.underran"]  # fmt: skip
            assert len(counts) == 3
            assert counts[-1] > 90

    run_virtual(run())


def test_an_underflow_that_the_device_reports_is_told(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, tone(seconds=0.2))
            listener.stream.play(BLOCK, underflow=True)
            await asyncio.sleep(0.001)
            assert listener.bench.run.of_type("speaker.underran")

    run_virtual(run())


def test_the_device_is_the_one_that_is_meant(laptop: SoundDevice) -> None:
    seen: list[str | None] = []

    async def opened(device: str) -> Any:
        async with Bench(Speaker, {"device": device, "sample_rate": 44_100}).opened():
            return laptop.streams[-1].options

    headset = run_virtual(opened("headset"))
    assert headset["device"] == 1
    assert headset["latency"] <= 0.06
    laptop.when_opened = lambda: seen.append(os.environ.get("PULSE_SINK"))
    assert run_virtual(opened("pulse:hall"))["samplerate"] == 44_100
    assert seen == ["hall"]
    assert "PULSE_SINK" not in os.environ
    with pytest.raises(EnvironmentProblem, match="no output device matches `camera`"):
        run_virtual(opened("camera"))


def test_the_buffer_loses_nothing_between_two_threads() -> None:
    """The loop pushes while the device takes; what comes out is what went in, in order."""
    import threading

    buffer = PlaybackBuffer(1, 960)
    data = np.arange(200_000, dtype=np.int32).astype(np.int16)
    taken: list[bytes] = []

    def device() -> None:
        while sum(map(len, taken)) < data.nbytes:
            taken.append(buffer.take(480))

    thread = threading.Thread(target=device)
    thread.start()
    for start in range(0, len(data), 777):
        buffer.push(data[start : start + 777, None])
    buffer.end()
    thread.join(timeout=30)
    assert b"".join(taken) == data.tobytes()


def test_frames_say_what_they_are(laptop: SoundDevice) -> None:
    accepted = Speaker.accepts_for(Speaker.options_type())  # type: ignore[arg-type]
    assert accepted == audio.AudioFormat(48_000, None, "s16")
    assert Speaker.has_clock(Speaker.options_type())  # type: ignore[arg-type]
