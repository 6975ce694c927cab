"""key: strokes of an input device, whose records come over a pseudo-terminal in raw mode.

Where these tests run there is no /dev/uinput. What the kernel writes into /dev/input/event* is
written here: `struct input_event`, byte by byte the same.
"""

from __future__ import annotations

import asyncio
import os
import pty
import struct
import tty
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rtpipe import EnvironmentProblem, Event, loads
from rtpipe.testing import Bench
from rtpipe_plugins.subscribers.key import input_device
from rtpipe_plugins.subscribers.key.names import (
    name_of_character,
    name_of_code,
    name_of_sequence,
)
from rtpipe_plugins.subscribers.key.stage import Key, KeyOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SOON_S = 20
SYN, KEY, MSC = 0, 1, 4
SPACE, ENTER, A = 57, 28, 30


def record(type: int, code: int, value: int) -> bytes:
    """Return what the kernel writes: times as two longs, then type, code and value."""
    return struct.pack("@llHHi", 1_700_000_000, 250_000, type, code, value)


def stroke(code: int, value: int) -> bytes:
    """Return what a keyboard sends when a key goes down (1), up (0) or repeats (2)."""
    return record(MSC, 4, 0x7002C) + record(KEY, code, value) + record(SYN, 0, 0)


class Device:
    """A device at a path that stays the same, whatever is plugged in there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends: tuple[int, int] | None = None
        self.plug_in()

    def plug_in(self) -> None:
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self._ends = (ours, theirs)
        self.path.symlink_to(os.ttyname(theirs))

    def write(self, data: bytes) -> None:
        assert self._ends is not None
        os.write(self._ends[0], data)

    def unplug(self) -> None:
        if self._ends is not None:
            self.path.unlink()
            for end in self._ends:
                os.close(end)
            self._ends = None


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path / "event3")
    yield made
    made.unplug()


class Heard:
    def __init__(self, bench: Bench) -> None:
        self._come: asyncio.Queue[Event] = asyncio.Queue()
        bench.bus.subscribe("*", self._come.put_nowait)

    async def next(self, count: int) -> list[str]:
        """Return the next events in words: `pressed space`."""
        came = [await self._come.get() for _ in range(count)]
        return [f"{each.type.partition('.')[2]} {_what(each)}".strip() for each in came]


def _what(event: Event) -> Any:
    return event.as_dict().get("key", "")


@asynccontextmanager
async def reading(device: str | Path) -> AsyncIterator[Heard]:
    bench = Bench(Key, {"device": str(device)})
    heard = Heard(bench)
    async with asyncio.timeout(SOON_S), bench.opened():
        yield heard


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


# -- strokes ---------------------------------------------------------------------------------------


async def test_a_key_goes_down_and_up_and_its_repeats_are_left_out(device: Device) -> None:
    async with reading(device.path) as heard:
        device.write(stroke(SPACE, 1) + stroke(SPACE, 2) * 3 + stroke(ENTER, 1) + stroke(SPACE, 0))
        assert await heard.next(3) == ["pressed space", "pressed enter", "released space"]


async def test_a_record_that_comes_in_pieces_is_one(device: Device) -> None:
    async with reading(device.path) as heard:
        data = stroke(SPACE, 1)
        for byte in data:
            device.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await heard.next(1) == ["pressed space"]


async def test_a_key_that_was_held_before_is_not_released(device: Device) -> None:
    async with reading(device.path) as heard:
        device.write(stroke(SPACE, 0) + stroke(A, 1))
        assert await heard.next(1) == ["pressed a"]


async def test_what_the_kernel_dropped_is_not_guessed(device: Device) -> None:
    """After SYN_DROPPED what comes up to the next report is stale; a key is let go at worst."""
    dropped = record(SYN, 3, 0)
    async with reading(device.path) as heard:
        device.write(stroke(SPACE, 1) + dropped + record(KEY, A, 1) + record(SYN, 0, 0))
        device.write(stroke(ENTER, 1))
        assert await heard.next(3) == ["pressed space", "released space", "pressed enter"]


# -- the device ------------------------------------------------------------------------------------


async def test_unplugging_releases_what_is_held_and_it_may_come_back(device: Device) -> None:
    async with reading(device.path) as heard:
        device.write(stroke(SPACE, 1))
        assert await heard.next(1) == ["pressed space"]
        device.unplug()
        assert await heard.next(2) == ["released space", "lost"]
        device.plug_in()
        assert await heard.next(1) == ["found"]
        device.write(stroke(A, 1))
        assert await heard.next(1) == ["pressed a"]


async def test_one_that_is_gone_keeps_no_file_and_no_task(device: Device) -> None:
    before = open_files()
    async with reading(device.path) as heard:
        device.unplug()
        assert await heard.next(1) == ["lost"]
    assert open_files() == before - 2  # the two ends that were unplugged
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("what", ["missing", "folder", "file"])
async def test_what_is_no_device_is_for_a_fallback(tmp_path: Path, what: str) -> None:
    path = tmp_path / "event9"
    if what == "folder":
        path.mkdir()
    elif what == "file":
        path.write_text("")
    with pytest.raises(EnvironmentProblem, match="event9"):
        async with reading(path):
            pass


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with three input devices, as the kernel shows them."""
    names = ["USB Keypad Consumer Control", "Power Button", "USB Keypad"]
    for number, name in zip((2, 3, 10), names, strict=True):
        folder = tmp_path / "sys" / f"event{number}" / "device"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
    (tmp_path / "dev").mkdir()
    monkeypatch.setattr(input_device, "NAMES", tmp_path / "sys")
    monkeypatch.setattr(input_device, "DEVICES", tmp_path / "dev")
    return tmp_path / "dev"


@pytest.mark.parametrize(
    ("asked", "number"), [("USB Keypad", 10), ("usb keypad", 10), ("power", 3), ("keypad", 2)]
)
async def test_a_device_is_found_by_its_name_or_a_part_of_it(
    named: Path, asked: str, number: int
) -> None:
    device = Device(named / f"event{number}")
    async with reading(asked) as heard:
        device.write(stroke(SPACE, 1))
        assert await heard.next(1) == ["pressed space"]
    device.unplug()


@pytest.mark.usefixtures("named")
def test_validate_says_which_devices_there_are() -> None:
    (look,) = Key.examine(KeyOptions(device="pedal"))
    (found,) = look.look()
    assert (found.status, found.option) == ("missing", "device")
    assert "'Power Button'" in f"{found.help}"


def test_who_may_not_read_it_is_told_what_to_do(device: Device) -> None:
    device.path.unlink()
    device.path.write_text("")
    device.path.chmod(0)
    (look,) = Key.examine(KeyOptions(device=str(device.path)))
    found = list(look.look())
    if os.geteuid():  # root may
        assert "usermod -aG input" in f"{found[0].help}"


# -- names -----------------------------------------------------------------------------------------


def test_keys_are_called_as_in_the_kernels_header() -> None:
    header = Path("/usr/include/linux/input-event-codes.h")
    if not header.exists():
        pytest.skip("no linux-libc-dev")
    called: dict[int, set[str]] = {}
    for line in header.read_text().splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "#define" and words[1].startswith(("KEY_", "BTN_")):
            with suppress(ValueError):
                name = words[1].lower().removeprefix("key_")
                called.setdefault(int(words[2], 0), set()).add(name)
    ours = {code: name_of_code(code) for code in range(1, 0x140)}
    assert not {
        code: name
        for code, name in ours.items()
        if name[:5] != "code_" and name not in called[code]
    }
    assert (ours[SPACE], ours[0x120], ours[0x110]) == ("space", "btn_trigger", "btn_left")
    assert name_of_code(700) == "code_700"


def test_a_terminal_calls_a_key_as_a_device_does() -> None:
    kernel = {name_of_code(code) for code in range(1, 249)}
    for character in " \n\t\x7f\x1b-=[];'`\\,./" + "abcdefghijklmnopqrstuvwxyz0123456789":
        assert name_of_character(character) in kernel
    assert name_of_character("Q") == "q"
    assert name_of_character("\x01") is None
    assert {name_of_sequence(each) for each in ("A", "3~", "24~")} <= kernel
    assert name_of_sequence("99~") is None


# -- in a pipeline ---------------------------------------------------------------------------------


def test_push_to_talk_with_a_fallback_for_the_key(device: Device) -> None:
    desk = f"""
version: 1
stages:
  - tone: {{realtime: true, duration_s: 60}}
  - mute_gate: push_to_talk
  - blackhole
events:
  - key: /dev/input/by-id/no-such-pedal
    id: pedal
    fallback: {{key: {device.path}}}
  - {{match: key.pressed, from: pedal, where: {{key: space}}, do: mute_gate.talk}}
  - {{match: key.released, from: pedal, where: {{key: space}}, do: mute_gate.release}}
"""

    async def run() -> list[str]:
        pipeline = loads(desk)
        heard: list[str] = []
        opened, closed = asyncio.Event(), asyncio.Event()
        pipeline.bus.subscribe("*", lambda event: heard.append(event.type))
        pipeline.bus.subscribe("mute_gate.opened", lambda _: opened.set())
        async with asyncio.timeout(SOON_S), pipeline:
            pipeline.bus.subscribe("mute_gate.closed", lambda _: opened.is_set() and closed.set())
            device.write(stroke(A, 1) + stroke(SPACE, 1))
            await opened.wait()
            device.write(stroke(SPACE, 0))
            await closed.wait()
        return heard

    heard = asyncio.run(run())
    assert "stage.fell_back" in heard
    assert heard.count("mute_gate.opened") == 1
