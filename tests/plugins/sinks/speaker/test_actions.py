"""speaker: muted, turned up and down, and exchanged while it plays."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.fake_sounddevice import PortAudioError, SoundDevice
from plugins.sinks.speaker.listener import BLOCK, Listener, consume, listening, sound
from rtpipe import AudioFrame, StageError
from rtpipe.testing import cut, joined, noise, run_virtual, tone

HEADSET = "USB Headset: Audio (hw:1,0)"
RAMP = 960
"""Sample times of a change: 20 ms."""


def level(value: int, seconds: float) -> list[AudioFrame]:
    return cut(np.full(round(seconds * 48_000), value, np.int16))


def types(listener: Listener) -> list[str]:
    return [event.type for event in listener.bench.run.events]


def test_muted_it_plays_unheard_at_once_and_goes_on_as_if_heard(laptop: SoundDevice) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        async with listening(laptop) as listener:
            stage, frames = listener.stage, level(10_000, 1.5)
            assert (stage.why_not("mute"), stage.why_not("unmute")) == ("", "it is not muted")
            await consume(listener, frames[:25])
            blocks = len(listener.blocks)
            stage.mute()
            assert (stage.why_not("mute"), stage.gauge()) == ("it is muted already", "muted")
            await consume(listener, frames[25:50])
            muted = np.concatenate(listener.blocks[blocks:])[:, 0]
            assert np.all(np.diff(muted[:RAMP].astype(int)) < 0)
            assert not muted[RAMP:].any(), "what waited for the device is muted, too"
            assert loop.time() == pytest.approx(0.92, abs=0.05), "the pace is the same"
            blocks = len(listener.blocks)
            stage.unmute()
            await consume(listener, frames[50:])
            heard = np.concatenate(listener.blocks[blocks:])[:, 0]
            assert np.all(np.diff(heard[:RAMP].astype(int)) > 0)
            assert set(heard[RAMP:]) == {10_000}
            await listener.stage.drain()
            stopped = listener.bench.run.of_type("playback.stopped")[-1].payload()
            assert (stopped["position_s"], stopped["played_ms"]) == (1.5, 1500.0)
            assert types(listener) == [
                "playback.started", "speaker.muted", "speaker.unmuted", "playback.stopped",
            ]  # fmt: skip

    run_virtual(run())


def test_muted_in_a_silence_nothing_of_the_next_sound_is_heard(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, level(10_000, 0.1))
            await asyncio.sleep(0.5)
            blocks = len(listener.blocks)
            listener.stage.mute()
            await asyncio.sleep(0.1)
            await consume(listener, level(10_000, 0.5))
            assert not np.concatenate(listener.blocks[blocks:]).any()

    run_virtual(run())


def test_it_may_start_muted_and_says_so(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, mute=True) as listener:
            await consume(listener, level(10_000, 0.5))
            assert not listener.heard.any()
            assert types(listener)[0] == "speaker.muted"

    run_virtual(run())


def test_the_volume_changes_on_a_ramp_and_is_told(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            await consume(listener, level(10_000, 0.5))
            blocks = len(listener.blocks)
            listener.stage.volume(0.25)
            listener.stage.volume(0.25)
            assert listener.stage.gauge() == "volume 0.25"
            await consume(listener, level(10_000, 0.5))
            heard = np.concatenate(listener.blocks[blocks:])[:, 0]
            steps = np.diff(heard[: RAMP + 1].astype(int))
            assert (steps.min(), steps.max()) >= (-8, -7)
            assert set(heard[RAMP:]) == {2500}
            changed = listener.bench.run.of_type("speaker.volume_changed")
            assert [event.payload() for event in changed] == [{"volume": 0.25}]
            listener.stage.mute()
            listener.stage.volume(4)
            assert listener.stage.gauge() == "muted, volume 4"
            await consume(listener, level(10_000, 0.5))
            assert not listener.blocks[-1].any(), "it stays muted"
            listener.stage.unmute()
            await consume(listener, level(10_000, 0.5))
            assert set(listener.blocks[-1][:, 0]) == {32_767}
            listener.stage.volume(1)
            assert listener.stage.gauge() == ""

    run_virtual(run())


@pytest.mark.parametrize("factor", [-0.1, 4.1, float("nan"), float("inf")])
def test_a_volume_that_there_is_not_is_refused(laptop: SoundDevice, factor: float) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            with pytest.raises(StageError, match="between 0 and 4"):
                listener.stage.volume(factor)
            assert types(listener) == []

    run_virtual(run())


class Ears:
    """Every device that was opened takes 10 ms each 10 ms; what each played, by its place."""

    def __init__(self, laptop: SoundDevice) -> None:
        self._laptop = laptop
        self.played: list[list[NDArray[np.int16]]] = []
        self._task = asyncio.create_task(self._play())

    async def _play(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            for place, stream in enumerate(self._laptop.streams):
                if place == len(self.played):
                    self.played.append([])
                if stream.state == "started":
                    self.played[place].append(stream.play(BLOCK))

    def heard(self, place: int) -> NDArray[np.int16]:
        return np.concatenate(self.played[place])[:, 0]

    def close(self) -> None:
        self._task.cancel()


@pytest.mark.parametrize("mono", [False, True])
def test_another_device_plays_on_where_the_one_before_ended(
    laptop: SoundDevice,
    mono: bool,  # noqa: FBT001 - a test's parameter
) -> None:
    if mono:
        laptop.devices = (laptop.devices[0], (HEADSET, 1, 1), *laptop.devices[2:])

    async def run() -> None:
        async with listening(laptop) as listener:
            listener.plays = False
            ears = Ears(laptop)
            frames = noise(seconds=2, level_dbfs=-20)
            await consume(listener, frames[:50])
            assert listener.stage.use("headset") == "accepted"
            await consume(listener, frames[50:])
            await listener.stage.drain()
            await asyncio.sleep(0.1)
            ears.close()
            [changed] = listener.bench.run.of_type("device.changed")
            assert (changed.payload()["device"], changed.payload()["asked"]) == (HEADSET, "headset")
            assert [stream.state for stream in laptop.streams] == ["closed", "started"]
            assert laptop.streams[1].options["channels"] == (1 if mono else 2)
            first, second = (sound(ears.heard(n)[:, None])[:, 0] for n in (0, 1))
            said = joined(frames)[:, 0]
            assert np.array_equal(np.concatenate((first, second)), said), "not a sample is missing"
            assert 0 < len(first) < len(said)
            assert types(listener) == ["playback.started", "device.changed", "playback.stopped"]
            stopped = listener.bench.run.events[-1].payload()
            assert (stopped["position_s"], stopped["played_ms"]) == (2.0, 2000.0)
            assert listener.stage.gauge() == HEADSET

    run_virtual(run())


def test_the_one_before_is_closed_when_it_has_played_what_it_had(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            listener.plays = False
            ears = Ears(laptop)
            changed = asyncio.Event()
            listener.bench.bus.subscribe("device.changed", lambda _: changed.set())
            listener.stage.use("headset")
            await changed.wait()
            await asyncio.sleep(0.03)
            assert [stream.state for stream in laptop.streams] == ["started", "started"]
            await asyncio.sleep(0.05)
            assert [stream.state for stream in laptop.streams] == ["closed", "started"]
            ears.close()

    run_virtual(run())


def test_volume_and_mute_go_with_it_to_another_device(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            listener.plays = False
            ears = Ears(laptop)
            listener.stage.volume(0.5)
            listener.stage.use("headset")
            await consume(listener, level(10_000, 1))
            assert set(sound(ears.heard(1)[:, None])[:, 0]) == {5000}
            listener.stage.mute()
            listener.stage.use("default")
            await consume(listener, level(10_000, 1))
            assert not ears.heard(2).any()
            ears.close()

    run_virtual(run())


def test_what_is_refused_leaves_the_old_one_as_it_was(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as listener:
            frames = noise(seconds=2, level_dbfs=-20)
            await consume(listener, frames[:50])
            laptop.refusal = PortAudioError("Error opening: Device unavailable", -9985)
            listener.stage.use("headset")
            listener.stage.use("nowhere")
            await consume(listener, frames[50:])
            await listener.stage.drain()
            assert np.array_equal(sound(listener.heard)[:, 0], joined(frames)[:, 0])
            refused = listener.bench.run.of_type("device.refused")
            assert [event.payload()["device"] for event in refused] == ["headset", "nowhere"]
            assert "no output device matches `nowhere`" in refused[1].payload()["reason"]

    run_virtual(run())


def test_a_lost_device_may_be_replaced(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, device="built-in") as listener:
            listener.plays = False
            ears = Ears(laptop)
            await consume(listener, tone(seconds=0.5))
            laptop.devices = (("Gone", 0, 0), *laptop.devices[1:])
            laptop.streams[0].vanish()
            await consume(listener, tone(seconds=1))
            [lost] = listener.bench.run.of_type("device.lost")
            assert lost.payload()["others"] == [HEADSET, "pulse"]
            listener.stage.use("headset")
            await consume(listener, tone(seconds=1))
            await listener.stage.drain()
            ears.close()
            assert [t for t in types(listener) if t.startswith("device")] == [
                "device.lost", "device.changed",
            ]  # fmt: skip
            assert len(sound(ears.heard(len(ears.played) - 1)[:, None])) > 0.7 * 48_000

    run_virtual(run())


def test_the_devices_that_could_be_used_are_listed(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, device="headset") as listener:
            await asyncio.sleep(0.1)
            rows = listener.stage.devices()
            assert [row["used"] for row in rows] == [False, True, False]

    run_virtual(run())
