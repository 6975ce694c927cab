"""The pages about watching and steering: every command is typed beside a kiosk over PulseAudio."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from docs.test_blocks import _pattern
from helpers.command import environment, running
from helpers.documentation import ROOT, blocks, exchanges, write_files
from helpers.listening import require_speech

if TYPE_CHECKING:
    from devices.pulse import PulseAudio

pytestmark = [pytest.mark.slow, pytest.mark.alone]
_OTHERS_TOO = {"rtpipe ps", "rtpipe ctl"}
"""What tells root of other runs as well, where this machine has some."""


@pytest.mark.parametrize("name", ["watch", "steer"])
def test_the_commands_print_what_the_page_shows(
    name: str, pulse: PulseAudio, tmp_path: Path
) -> None:
    require_speech()
    pulse.add_mic(2)
    page = ROOT / "docs" / "how-to" / f"{name}.md"
    write_files(page, tmp_path)
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120 - a link
    env = environment({**pulse.env, "PATH": path, "COLUMNS": "80"})
    start = ("run", "pipelines/kiosk.yaml", "--control", "127.0.0.1:0")
    with running(*start, cwd=tmp_path, env={**pulse.env, "PATH": path}) as run:
        run.wait_for("audio flows")
        others = os.geteuid() == 0 and any(Path("/run/rtpipe").glob("*.sock"))
        for block in blocks("console", page=page):
            for exchange in exchanges(block):
                command = exchange.command
                if command in _OTHERS_TOO and others:
                    continue
                if command.startswith("rtpipe events"):
                    command = f"timeout -s INT 3 {command}"  # Ctrl-C, after a while
                ran = subprocess.run(
                    ["bash", "-c", command],
                    cwd=tmp_path, env=env, text=True, timeout=60, check=False,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
                printed = ran.stdout + "\n" * (ran.stdout[-1:] not in {"", "\n"})
                assert _pattern(exchange.output).fullmatch(printed), (
                    f"{block}: {exchange.command} printed\n{ran.stdout}\nand not\n{exchange.output}"
                )
        if name == "steer":
            assert run.wait() == 0
