"""A real PulseAudio with two of each: muted, turned down, exchanged while the audio goes on."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from devices.test_pulse import (
    events_in,
    offset_of,
    wait_for_events,
    write_wav,
)
from devices.test_pulse_sources import levels
from helpers.command import running
from helpers.listening import tracks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from devices.pulse import PulseAudio

pytestmark = [pytest.mark.slow, pytest.mark.alone]
RATE = 48_000

STEER = """\
import asyncio, json
from contextlib import asynccontextmanager
from rtpipe import hookimpl


@hookimpl
def rtpipe_running(pipeline):
    return steered(pipeline)


@asynccontextmanager
async def steered(pipeline):
    async def serve(reader, writer):
        stage, action, *args = json.loads(await reader.readline())
        try:
            answer = pipeline.perform(stage, action, *args)
        except Exception as error:
            answer = repr(error)
        writer.write(json.dumps(answer).encode())
        writer.close()

    async with await asyncio.start_unix_server(serve, "steer.sock"):
        yield
"""
LISTENING = """\
version: 1
stages:
  - mic: {device: "pulse:vmic"}
  - file_sink: said.wav
events:
  - jsonl: events.jsonl
"""
PLAYING = """\
version: 1
stages:
  - tone: {frequency: 997, level_dbfs: -6}
  - speaker: {device: "pulse:vspeaker"}
events:
  - jsonl: events.jsonl
"""


class Steered:
    """A pipeline that runs, and what it has told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "events.jsonl"

    def do(self, *call: str | float) -> Any:
        """Carry out an action; return its result."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._folder / "steer.sock"))
            connection.sendall(json.dumps(call).encode() + b"\n")
            answer = b""
            while part := connection.recv(1 << 16):
                answer += part
        return json.loads(answer)

    def wait_for(self, type: str, count: int = 1) -> dict[str, Any]:
        """Return the last of so many events, once there are as many."""
        return wait_for_events(self._path, type, count, 10)[count - 1]

    @property
    def told(self) -> list[str]:
        return [event["type"] for event in events_in(self._path)]

    @property
    def ran_s(self) -> float:
        """How long it ran, as far as it told."""
        events = events_in(self._path)
        began = next(event for event in events if event["type"] == "pipeline.started")
        return float(events[-1]["at"] - began["at"])

    @property
    def said(self) -> NDArray[np.int16]:
        [track] = tracks(self._folder / "said.wav", rate=RATE)
        return track


@contextmanager
def steered(pulse: PulseAudio, folder: Path, text: str) -> Iterator[Steered]:
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "steer.py").write_text(STEER)
    (folder / "steered.yaml").write_text(text)
    with running("run", "steered.yaml", cwd=folder, env=pulse.env) as process:
        pipeline = Steered(folder)
        pipeline.wait_for("pipeline.started")
        yield pipeline
        process.signal(signal.SIGINT)
        assert process.wait() == 0, "".join(process.lines)


def stretches(samples: NDArray[np.int16], *, least_s: float = 0.1) -> list[tuple[int, float]]:
    """Return the levels that stand for a time, each with how long (s)."""
    edges = np.flatnonzero(np.diff(samples)) + 1
    parts = np.split(samples, edges)
    return [(int(part[0]), len(part) / RATE) for part in parts if len(part) >= least_s * RATE]


def test_another_microphone_is_heard_and_the_stream_goes_on(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    pulse.add_mic(2)
    pulse.play("vmic_in", levels(tmp_path / "one.raw", 1), 1)
    two = tmp_path / "two.raw"
    two.write_bytes(np.full(60 * RATE, 2000, "<i2").tobytes())
    pulse.play("vmic2_in", two, 1)
    with steered(pulse, tmp_path / "run", LISTENING) as pipeline:
        time.sleep(1)
        assert pipeline.do("mic", "use", "VirtualMic2") == "accepted"
        changed = pipeline.wait_for("device.changed")
        time.sleep(1)
        rows = pipeline.do("mic", "devices")
    assert (changed["device"], changed["previous"]) == ("pulse:vmic2", "pulse:vmic")
    assert {"device": "pulse:vmic2", "name": "VirtualMic2", "used": True} in rows
    assert "pulse:vmic" in [row["device"] for row in rows]
    said = pipeline.said
    first, last = int(np.flatnonzero(said == 2000)[0]), int(np.flatnonzero(said == 1000)[-1])
    assert last < first, "nothing of the old one once the new one has begun"
    assert first - last <= 300, "5 ms of fade, and no gap"
    assert {level for level, _ in stretches(said)} == {1000, 2000}
    assert len(said) / RATE == pytest.approx(pipeline.ran_s, abs=0.1), "no time is lost"
    assert not {"device.lost", "stage.restarted", "mic.overran"} & set(pipeline.told)


def test_a_refused_one_does_not_touch_a_sample(pulse: PulseAudio, tmp_path: Path) -> None:
    """On a machine too busy for it the stage says so; then it is done again."""
    noise = np.random.default_rng(1).normal(0, 3000, 3 * RATE).astype(np.int16)
    wav = write_wav(tmp_path / "noise.wav", noise)
    for attempt in range(4):
        with steered(pulse, tmp_path / f"{attempt}", LISTENING) as pipeline:
            assert pipeline.do("mic", "use", "nobody's") == "accepted"
            assert "StageError" in pipeline.do("mic", "use", "pulse:")
            pulse_says = pulse.saying(wav)
            time.sleep(0.5)
            pipeline.do("mic", "use", "pulse:nowhere")
            refused = pipeline.wait_for("device.refused", 2)
            pulse_says.wait()
            time.sleep(0.7)
        assert refused["device"] == "pulse:nowhere"
        assert "there is" in refused["reason"]
        assert "pulse:vmic" in refused["reason"]
        if "mic.overran" not in pipeline.told:
            at = offset_of(noise, pipeline.said)
            assert np.array_equal(pipeline.said[at : at + len(noise)], noise)
            return
    pytest.fail("this machine is too busy for sound")


def test_muted_it_is_silent_to_the_sample_and_time_goes_on(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    pulse.play("vmic_in", levels(tmp_path / "one.raw", 1), 1)
    with steered(pulse, tmp_path / "run", LISTENING) as pipeline:
        time.sleep(1)
        pipeline.do("mic", "mute")
        muted = pipeline.wait_for("mic.muted")
        time.sleep(1)
        pipeline.do("mic", "unmute")
        unmuted = pipeline.wait_for("mic.unmuted")
        time.sleep(0.5)
    said = pipeline.said
    heard = stretches(said)
    assert [level for level, _ in heard] == [1000, 0, 1000]
    away_s = unmuted["at"] - muted["at"]
    assert heard[1][1] == pytest.approx(away_s - 0.005, abs=0.025), "a frame more or less"
    assert len(said) / RATE == pytest.approx(pipeline.ran_s, abs=0.1)


def test_a_lost_microphone_names_the_others_and_one_of_them_ends_the_waiting(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    pulse.add_mic(2)
    two = tmp_path / "two.raw"
    two.write_bytes(np.full(60 * RATE, 2000, "<i2").tobytes())
    pulse.play("vmic2_in", two, 1)
    with steered(pulse, tmp_path / "run", LISTENING) as pipeline:
        pulse.unplug_mic()
        lost = pipeline.wait_for("device.lost")
        assert lost["device"] == "pulse:vmic"
        assert "pulse:vmic2" in lost["others"]
        assert "pulse:vmic" not in lost["others"]
        pipeline.do("mic", "use", "pulse:vmic2")
        pipeline.wait_for("device.changed")
        time.sleep(1)
    assert stretches(pipeline.said)[-1][0] == 2000
    assert "device.returned" not in pipeline.told
    assert len(pipeline.said) / RATE == pytest.approx(pipeline.ran_s, abs=0.15)


def level_of(samples: NDArray[np.int16]) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(samples.astype(float)))))


def test_the_loudspeaker_is_turned_down_muted_and_exchanged(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    pulse.add_speaker(2)
    full = 32_768 * 10 ** (-6 / 20)
    with (
        pulse.hearing() as ear,
        pulse.hearing("vspeaker2") as other,
        steered(pulse, tmp_path / "run", PLAYING) as pipeline,
    ):

        def heard(listened: Any) -> float:
            """Return the level of the next half second, once what was before has gone by."""
            time.sleep(0.5)
            begun = len(listened.samples)
            time.sleep(0.5)
            return level_of(listened.samples[begun:])

        pipeline.wait_for("playback.started")
        assert heard(ear) == pytest.approx(full, rel=0.02)
        pipeline.do("speaker", "volume", 0.25)
        assert pipeline.wait_for("speaker.volume_changed")["volume"] == 0.25
        assert heard(ear) == pytest.approx(full / 4, rel=0.02)
        pipeline.do("speaker", "mute")
        assert heard(ear) == 0
        pipeline.do("speaker", "unmute")
        assert heard(ear) == pytest.approx(full / 4, rel=0.02)
        assert pipeline.do("speaker", "use", "VirtualSpeaker2") == "accepted"
        changed = pipeline.wait_for("device.changed")
        assert (changed["device"], changed["previous"]) == ("pulse:vspeaker2", "pulse:vspeaker")
        assert heard(other) == pytest.approx(full / 4, rel=0.02)
        assert heard(ear) == 0
    assert pipeline.told.count("playback.started") == 1, "one sound, all the time"
    assert not {"device.lost", "stage.restarted"} & set(pipeline.told)
