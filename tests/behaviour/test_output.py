"""The display is nobody's master: output that goes away costs neither audio nor the exit code."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtpipe.cli.output import Output

pytestmark = pytest.mark.slow

FILE = """version: 1
stages:
  - tone: {duration_s: 0.5}
  - file_sink: x.wav
"""


def latin() -> tuple[io.BytesIO, Output]:
    raw = io.BytesIO()
    return raw, Output(io.TextIOWrapper(raw, encoding="latin-1", write_through=True))


def test_what_a_stream_cannot_encode_is_escaped() -> None:
    raw, output = latin()
    output.write("caf\u00e9 \u2026 \ud800\n")
    assert raw.getvalue() == b"caf\xe9 \\u2026 \\ud800\n"
    assert output.lost == 0


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_that_is_gone_is_counted_and_left_alone(*, closed: bool) -> None:
    stream = io.StringIO()
    stream.close()
    output = Output(stream if closed else None)
    output.write("one\n")
    output.write("two\n")
    output.finish()
    assert output.lost == 2
    assert output.reason
    assert not output.isatty()


def test_a_pipe_whose_reader_went_away_is_said_once() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        output = Output(stream)
        output.write("one\n")
        output.write("two\n")
        assert (output.lost, output.reason) == (2, "Broken pipe")


def test_a_pipe_that_nobody_reads_never_blocks_and_gets_what_waited_later() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb", buffering=0) as reader:
        output = Output(stream)
        lines = [f"{number:0998}\n" for number in range(200)]  # 200 kB; a pipe holds 64
        for line in lines:
            output.write(line)
        assert not output.idle
        got = b""
        while not output.idle:
            got += reader.read(1 << 16)
            output.write("")
        got += reader.read(1 << 20)
        assert got.decode() == "".join(lines)
        assert output.lost == 0


@pytest.mark.parametrize(
    "streams",
    [">/dev/full", "2>/dev/full", ">&-", "2>&-", ">&- 2>&-", ">/dev/full 2>&1", "| true"],
)
def test_the_recording_and_the_exit_code_stand(streams: str, tmp_path: Path) -> None:
    Path(tmp_path, "a.yaml").write_text(FILE)
    command = f"set -o pipefail; {sys.executable} -m rtpipe run a.yaml -v {streams}"
    ended = subprocess.run(
        ["/bin/bash", "-c", command], cwd=tmp_path, timeout=60, check=False, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr
    assert Path(tmp_path, "x.wav").stat().st_size == 44 + 24_000 * 2
