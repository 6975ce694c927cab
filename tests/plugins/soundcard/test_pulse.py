"""What PulseAudio is asked: which device is meant, where our streams are, and whether it hangs."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import fake_sounddevice
from rtpipe import EnvironmentProblem, RtpipeError, StageError
from rtpipe_plugins.soundcard import libpulse, portaudio
from rtpipe_plugins.soundcard.pulse import (
    PulseDevice,
    PulseStreams,
    device_meant,
    require_answer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A TCP server in PulseAudio's place that takes connections and says nothing."""
    try:
        libpulse.libpulse()
    except OSError:
        pytest.skip("no libpulse: apt install libpulse0")
    monkeypatch.setattr(libpulse, "_ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PULSE_SERVER", f"tcp:127.0.0.1:{server.getsockname()[1]}")
        yield


@pytest.mark.usefixtures("silent_server")
def test_a_server_that_never_answers_is_said_to_hang() -> None:
    with pytest.raises(EnvironmentProblem, match="the sound server hangs: no answer in") as raised:
        require_answer()
    assert "restart it" in str(raised.value.help)


def test_no_server_is_no_hanging_server() -> None:
    require_answer()


def named(index: int, name: str, description: str = "") -> PulseDevice:
    return PulseDevice(index, name, description or name, (0,), 48_000)


DEVICES = [
    named(0, "alsa_input.usb", "Headset"),
    named(7, "vmic", "Virtual Mic"),
    named(8, "7", "Named like an index"),
    named(9, "twin.a", "Twin"),
    named(10, "twin.b", "Twin"),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("vmic", 7), ("0", 0), ("headset", 0), ("Virtual Mic", 7), ("7", 8), ("twin.b", 10)],
)
def test_a_name_an_index_and_a_description_are_names(wanted: str, index: int) -> None:
    assert device_meant(wanted, DEVICES, "input").index == index


def test_a_description_of_two_devices_is_refused_and_both_are_named() -> None:
    with pytest.raises(StageError) as raised:
        device_meant("Twin", DEVICES, "input")
    assert raised.value.help == "name one: pulse:twin.a, pulse:twin.b"


@given(st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=5, unique_by=lambda d: d[0]))
def test_what_is_found_bears_what_was_asked_for(wanted: str, names: list[tuple[str, str]]) -> None:
    devices = [named(index, *both) for index, both in enumerate(names)]
    try:
        found = device_meant(wanted, devices, "output")
    except RtpipeError:
        assert wanted not in {name for name, _ in names}
    else:
        words = {found.name, str(found.index), found.description.casefold()}
        assert {wanted, wanted.casefold()} & words


async def answers(streams: PulseStreams, count: int) -> list[bool]:
    """Ask as often, each time after the answer before is there."""
    found = []
    for _ in range(count):
        found.append(streams.strayed("vmic"))
        assert streams._asking is not None
        await asyncio.wait([streams._asking])
    return found


async def test_a_device_that_was_opened_anew_is_not_lost_by_what_was_seen_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = (True, False)
    monkeypatch.setattr(PulseStreams, "_ask", lambda *_: seen)
    streams = PulseStreams("input")
    assert await answers(streams, 4) == [False, False, True, True]
    seen = (False, False)
    streams.forget()
    assert await answers(streams, 4) == [False] * 4
    await streams.close()


async def test_whether_the_device_is_muted_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    muted = True
    monkeypatch.setattr(PulseStreams, "_ask", lambda *_: (False, muted))
    streams = PulseStreams("output")
    await answers(streams, 2)
    assert streams.muted
    muted = False
    await answers(streams, 2)
    assert not streams.muted
    await streams.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("headset", "pulse:alsa_input.usb"),
        ("virtual", "pulse:vmic"),
        ("twin.b", "pulse:twin.b"),
        ("built-in", "Built-in Audio: ALC (hw:0,0)"),
    ],
)
def test_what_portaudio_does_not_know_is_looked_for_among_pulseaudios(
    monkeypatch: pytest.MonkeyPatch, wanted: str, found: str
) -> None:
    there = [*DEVICES, named(11, "built-in.monitor", "Monitor of Virtual")]
    monkeypatch.setattr(portaudio.pulse, "pulse_devices", lambda _: there)
    monkeypatch.setattr(
        portaudio.pulse, "find_pulse_device", lambda name, way: device_meant(name, there, way)
    )
    laptop = fake_sounddevice.SoundDevice(
        (("Built-in Audio: ALC (hw:0,0)", 2, 2), ("pulse", 32, 32)), (0, 0)
    )
    assert str(portaudio.find_device(laptop, wanted, "input")) == found
    with pytest.raises(StageError, match="several input devices match `twin`: Twin"):
        portaudio.find_device(laptop, "twin", "input")
    with pytest.raises(EnvironmentProblem, match="no input device matches `monitor`"):
        portaudio.find_device(laptop, "monitor", "input")
