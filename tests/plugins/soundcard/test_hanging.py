"""A call of PortAudio's that never returns keeps nobody waiting."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from helpers import fake_sounddevice
from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.commands import devices
from rtpipe_plugins.soundcard import portaudio, probing
from rtpipe_plugins.sources.mic.options import MicOptions

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Waited for, it hangs until the test has ended."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_that_hangs_is_left_behind_and_said(hanging: threading.Event) -> None:
    with pytest.raises(EnvironmentProblem, match=r"the sound system hangs: no answer in 0\.01 s"):
        await portaudio.in_time(in_daemon_thread("sound", hanging.wait), 0.01)


async def test_what_a_call_gives_or_raises_comes_through() -> None:
    assert await portaudio.in_time(in_daemon_thread("sound", lambda: 7), 5) == 7
    with pytest.raises(ZeroDivisionError):
        await portaudio.in_time(in_daemon_thread("sound", lambda: 1 // 0), 5)


def test_while_portaudio_hangs_in_its_import_it_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    portaudio.abandon()
    assert "sounddevice" not in sys.modules


def test_a_list_without_devices_is_made_anew_unless_it_has_just_been_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text(
        "looks = 1\n"
        "def _terminate(): pass\n"
        "def _initialize():\n    global looks\n    looks += 1\n"
        "def query_devices(): return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(portaudio.pulse, "require_answer", lambda: None)
    try:
        assert [portaudio.load().looks for _ in range(3)] == [1, 2, 3]
    finally:
        sys.modules.pop("sounddevice", None)


def test_devices_says_that_the_sound_system_hangs(
    monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    monkeypatch.setattr(devices, "all_devices", hanging.wait)
    monkeypatch.setattr(devices, "_LIST_S", 0.01)
    group = click.Group()
    group.add_command(devices.devices)
    problem = CliRunner().invoke(group, ["devices"]).exception
    assert isinstance(problem, EnvironmentProblem)
    assert problem.exit_code == ExitCode.UNAVAILABLE


async def test_the_doctor_says_that_the_sound_system_hangs(
    monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    fake_sounddevice.install(monkeypatch)
    monkeypatch.setattr(portaudio, "find_device", lambda *_: hanging.wait())
    monkeypatch.setattr(probing, "_LOOK_S", 1.0)
    found = [finding async for finding in probing.probe_device(MicOptions(), "input")]
    assert [finding.name for finding in found] == ["PortAudio", "audio group", "microphone"]
    assert found[-1].status == "missing"
    assert "hangs" in found[-1].message


async def test_what_the_program_says_is_seen_while_a_call_hangs(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(portaudio, "_QUIET_S", 0.0)
    with portaudio._quiet():
        for _ in range(1000):
            sys.stderr.write("seen\n")
            sys.stderr.flush()
            await asyncio.sleep(0.001)
            if capfd.readouterr().err:
                break
        else:
            pytest.fail("stderr is still closed")
