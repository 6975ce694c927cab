"""A real PulseAudio: the source that was named, its own channels, and nothing of another one."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.command import running
from helpers.event_file import events_in, wait_for_events
from helpers.listening import tracks
from rtpipe import EnvironmentProblem
from rtpipe.language.loading import from_text
from rtpipe_plugins.commands.devices import devices
from rtpipe_plugins.soundcard.pulse import find_pulse_device
from rtpipe_plugins.soundcard.pulse_capture import PulseCapture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from devices.pulse import PulseAudio

pytestmark = pytest.mark.slow
RATE = 48_000
POSITIONS = "front-left,front-center,front-right,rear-center,lfe,side-left,side-right,aux7"


@pytest.fixture(autouse=True)
def served(pulse: PulseAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process, too, talk to the tests' own server."""
    for name, value in pulse.env.items():
        monkeypatch.setenv(name, value)


def levels(path: Path, channels: int, seconds: int = 60) -> Path:
    """Write a file whose channel n stands at the level 1000 (n + 1)."""
    data = np.tile(np.arange(1, channels + 1) * 1000, (seconds * RATE, 1)).astype("<i2")
    path.write_bytes(data.tobytes())
    return path


def recorded(names: list[str], blocks: int) -> list[NDArray[np.int16]]:
    """Return the last block of some of each source that sounds, shape (samples, channels)."""
    return [last() for last in [_recording(name, blocks) for name in names]]


def _recording(name: str, blocks: int) -> Callable[[], NDArray[np.int16]]:
    """Begin to record a source; what is returned waits for the last block, and ends it."""
    device = find_pulse_device(name, "input")
    assert device is not None
    heard: list[bytes] = []
    enough, ended = threading.Event(), threading.Event()

    def hear(data: bytes, *_: Any) -> None:
        if heard or any(data):  # who plays there may begin late
            heard.append(data)
        if len(heard) >= blocks:
            enough.set()

    capture = PulseCapture(
        device,
        sample_rate=RATE,
        block_ms=20,
        own_channels=True,
        latency="low",
        callback=hear,
        finished_callback=ended.set,
    )

    def last() -> NDArray[np.int16]:
        assert enough.wait(30)
        capture.close()
        assert ended.is_set()
        return np.frombuffer(heard[blocks - 1], np.int16).reshape(-1, capture.channels)

    return last


@pytest.mark.parametrize("layout", ["the server's own", "unusual"])
def test_each_channel_is_the_sources_own(pulse: PulseAudio, tmp_path: Path, layout: str) -> None:
    counts = (1, 2, 3, 4, 5, 6, 8)
    for channels in counts:
        words = ["module-null-sink", f"sink_name=many{channels}", "rate=48000"]
        words.append(f"channels={channels}")
        if layout == "unusual":
            words.append("channel_map=" + ",".join(POSITIONS.split(",")[-channels:]))
        pulse.load(*words)
        file = levels(tmp_path / f"{channels}.raw", channels, seconds=30)
        pulse.play(f"many{channels}", file, channels)
    for channels, seen in zip(
        counts, recorded([f"many{channels}.monitor" for channels in counts], 150), strict=True
    ):
        if layout == "the server's own":  # pacat plays by the same map
            assert [*seen[-1]] == [1000 * (n + 1) for n in range(channels)]
        assert len(seen[-1]) == channels


def test_the_default_an_index_and_a_description_name_a_source(pulse: PulseAudio) -> None:
    pulse.prefer_source("vmic")
    mic = find_pulse_device("vmic", "input")
    assert mic is not None
    for wanted in ("@DEFAULT_SOURCE@", str(mic.index), "VirtualMic", "virtualmic"):
        found = find_pulse_device(wanted, "input")
        assert found is not None
        assert found.index == mic.index
    speaker = find_pulse_device("vspeaker", "output")
    found = find_pulse_device("VirtualSpeaker", "output")
    assert speaker is not None
    assert found is not None
    assert found.index == speaker.index


def test_a_source_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(EnvironmentProblem, match=r"matches `pulse:vmi`; there is .*pulse:vmic"):
        find_pulse_device("vmi", "input")


LISTENING = """\
version: 1
stages:
  - mic: {device: "pulse:vmic"}
  - file_sink: said.wav
events:
  - jsonl: events.jsonl
"""


def test_while_a_microphone_is_away_nothing_of_another_is_heard_and_it_is_lost_once(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    pulse.load("module-null-sink", "sink_name=loud", "rate=48000", "channels=1")
    pulse.prefer_source("loud.monitor")
    pulse.play("loud", levels(tmp_path / "loud.raw", 1, 90), 1)
    (tmp_path / "listening.yaml").write_text(LISTENING)
    events = tmp_path / "events.jsonl"
    with running("run", "listening.yaml", cwd=tmp_path, env=pulse.env) as process:
        wait_for_events(events, "pipeline.started", 1, 20)
        pulse.mute("vmic", muted=True)
        wait_for_events(events, "device.muted", 1, 30)
        pulse.mute("vmic", muted=False)
        wait_for_events(events, "device.unmuted", 1, 30)
        pulse.unplug_mic()
        wait_for_events(events, "device.lost", 1, 30)
        pulse.plug_mic()
        wait_for_events(events, "device.returned", 1, 30)
        pulse.mute("vmic", muted=True)  # told by a look at it that is later than a false loss
        wait_for_events(events, "device.muted", 2, 30)
        process.signal(signal.SIGINT)
        assert process.wait() == 0, "".join(process.lines)
    assert [e["type"] for e in events_in(events)].count("device.lost") == 1
    [said] = tracks(tmp_path / "said.wav", rate=RATE)
    assert not np.any(said), "the other source is never silent"


def test_a_server_that_hangs_at_the_start_is_said_within_seconds(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    (tmp_path / "listening.yaml").write_text(LISTENING)
    pulse.freeze()
    for words, said in (
        (["run", "listening.yaml"], "the sound server hangs"),
        (["devices"], "the sound server hangs"),
        (["doctor", "listening.yaml"], "lacks PortAudio"),
    ):
        with running(*words, cwd=tmp_path, env=pulse.env) as process:
            assert process.wait(timeout=60) == 69
        assert said in "".join(process.lines)


def test_every_device_that_is_printed_is_accepted(pulse: PulseAudio) -> None:
    odd = "module-null-sink sink_name=odd.b,c sink_properties=device.description=A:b,c"
    pulse.load(*odd.split())
    printed = [line.strip() for line in CliRunner().invoke(devices).stdout.splitlines()]
    kind, named = "", []
    for line in printed:
        if line.startswith(("Input", "Output")):
            kind = "mic" if line.startswith("Input") else "speaker"
        else:
            named.append(f"  - {kind}: {{device: {line[: line.index(chr(34), 1) + 1]}}}")
    assert any("pulse:odd" in each for each in named)
    assert len(named) >= 4
    for each in named:
        around = ["  - tone", each] if "speaker" in each else [each, "  - blackhole"]
        loaded = from_text("\n".join(["version: 1", "stages:", *around]), examine="machine")
        assert not loaded.warnings, f"{each}: {loaded.warnings}"
