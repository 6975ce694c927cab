"""process and process_sink: a command's samples exactly, and its failure in its own words."""

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from helpers.command import rtpipe
from helpers.media_files import read_wav, write_wav
from rtpipe import AudioFrame, EnvironmentProblem, StageError, audio
from rtpipe.testing import Bench, StageRun, cut, joined, noise, run_stage
from rtpipe_plugins.sinks.process import ProcessSink
from rtpipe_plugins.sources.process import Process

VOICE = joined(noise(seconds=0.73))[:, 0]
DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}


def source(command: Any, **options: Any) -> StageRun:
    return asyncio.run(run_stage(Process, {"command": command, **options}))


def sink(command: Any, frames: Iterable[AudioFrame], **options: Any) -> None:
    asyncio.run(run_stage(ProcessSink, {"command": command, **options}, frames))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# -- the source ------------------------------------------------------------------------------------


def test_output_is_taken_sample_by_sample(tmp_path: Path) -> None:
    (tmp_path / "voice.raw").write_bytes(VOICE.tobytes())
    run = source(f"cat {tmp_path}/voice.raw")
    assert np.array_equal(joined(run.frames)[:, 0], VOICE)
    assert {frame.samples for frame in run.frames[:-1]} == {960}
    assert [frame.pts for frame in run.frames] == [n * 960 for n in range(len(run.frames))]


@pytest.mark.parametrize("format", DTYPES)
def test_every_format(format: str, tmp_path: Path) -> None:
    data = np.arange(24_000).astype(DTYPES[format])
    (tmp_path / "voice.raw").write_bytes(data.tobytes())
    run = source(
        ["cat", str(tmp_path / "voice.raw")], format=format, layout="stereo", sample_rate=16_000
    )
    got = np.concatenate([audio.pcm(frame) for frame in run.frames])
    assert np.array_equal(got, data.reshape(-1, 2))
    assert (run.frames[0].sample_rate, run.frames[0].samples) == (16_000, 320)


@pytest.mark.slow
def test_sox_both_ways_through_a_pipeline(tmp_path: Path) -> None:
    if shutil.which("sox") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no sox: apt install sox")
    write_wav(tmp_path / "in.wav", VOICE)
    raw = "-t raw -r 48000 -e signed -b 16 -c 1 -"
    (tmp_path / "p.yaml").write_text(
        f"version: 1\nstages:\n  - process: sox in.wav {raw}\n  - process_sink: sox {raw} out.wav\n"
    )
    ended = rtpipe("run", "p.yaml", cwd=tmp_path)
    assert ended.code == 0, ended.err
    data, rate = read_wav(tmp_path / "out.wav")
    assert rate == 48_000
    assert np.array_equal(data[:, 0], VOICE)


def test_live_output_says_when_it_was_heard() -> None:
    run = source(python("import sys; sys.stdout.buffer.write(bytes(9600))"), live=True)
    assert all(audio.meta(frame).captured_at is not None for frame in run.frames)
    assert Process.has_clock(Process.options_type(command="arecord", live=True))  # type: ignore[call-arg, arg-type]


def test_a_command_that_fails_is_quoted() -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(1920)); sys.exit('no such microphone')"
    with pytest.raises(StageError) as failure:
        source(python(code))
    assert failure.value.message == (
        f"{sys.executable} ended with exit status 1: no such microphone"
    )


def test_a_command_that_is_killed() -> None:
    with pytest.raises(StageError, match="sh was killed by SIGKILL"):
        source(["sh", "-c", "kill -9 $$"])


def test_a_command_that_says_much_does_not_stall() -> None:
    code = "import sys; sys.stderr.write('x' * 500_000 + '\\nend'); sys.exit(3)"
    with pytest.raises(StageError) as failure:
        source(python(code))
    assert failure.value.message.endswith("/ end")
    assert len(failure.value.message) < 2200


def test_half_a_sample_at_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    run = source(python("import sys; sys.stdout.buffer.write(bytes(101))"))
    assert run.samples == 50
    assert "ends within a sample: 1 bytes" in caplog.text


@pytest.mark.parametrize("stage_type", [Process, ProcessSink])
def test_no_such_program(stage_type: type[Process | ProcessSink]) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot run 'nowhere': No such file"):
        asyncio.run(run_stage(stage_type, {"command": "nowhere"}))


def test_an_empty_command_is_a_mistake_in_the_file() -> None:
    with pytest.raises(ValidationError, match="the command is empty"):
        Process.options_type(command=" ")  # type: ignore[call-arg]


def runs(pid: int) -> bool:
    """Return whether there is such a process; a dead one whom nobody buried yet does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def test_closing_ends_the_command_and_its_children() -> None:
    bench = Bench(Process, {"command": ["sh", "-c", "sleep 600 & printf %-7d\\\\n $!; wait"]})
    async with bench.opened():
        assert isinstance(bench.stage, Process)
        child = int((await bench.stage._child.read(8)).split()[0])
        assert runs(child)
    async with asyncio.timeout(10):
        while runs(child):  # noqa: ASYNC110 - it is nobody's child: no one is told of its end
            await asyncio.sleep(0.01)


# -- the sink --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["s16", "s32"])
def test_input_is_given_sample_by_sample(format: str, tmp_path: Path) -> None:
    path = tmp_path / "out.raw"
    sink(["sh", "-c", f"cat > {shlex.quote(str(path))}"], cut(VOICE), format=format)
    written = np.fromfile(path, DTYPES[format])
    assert np.array_equal(written, VOICE.astype(DTYPES[format]) << (16 * (format == "s32")))


@pytest.mark.parametrize(("format", "quiet"), [("s16", 0), ("u8", 128)])
def test_a_hole_becomes_silence(format: str, quiet: int, tmp_path: Path) -> None:
    path = tmp_path / "out.raw"
    frames = [*cut(VOICE[:960]), *cut(VOICE[:960], pts=100_000)]
    sink(["sh", "-c", f"cat > {shlex.quote(str(path))}"], frames, format=format)
    written = np.fromfile(path, DTYPES[format])
    assert len(written) == 100_960
    assert set(written[960:100_000].tolist()) == {quiet}


def test_it_is_given_the_time_to_finish(tmp_path: Path) -> None:
    path = tmp_path / "count"
    sink(["sh", "-c", f"n=$(wc -c); sleep 0.3; echo $n > {path}"], cut(VOICE))
    assert int(path.read_text()) == 2 * len(VOICE)


def test_a_sink_that_fails_is_quoted() -> None:
    with pytest.raises(StageError, match="sh ended with exit status 4: no such speaker"):
        sink(["sh", "-c", "cat > /dev/null; echo no such speaker >&2; exit 4"], cut(VOICE))


def test_a_sink_that_fails_in_between_is_quoted() -> None:
    with pytest.raises(StageError, match="sh ended with exit status 4: no such speaker"):
        sink(["sh", "-c", "echo no such speaker >&2; exit 4"], noise(seconds=20))


def test_a_sink_that_has_enough() -> None:
    with pytest.raises(StageError, match="head ended before the audio did"):
        sink("head -c 10", noise(seconds=20))
