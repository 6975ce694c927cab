"""mic: the device that is meant, and a clear word where there is none."""

import os
from typing import Any

import pytest

from helpers import fake_sounddevice
from helpers.fake_sounddevice import PortAudioError, SoundDevice
from rtpipe import EnvironmentProblem, ExitCode, StageError
from rtpipe.testing import Bench, run_virtual
from rtpipe_plugins.sources.mic.stage import Mic


def opened(options: dict[str, Any]) -> None:
    async def run() -> None:
        async with Bench(Mic, options).opened():
            pass

    run_virtual(run())


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("default", 0),
        ("headset", 1),
        ("USB Camera: Audio (hw:2,0)", 2),
        ("2", 2),
        (2, 2),
        ("pulse", 3),
    ],
)
def test_a_device_by_name_part_or_index(laptop: SoundDevice, wanted: str | int, index: int) -> None:
    opened({"device": wanted})
    assert laptop.streams[0].options["device"] == index


def test_pulse_chooses_a_source_while_it_opens(
    laptop: SoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SOURCE", "before")
    seen: list[str | None] = []
    laptop.when_opened = lambda: seen.append(os.environ.get("PULSE_SOURCE"))
    opened({"device": "pulse:alsa_input.usb"})
    assert seen == ["alsa_input.usb"]
    assert os.environ["PULSE_SOURCE"] == "before"
    assert laptop.streams[0].options["device"] == 3


def test_several_matches_are_the_users_to_decide(laptop: SoundDevice) -> None:
    with pytest.raises(StageError, match="several input devices match `USB`: 1: USB Headset") as e:
        opened({"device": "USB"})
    assert e.value.exit_code == ExitCode.CONFIGURATION
    assert not isinstance(e.value, EnvironmentProblem)


def test_a_whole_name_is_meant_before_a_part_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    laptop = fake_sounddevice.install(monkeypatch, (("USB Audio 2", 1, 0), ("USB Audio", 1, 0)))
    opened({"device": "usb audio"})
    assert laptop.streams[0].options["device"] == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"device": "Røde"}, "no input device matches `Røde`; there is 0: Built-in Audio"),
        ({"device": "9"}, "no input device matches `9`"),
        ({"device": "headset", "channel": 2}, r"\(hw:1,0\) has no channel 2, only 1"),
    ],
)
def test_what_is_not_there_may_be_replaced_by_a_fallback(
    laptop: SoundDevice, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(EnvironmentProblem, match=complaint):
        opened(options)


@pytest.mark.parametrize(
    ("refusal", "complaint"),
    [
        (
            PortAudioError("Error opening RawInputStream: Device unavailable", -9985),
            "Built-in Audio: ALC .* does not open: Device unavailable",
        ),
        (PortAudioError("Invalid sample rate", -9997), "does not take 48000 Hz"),
    ],
)
def test_a_device_that_refuses(
    laptop: SoundDevice, refusal: PortAudioError, complaint: str
) -> None:
    laptop.refusal = refusal
    with pytest.raises(EnvironmentProblem, match=complaint) as caught:
        opened({})
    assert caught.value.help


def test_without_devices_portaudio_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_sounddevice.install(monkeypatch, ())
    looked: list[str] = []
    monkeypatch.setattr(fake, "_initialize", lambda: looked.append("again"), raising=False)
    with pytest.raises(EnvironmentProblem, match="this computer has no audio input device"):
        opened({})
    assert looked == ["again"]


def test_without_portaudio_the_apt_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.remove_portaudio(monkeypatch)
    with pytest.raises(EnvironmentProblem, match="PortAudio library is not installed") as caught:
        opened({})
    assert "sudo apt install libportaudio2" in (caught.value.help or "")
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
