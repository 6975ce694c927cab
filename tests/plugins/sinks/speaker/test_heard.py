"""speaker tells what was heard: when a sound begins and ends, and how far a flush let it come."""

import asyncio

import numpy as np
import pytest

from helpers.fake_sounddevice import SoundDevice
from plugins.sinks.speaker.listener import consume, listening, sound
from rtpipe import AudioFrame, audio
from rtpipe.testing import cut, run_virtual, tone


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


def spoken(response_id: str, seconds: float, *, pts: int) -> list[AudioFrame]:
    frames = cut(np.full(round(seconds * 48_000), 5000, np.int16), pts=pts)
    for frame in frames:
        audio.meta(frame).extra["response_id"] = response_id
    return frames


def test_the_playback_log_knows_how_much_of_which_response_was_heard(laptop: SoundDevice) -> None:
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
