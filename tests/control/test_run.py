"""The surface as `rtpipe run` opens it: a process of its own, called from another."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import rtpipe as rtpipe_module
from helpers.command import ROOT, environment, rtpipe
from helpers.listening import require_speech, tracks
from rtpipe import audio
from rtpipe.testing import run_virtual

LINE = """
version: 1
name: {name}
stages:
  - tone: {{waveform: noise, level_dbfs: -20, realtime: true}}
  - gain: -3
  - recorder: {{path: {name}.flac}}
"""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("f")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def write(folder: Path, name: str, more: str = "") -> str:
    (folder / f"{name}.yaml").write_text(LINE.format(name=name) + more)
    return f"{name}.yaml"


@pytest.mark.slow
def test_what_is_listened_to_is_the_recordings_track_to_the_bit(folder: Path) -> None:
    file = write(folder, "hall")
    run = subprocess.Popen([sys.executable, "-m", "rtpipe", "run", file, "--for", "6"], cwd=folder)
    path = folder / "rtpipe" / "hall.sock"
    stream = b""
    try:
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as caller:
                try:
                    caller.connect(str(path))
                except OSError:
                    time.sleep(0.05)
                    continue
                caller.sendall(b"GET /api/stages/gain/listen HTTP/1.0\r\nHost: x\r\n\r\n")
                while data := caller.recv(65536):
                    stream += data
                break
    finally:
        assert run.wait(30) == 0
    sound = stream.partition(b"\r\n\r\n")[2]
    assert sound.startswith(b"RIFF")
    said = np.frombuffer(sound[44:], "<i2")
    (recorded,) = tracks(folder / "hall.flac", rate=48_000)
    assert len(said) > 3 * 48_000
    begin = len(recorded) - len(said)
    places = [
        at for at in range(0, begin + 1, 960) if (recorded[at : at + 960] == said[:960]).all()
    ]
    assert len(places) == 1
    assert (recorded[places[0] :][: len(said)] == said).all()
    assert len(recorded) - places[0] == len(said), "to the last sample"


@pytest.mark.slow
def test_of_several_pipelines_the_first_gets_the_port(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = [write(folder, name) for name in ("hall", "desk")]
    ran = rtpipe("run", "--each", *files, "--control", str(port), "--for", "1", cwd=folder)
    assert ran.code == 0
    assert ran.err.count(f"the page is at http://127.0.0.1:{port}/") == 1
    assert f"`127.0.0.1:{port}` cannot be had" in ran.err or f"`{port}` cannot be had" in ran.err
    assert "another pipeline or program has that port" in ran.err
    ran = rtpipe("run", "--each", *files, "--control", "0", "--for", "1", cwd=folder)
    assert ran.err.count("the page is at http://127.0.0.1:") == 2, "each one of its own"


@pytest.mark.slow
def test_what_the_command_line_asks_for_is_guarded_as_the_file_is(folder: Path) -> None:
    ran = rtpipe("run", write(folder, "hall"), "--control", "0.0.0.0:0", "--for", "0.5", cwd=folder)
    assert ran.code == 0
    assert "lets others on the network steer this pipeline: add `token:" in ran.err
    assert "the page is at" not in ran.err
    ran = rtpipe("run", "hall.yaml", "--no-control", "--for", "0.5", cwd=folder)
    assert "control" not in ran.err
    secret = write(folder, "secret", 'control: {listen: "0.0.0.0:0", token: "${env:CANARY}"}\n')
    jsonl = 'events: [{match: "*", jsonl: all.jsonl}]\n'
    with (folder / secret).open("a") as more:
        more.write(jsonl)
    ran = rtpipe("run", secret, "--for", "0.5", cwd=folder, env={"CANARY": "sesam-sesam"})
    assert "the page is at http://localhost:" in ran.err
    assert "link=" not in ran.err, "it is no terminal"
    told = (folder / "all.jsonl").read_text()
    assert '"control.opened"' in told
    assert "link=" not in told
    assert "sesam" not in told + ran.err


def test_nothing_is_opened_on_a_virtual_clock(folder: Path) -> None:
    """Nor in a program whose file does not ask for it."""
    told: list[rtpipe_module.Event] = []

    def run(text: str) -> None:
        pipeline = rtpipe_module.loads(text)
        pipeline.bus.subscribe("control.*", told.append)
        run_virtual(pipeline.run())

    text = "version: 1\nstages: [tone: {duration_s: 1}, blackhole]\n"
    run(text)
    run(f"{text}control: 0\n")
    assert told == []
    assert not (folder / "rtpipe").exists()


async def test_a_program_opens_what_its_file_asks_for(folder: Path) -> None:
    told: list[rtpipe_module.Event] = []
    for section, events in (("", []), ("control: 0\n", ["control.opened"])):
        text = f"version: 1\nstages: [tone: {{duration_s: 0.1}}, blackhole]\n{section}"
        pipeline = rtpipe_module.loads(text)
        pipeline.bus.subscribe("control.*", told.append)
        await pipeline.run()
        assert [event.type for event in told] == events


def test_a_wav_without_an_end_is_read_by_others(folder: Path) -> None:
    from rtpipe_control.view.encoders import WavEncoder

    path = folder / "a.wav"
    path.write_bytes(WavEncoder(48_000, 1).head() + bytes(9600))
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 1
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import av; print(sum(f.samples for f in av.open({str(path)!r}).decode(audio=0)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout) == 4800


@pytest.mark.slow
def test_a_tap_of_the_kiosks_model_is_what_it_gave_out_and_its_track_in_the_recording(
    folder: Path,
) -> None:
    """Bit for bit what a file of it holds; the recording moves words by the clock, in pauses."""
    require_speech()
    settings = ("recorder.path=k.mka", "recorder.codec=pcm", "speaker.path=answer.wav")
    sets = [part for each in settings for part in ("--set", each)]
    kiosk = [sys.executable, "-m", "rtpipe", "run", str(ROOT / "pipelines" / "kiosk.yaml")]
    run = subprocess.Popen(
        [*kiosk, "--profile", "file", *sets], cwd=folder, env=environment(), stderr=subprocess.PIPE
    )
    tap = [sys.executable, "-m", "rtpipe", "tap", "kiosk", "realtime", "-o", "a.wav"]
    try:
        for _ in range(300):
            if (folder / "rtpipe" / "kiosk.sock").exists():
                break
            time.sleep(0.05)
        tapped = subprocess.run(tap, cwd=folder, env=environment(), check=False, timeout=120)
    finally:
        told = run.communicate(timeout=60)[1].decode()
    assert (run.returncode, tapped.returncode) == (0, 0), told
    (said,) = tracks(folder / "a.wav", rate=48_000)
    (given,) = tracks(folder / "answer.wav", rate=48_000)
    _, model = tracks(folder / "k.mka", rate=48_000)
    shift = int(np.flatnonzero(said)[0]) - int(np.flatnonzero(given)[0])
    heard, given = said[max(0, shift) :], given[max(0, -shift) :]
    both = min(len(heard), len(given))
    assert both > 15 * 48_000
    assert first_difference(heard[:both], given[:both]) == "", told
    assert first_difference(audible(said), audible(model)) == "", told


def audible(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Leave out what nobody would hear: there the recorder keeps a stream to the clock."""
    return samples[np.abs(samples.astype(int)) >= audio.AUDIBLE]


def first_difference(heard: NDArray[np.int16], given: NDArray[np.int16]) -> str:
    """Say where two sounds differ first, and how; "" where they do not."""
    both = min(len(heard), len(given))
    differ = np.flatnonzero(heard[:both] != given[:both])
    if not len(differ) and len(heard) == len(given):
        return ""
    at = int(differ[0]) if len(differ) else both
    return (
        f"{len(differ)} of {both} samples, first at {at} ({at / 48_000:.3f} s): "
        f"{heard[at - 3 : at + 8]} is not {given[at - 3 : at + 8]}; "
        f"{len(heard)} and {len(given)} samples"
    )
