"""`rtpipe tap`: files that are valid however it ends, and sound for programs."""

from __future__ import annotations

import io
import signal
import struct
import subprocess
import sys
import time
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.command import Running, environment, rtpipe
from rtpipe import ExitCode
from rtpipe_control.commands.wav import Peak, Sound, WavFile, read_header

pytestmark = pytest.mark.slow


@contextmanager
def tapping(*args: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Tap `short`, from when the file has samples in it."""
    with subprocess.Popen(
        [sys.executable, "-m", "rtpipe", "tap", "short", *args, "-o", "a.wav"],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            file, deadline = cwd / "a.wav", time.monotonic() + 60
            while not file.exists() or file.stat().st_size < 10_000:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


def samples(data: bytes) -> array[int]:
    """Return the samples of a WAV file that says how long it is."""
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
        found = array("h", file.readframes(file.getnframes()))
        assert len(found) == file.getnframes()
    assert len(data) == 44 + 2 * len(found)
    return found


def is_the_tone(found: array[int]) -> bool:
    """Return whether it is a sine of 1000 Hz without a gap: it comes again after 48 samples."""
    return max(found) > 3000 and all(
        abs(one - other) <= 1 for one, other in zip(found, found[48:], strict=False)
    )


@pytest.mark.usefixtures("toner")
@pytest.mark.parametrize("stage", ["tone", "gain", "blackhole"])
def test_so_many_seconds_are_so_many_samples(stage: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(bytes(10**6))  # overwritten, all of it
    done = rtpipe("tap", "toner", stage, "-o", "a.wav", "--for", "0.7", cwd=tmp_path)
    assert (done.code, done.out) == (ExitCode.OK, "")
    assert done.err == f"wrote a.wav: 0.7 s of {stage}, peak -17.0 dBFS\n"
    found = samples((tmp_path / "a.wav").read_bytes())
    assert len(found) == 33_600
    assert is_the_tone(found)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("a_run")
def test_whoever_ends_it_gets_a_complete_file(number: signal.Signals, tmp_path: Path) -> None:
    with tapping("gain", cwd=tmp_path) as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.OK
        assert err.startswith(b"wrote a.wav: ")
    assert is_the_tone(samples((tmp_path / "a.wav").read_bytes()))


@pytest.mark.usefixtures("a_run")
def test_after_a_kill_players_read_what_is_there(tmp_path: Path) -> None:
    with tapping("gain", cwd=tmp_path) as process:
        process.kill()
        process.wait(60)
    data = (tmp_path / "a.wav").read_bytes()
    stream = io.BytesIO(data)
    assert read_header(stream) == Sound(48_000, 1)
    assert is_the_tone(array("h", stream.read()))
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", "a.wav"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(told.stdout) == pytest.approx((len(data) - 44) / 96_000, abs=0.001)
    assert told.stderr == ""


def test_it_ends_with_the_run_and_the_file_is_complete(a_run: Running, tmp_path: Path) -> None:
    with tapping("gain", cwd=tmp_path) as process:
        a_run.signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.OK
        assert err.startswith(b"wrote a.wav: ")
    assert is_the_tone(samples((tmp_path / "a.wav").read_bytes()))


def test_a_run_that_is_killed_leaves_a_complete_file_and_is_told(
    a_run: Running, tmp_path: Path
) -> None:
    with tapping("gain", cwd=tmp_path) as process:
        a_run.process.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == ExitCode.UNAVAILABLE
        assert b"wrote a.wav: " in err
        assert b"error: `short` has ended\n" in err
    assert is_the_tone(samples((tmp_path / "a.wav").read_bytes()))


@pytest.mark.usefixtures("toner")
def test_without_a_file_it_is_a_wav_for_the_next_program(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rtpipe", "tap", "toner", "gain"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        assert read_header(process.stdout) == Sound(48_000, 1)
        assert is_the_tone(array("h", process.stdout.read(9600)))
        process.stdout.close()  # as `head` does
        assert process.wait(60) == ExitCode.FAILED
        assert process.stderr.read().startswith(b"heard 0.")


@pytest.mark.usefixtures("toner")
def test_a_player_is_given_the_samples_and_its_failure_is_told(tmp_path: Path) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "paplay").write_text("#!/bin/sh\necho 'no \033server' >&2\nexit 1\n")
    (bin / "aplay").write_text('#!/bin/sh\necho "$@" > said\n/bin/cat > played\n')
    for each in bin.iterdir():
        each.chmod(0o755)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sounddevice.py").write_text("raise ImportError\n")
    env = {"PATH": f"{bin}", "PYTHONPATH": f"{hidden}"}
    done = rtpipe("tap", "toner", "gain", "--play", "--for", "1", cwd=tmp_path, env=env)
    assert (done.code, done.err) == (ExitCode.OK, "heard 1.0 s of gain, peak -17.0 dBFS\n")
    assert (tmp_path / "said").read_text() == "-q -t raw -f S16_LE -r 48000 -c 1\n"
    assert is_the_tone(array("h", (tmp_path / "played").read_bytes()))
    (bin / "aplay").write_text("#!/bin/sh\nexit 1\n")
    silent = rtpipe("tap", "toner", "gain", "--play", "--for", "9", cwd=tmp_path, env=env)
    assert silent.code == ExitCode.UNAVAILABLE
    assert "cannot play" in silent.err
    for each in bin.iterdir():
        each.unlink()
    none = rtpipe("tap", "toner", "gain", "--play", cwd=tmp_path, env=env)
    assert none.code == ExitCode.UNAVAILABLE
    assert "nothing here can play sound" in none.err


@pytest.mark.usefixtures("toner")
@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["gone", "-o", "a.wav"], ExitCode.USAGE, "no stage `gone`"),
        (["gain", "-o", "a.mp3"], ExitCode.USAGE, "end it in `.wav`"),
        (["gain", "-o", "gone/a.wav"], ExitCode.UNAVAILABLE, "cannot write gone/a.wav: No such"),
        (["gain", "-o", "/dev/full.wav"], ExitCode.UNAVAILABLE, "cannot write"),
        (["gain", "-o", "a.wav", "--for", "0"], ExitCode.USAGE, "--for"),
        (["gain", "-o", "a.wav", "--for", "nan"], ExitCode.USAGE, "--for"),
    ],
)
def test_what_cannot_be_is_told_and_no_file_is_touched(
    args: list[str], code: ExitCode, told: str, tmp_path: Path
) -> None:
    if "/dev/full.wav" in args:
        (tmp_path / "full.wav").symlink_to("/dev/full")
        args = ["gain", "-o", "full.wav"]
    (tmp_path / "a.wav").write_text("mine")
    done = rtpipe("tap", "toner", *args, cwd=tmp_path)
    assert done.code == code
    assert told in done.err
    assert (tmp_path / "a.wav").read_text() == "mine"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF\xff\xff\xff\xffWAVE",
        b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff",
        b"RIFF\xff\xff\xff\xffWAVElong\xff\xff\xff\xff",
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 3, 1, 8, 8, 4, 32)
        + b"data\0\0\0\0",
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 0, 8, 8, 2, 16)
        + b"data\0\0\0\0",
    ],
)  # fmt: skip
def test_what_is_no_wav_of_16_bits_is_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="no "):
        read_header(io.BytesIO(data))


def test_a_header_says_how_much_there_is_as_far_as_it_can() -> None:
    sound = Sound(16_000, 2)
    file: Any = io.BytesIO()
    written = WavFile(file, sound)
    written.write(bytes(64))
    assert file.getvalue()[40:44] == b"\xff\xff\xff\xff"
    written.complete()
    assert file.getvalue()[:44] == sound.header(64)
    file.seek(0)
    assert read_header(file) == sound
    assert sound.header(2**32) == sound.header()


def test_the_peak_is_in_dbfs() -> None:
    peak = Peak()
    assert peak.in_words() == "digital silence"
    peak.take(array("h", [5, -16384, 3]).tobytes())
    assert peak.in_words() == "peak -6.0 dBFS"
