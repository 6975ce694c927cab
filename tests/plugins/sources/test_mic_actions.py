"""mic: muted and exchanged while its audio goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from helpers.fake_sounddevice import PortAudioError, SoundDevice
from plugins.sources.test_mic import Listening, block, hear_each_20_ms, listening
from rtpipe import StageError, audio
from rtpipe.testing import Bench, run_virtual
from rtpipe_plugins.sources.mic.stage import Mic

HEADSET = "USB Headset: Audio (hw:1,0)"


def told(mic: Listening) -> list[tuple[str, dict[str, Any]]]:
    return [(event.type, event.payload()) for event in mic.bench.run.events]


def assert_no_hole(mic: Listening, within_s: float = 1e-4) -> None:
    """Each frame begins where the one before ended, and has the time that its place says."""
    begun = audio.meta(mic.frames[0]).captured_at
    assert begun is not None
    ends = 0
    for frame in mic.frames:
        assert frame.pts == ends
        at = audio.meta(frame).captured_at
        assert at == pytest.approx(begun + ends / 48_000, abs=within_s)
        ends += frame.samples


@asynccontextmanager
async def both_heard(
    laptop: SoundDevice, mic: Listening, *, late_s: float = 0.02
) -> AsyncIterator[None]:
    """Let every open stream hear its own number, 1000 for the first, 20 ms each 20 ms."""

    async def hear() -> None:
        while True:
            await asyncio.sleep(0.02)
            for number, stream in enumerate(laptop.streams, 1):
                if stream.state == "started":
                    own_s = late_s if number == 1 else late_s + 0.007
                    stream.hear(block(1000 * number), late_s=own_s)

    task = asyncio.create_task(hear())
    yield
    task.cancel()


def test_muted_it_gives_zeros_in_its_time_and_the_device_stays_open(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            stage = mic.bench.stage
            await hear_each_20_ms(mic, [block(1000)] * 5, late_s=0.02)
            assert stage.why_not("mute") == ""
            assert stage.why_not("unmute") == "it is not muted"
            stage.mute()
            assert stage.why_not("mute") == "it is muted already"
            assert stage.gauge() == "muted"
            await hear_each_20_ms(mic, [block(1000)] * 5, late_s=0.02)
            stage.mute()
            stage.unmute()
            await hear_each_20_ms(mic, [block(1000)] * 5, late_s=0.02)
            assert stage.gauge() == ""
            heard = mic.samples
            assert set(heard[: 5 * 960]) == {1000}
            fade, muted = heard[5 * 960 :][:240], heard[5 * 960 + 240 : 10 * 960]
            assert np.all(np.diff(fade.astype(int)) <= 0), "it fades, and clicks not"
            assert not muted.any()
            assert set(heard[10 * 960 + 240 :]) == {1000}
            assert len(mic.frames) == 15
            assert_no_hole(mic, within_s=0.005)
            assert mic.stream.state == "started"
            assert told(mic) == [("mic.muted", {}), ("mic.unmuted", {})]

    run_virtual(run())


def test_it_may_start_muted_and_says_so(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, mute=True) as mic:
            await hear_each_20_ms(mic, [block(1000)] * 5)
            assert not mic.samples.any()
            assert told(mic) == [("mic.muted", {})]

    run_virtual(run())


def test_it_stays_muted_when_the_device_is_lost_and_is_back(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1000)] * 5, late_s=0.02)
            mic.bench.stage.mute()
            await hear_each_20_ms(mic, [block(1000)] * 5, late_s=0.02)
            mic.stream.vanish()
            async with both_heard(laptop, mic):
                await asyncio.sleep(2)
            assert mic.bench.run.of_type("device.returned")
            assert not mic.samples[6 * 960 :].any()

    run_virtual(run())


def test_it_stays_muted_when_it_has_failed_and_is_opened_again(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            mic.bench.stage.mute()
        mic.bench.stage = Mic(mic.bench.stage.options, mic.bench.context)
        async with mic.bench.opened():
            again = Listening(mic.bench, laptop.streams[-1])
            task = asyncio.create_task(again.listen())
            await asyncio.sleep(0)
            await hear_each_20_ms(again, [block(1000)] * 5)
            assert len(again.frames) == 5
            assert not again.samples.any()
            assert [type for type, _ in told(mic)] == ["mic.muted", "mic.muted"]
            task.cancel()

    run_virtual(run())


def test_another_device_follows_without_a_gap_and_nothing_of_the_old_after_it(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic, both_heard(laptop, mic):
            await asyncio.sleep(0.5)
            assert mic.bench.stage.use("headset") == "accepted"
            await asyncio.sleep(0.5)
            assert told(mic) == [
                (
                    "device.changed",
                    {
                        "device": HEADSET,
                        "previous": "Built-in Audio: ALC (hw:0,0)",
                        "asked": "headset",
                    },
                )
            ]
            assert [stream.state for stream in laptop.streams] == ["closed", "started"]
            assert mic.bench.stage.gauge() == HEADSET
            assert_no_hole(mic)
            heard = mic.samples
            first = int(np.flatnonzero(heard != 1000)[0])
            assert set(heard[:first]) == {1000}
            assert set(heard[first + 240 :]) == {2000}, "5 ms of fade, and then only the new one"
            assert len(heard) == pytest.approx(0.98 * 48_000, abs=960)

    run_virtual(run())


@pytest.mark.parametrize(
    ("late_s", "phase_s", "most_missing"),
    [
        (0.09, 0.0, 0),
        (0.03, 0.014, 0),  # it has just given a block, and the one before is about to
        (0.03, 0.001, 0),
        (0.001, 0.0, 0.03 * 48_000),  # what it heard before it was opened
    ],
)
def test_of_devices_that_differ_in_how_late_they_are_each_sample_is_put_in_its_time(
    laptop: SoundDevice, late_s: float, phase_s: float, most_missing: float
) -> None:
    async def hear(number: int, late_s: float) -> None:
        while True:
            if len(laptop.streams) > number and laptop.streams[number].state == "started":
                laptop.streams[number].hear(block(1000), late_s=late_s)
            await asyncio.sleep(0.02)

    async def run() -> None:
        async with listening(laptop) as mic:
            first = asyncio.create_task(hear(0, 0.03))
            await asyncio.sleep(phase_s)
            second = asyncio.create_task(hear(1, late_s))
            await asyncio.sleep(0.501)
            mic.bench.stage.use("headset")
            await asyncio.sleep(1)
            first.cancel()
            second.cancel()
            assert mic.bench.run.of_type("device.changed")
            assert_no_hole(mic)
            missing = np.count_nonzero(mic.samples == 0) - 1  # the first of the fade
            assert missing <= most_missing

    run_virtual(run())


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("Røde", "no input device matches `Røde`; there is 0: Built-in"),
        ("USB", "several input devices match `USB`"),
        ("headset", "does not open: Device unavailable"),
    ],
)
def test_what_is_refused_leaves_the_old_one_as_it_was(
    laptop: SoundDevice, wanted: str, reason: str
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            blocks = [block(n) for n in range(1, 101)]
            await hear_each_20_ms(mic, blocks[:50], late_s=0.02)
            laptop.refusal = PortAudioError("Error opening: Device unavailable", -9985)
            mic.bench.stage.use(wanted)
            await hear_each_20_ms(mic, blocks[50:], late_s=0.02)
            [refused] = mic.bench.run.of_type("device.refused")
            assert refused.payload()["device"] == wanted
            assert reason in refused.payload()["reason"]
            assert np.array_equal(mic.samples, np.repeat(np.arange(1, 101), 960))
            assert [frame.pts for frame in mic.frames] == [960 * n for n in range(100)]
            assert mic.stream.state == "started"
            assert mic.bench.stage.gauge() == ""

    run_virtual(run())


def test_a_device_that_opens_but_gives_nothing_is_refused_and_closed(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            beats = asyncio.create_task(hear_each_20_ms(mic, [block(1)] * 300, late_s=0.02))
            await asyncio.sleep(0.1)
            mic.bench.stage.use("headset")
            await beats
            [refused] = mic.bench.run.of_type("device.refused")
            assert refused.payload()["reason"] == f"{HEADSET} opens, but no audio moves"
            assert [stream.state for stream in laptop.streams] == ["started", "closed"]
            assert set(mic.samples) == {1}
            assert not mic.bench.run.of_type("device.lost")

    run_virtual(run())


def test_of_two_in_quick_succession_the_last_wins_and_each_is_told(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic, both_heard(laptop, mic):
            await asyncio.sleep(0.1)
            mic.bench.stage.use("headset")
            mic.bench.stage.use("camera")
            await asyncio.sleep(1)
            assert [(type, told["device"]) for type, told in told(mic)] == [
                ("device.refused", "headset"),
                ("device.changed", "USB Camera: Audio (hw:2,0)"),
            ]
            reason = told(mic)[0][1]["reason"]
            assert reason == "camera was asked for after it"
            assert [s.options["device"] for s in laptop.streams if s.state == "started"] == [2]

    run_virtual(run())


def test_one_that_was_being_opened_when_another_was_asked_for_is_closed(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic, both_heard(laptop, mic):
            await asyncio.sleep(0.1)
            opened = asyncio.Event()
            loop = asyncio.get_running_loop()
            laptop.when_opened = lambda: loop.call_soon_threadsafe(opened.set)
            mic.bench.stage.use("headset")
            await opened.wait()
            mic.bench.stage.use("camera")
            await asyncio.sleep(1)
            assert [stream.state for stream in laptop.streams] == ["closed", "closed", "started"]
            assert [type for type, _ in told(mic)] == ["device.refused", "device.changed"]

    run_virtual(run())


def test_a_lost_device_may_be_replaced_and_the_waiting_ends(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop, device="built-in") as mic:
            async with both_heard(laptop, mic):
                await asyncio.sleep(0.5)
            laptop.devices = (("Gone", 0, 0), *laptop.devices[1:])
            mic.stream.vanish()
            await asyncio.sleep(3)
            async with both_heard(laptop, mic):
                mic.bench.stage.use("headset")
                await asyncio.sleep(0.5)
                assert [type for type, _ in told(mic)] == ["device.lost", "device.changed"]
                assert mic.samples[-1] == 2000
                headset = laptop.streams[-1]
                headset.vanish()
                await asyncio.sleep(2.5)
            assert [type for type, _ in told(mic)][2:] == ["device.lost", "device.returned"]
            assert told(mic)[2][1]["device"] == HEADSET, "what is lost now is the new one"
            assert laptop.streams[-1].options["device"] == 1
            ends = [(frame.pts or 0) + frame.samples for frame in mic.frames]
            now = asyncio.get_running_loop().time()
            assert ends[-1] / 48_000 == pytest.approx(now, abs=0.06)

    run_virtual(run())


def test_the_device_in_use_by_another_name_is_not_opened_again(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic, both_heard(laptop, mic):
            await asyncio.sleep(0.1)
            mic.bench.stage.use("built-in")
            await asyncio.sleep(0.5)
            assert len(laptop.streams) == 1
            [(type, changed)] = told(mic)
            assert type == "device.changed"
            assert changed["device"] == changed["previous"] == "Built-in Audio: ALC (hw:0,0)"
            assert set(mic.samples) == {1000}

    run_virtual(run())


def test_what_another_stage_of_the_pipeline_holds_is_refused(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic, both_heard(laptop, mic):
            bench = Bench(Mic, {"device": "headset"})
            bench.context.id = "mic2"
            bench.context.clock = mic.bench.context.clock
            async with bench.opened():
                mic.bench.stage.use("headset")
                await asyncio.sleep(0.5)
                [(type, refused)] = told(mic)
                assert type == "device.refused"
                assert refused["reason"] == f"`mic2` has {HEADSET} already"
                bench.context.clock = Bench(Mic, {}).context.clock
            mic.bench.stage.use("headset")
            await asyncio.sleep(0.5)
            assert told(mic)[-1][0] == "device.changed", "it is free again"

    run_virtual(run())


@pytest.mark.parametrize("name", ["", "  ", "pulse:", "pulse: ", "a\0b", "a\nb", "x" * 1001])
def test_what_is_no_name_is_refused_at_once(laptop: SoundDevice, name: str) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            with pytest.raises(StageError):
                mic.bench.stage.use(name)
            await asyncio.sleep(0.5)
            assert not mic.bench.run.events

    run_virtual(run())


def test_one_that_is_being_opened_when_the_stage_ends_is_told_and_closed(
    laptop: SoundDevice,
) -> None:
    async def run() -> None:
        async with listening(laptop) as mic:
            await hear_each_20_ms(mic, [block(1)])
            mic.bench.stage.use("headset")
            await asyncio.sleep(0.1)
            with pytest.raises(StageError, match="no device"):
                Mic(Mic.options_type(), mic.bench.context).use("headset")  # type: ignore[arg-type]
        assert [type for type, _ in told(mic)] == ["device.refused"]
        assert [stream.state for stream in laptop.streams] == ["closed", "closed"]

    run_virtual(run())


def test_the_devices_that_could_be_used_are_listed(laptop: SoundDevice) -> None:
    async def run() -> None:
        async with listening(laptop) as mic, both_heard(laptop, mic):
            await asyncio.sleep(0.1)
            names = ["Built-in Audio: ALC (hw:0,0)", HEADSET, "USB Camera: Audio (hw:2,0)", "pulse"]
            assert mic.bench.stage.devices() == [
                {"device": name, "name": name, "used": name == names[0]} for name in names
            ]
            laptop.devices = (*laptop.devices, ("Late", 1, 0))
            mic.bench.stage.devices()
            await asyncio.sleep(0.1)
            assert mic.bench.stage.devices()[-1]["name"] == "Late", (
                "what was asked for looked again"
            )
            mic.bench.stage.use("headset")
            await asyncio.sleep(0.5)
            rows = mic.bench.stage.devices()
            assert [row["device"] for row in rows if row["used"]] == [HEADSET]

    run_virtual(run())
