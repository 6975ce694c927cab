"""devices: what a user can paste, or why there is nothing."""

import json
import re

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import fake_sounddevice
from rtpipe import EnvironmentProblem, ExitCode
from rtpipe.language.loading import from_text
from rtpipe_plugins.commands import devices
from rtpipe_plugins.soundcard import portaudio, pulse
from rtpipe_plugins.soundcard.pulse import PulseDevice
from rtpipe_plugins.sources.mic.options import MicOptions

TWINS = (("USB Audio", 1, 0), ("USB Audio", 1, 0), ("Speakers", 0, 2), ("pulse", 32, 32))


def run(*words: str) -> Result:
    group = click.Group()
    group.add_command(devices.devices)
    return CliRunner().invoke(group, ["devices", *words])


def test_every_device_is_listed_once_in_each_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch)
    out = run().stdout.splitlines()
    assert out[0] == "Input devices, for `- mic: {device: …}`"
    assert '"Built-in Audio: ALC (hw:0,0)"' in out[1]
    assert out[1].endswith("2 channels, 44100 Hz, default")
    assert '"USB Camera: Audio (hw:2,0)"' in out[3]
    assert "1 channel, 44100 Hz" in out[3]
    assert out[5] == "Output devices, for `- speaker: {device: …}`"
    assert len(out) == 9


def test_what_is_printed_finds_the_device_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fake_sounddevice.install(monkeypatch, TWINS)
    found = json.loads(run("--json").stdout)
    assert [row["device"] for row in found] == ["0", "1", "pulse", "Speakers", "pulse"]
    for index, row in zip([0, 1, 3, 2, 3], found, strict=True):
        wanted = MicOptions.model_validate({"device": row["device"]}).device
        device = portaudio.find_device(fake, wanted, row["direction"])
        assert device.index == index


STRANGE = [
    "", "default", "DEFAULT", "0", "7", "pulse", "Pulse", "pulse:", "pulse:desk", "hw:1,0", "${x}",
    "$$", "$${", "a$b", "# no", "on", "null", "é", "\U0001f3a4", "\u202e", "\x7f", "\ud800", "a: b",
]  # fmt: skip


@example(STRANGE)
@example(["\n", "\n"])
@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(STRANGE)), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_whatever_a_device_is_called_what_is_printed_is_accepted_and_means_it(
    names: list[str],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fake = fake_sounddevice.install(patch, tuple((name, 1, 0) for name in names))
        lines = run().stdout.splitlines()[1 : 1 + len(names)]
        text = "version: 1\nstages:\n"
        for line in lines:
            found = re.match(r'  ("(?:[^"\\]|\\.)*")', line)
            assert found is not None, line
            text += f"  - mic: {{device: {found[1]}}}\n  - blackhole\n"
        loaded = from_text(text, env={}, examine="machine")
        assert not loaded.warnings, text
        chosen = [
            each.options for each in loaded.spec.stages if isinstance(each.options, MicOptions)
        ]
        found_again = [portaudio.find_device(fake, each.device, "input") for each in chosen]
        assert [device.index for device in found_again] == list(range(len(names)))


def test_pulseaudios_own_devices_are_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch, TWINS)
    there = {
        "output": [PulseDevice(0, "hall", "The hall", (1, 2), 48_000)],
        "input": [
            PulseDevice(0, "hall.monitor", "Monitor of The hall", (1, 2), 48_000),
            PulseDevice(1, "desk", "", (1, 2), 48_000),
        ],
    }
    monkeypatch.setattr(pulse, "pulse_devices", there.get)
    rows = [row for row in json.loads(run("--json").stdout) if row["device"].startswith("pulse:")]
    assert [(row["direction"], row["device"], row["name"]) for row in rows] == [
        ("input", "pulse:desk", "desk"),
        ("output", "pulse:hall", "The hall"),
    ]
    assert rows[0]["channels"] == 2


def test_a_computer_without_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.install(monkeypatch, ())
    result = run()
    assert result.exit_code == 0
    assert result.stdout.count("none found") == 2
    assert json.loads(run("--json").stdout) == []


def test_without_portaudio_the_remedy_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_sounddevice.remove_portaudio(monkeypatch)
    error = run().exception
    assert isinstance(error, EnvironmentProblem)
    assert error.exit_code == ExitCode.UNAVAILABLE
    assert "apt install libportaudio2" in (error.help or "")
