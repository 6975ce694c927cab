"""The how-to's button begins and ends a turn, and its lamp shows when the desk listens."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from helpers.command import environment
from helpers.documentation import ROOT, write_files

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "button-and-lamp.md"
V2 = "gpiomon --active-low --bias pull-up --debounce-period 10 --format %E GPIO17"
V1 = "gpiomon --active-low --bias=pull-up --line-buffered --format=%e gpiochip0 17"
TOLD = """
events:
  - {match: [mute_gate.*, turn.user_*, lines.*, transcript.*, exec.failed], jsonl: told.jsonl}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("command", "down", "up"), [(V2, "rising", "falling"), (V1, "1", "0")])
def test_a_press_is_a_turn_and_the_lamp_shows_it(
    tmp_path: Path, command: str, down: str, up: str
) -> None:
    """With either version of libgpiod, whose words are those of the page."""
    page = PAGE.read_text("utf-8")
    assert command in page
    write_files(PAGE, tmp_path)
    desk = tmp_path / "desk.yaml"
    text = desk.read_text().replace(V2, command)
    text = text.replace("text: rising", f'text: "{down}"').replace("text: falling", f'text: "{up}"')
    desk.write_text(text + TOLD.removeprefix("\nevents:\n"))
    button = tmp_path / "stand-in" / "gpiomon"
    button.write_text(button.read_text().replace("rising", down).replace("falling", up))
    for program in (tmp_path / "stand-in").iterdir():
        program.chmod(0o755)
    run = [sys.executable, "-m", "rtpipe", "run", "desk.yaml", "rehearsal.yaml"]
    there = environment({"XDG_RUNTIME_DIR": str(tmp_path)})
    there["PATH"] = f"{tmp_path / 'stand-in'}:{there['PATH']}"
    ran = subprocess.run(
        [*run, "--until", "turn.answer_stopped"],
        cwd=tmp_path, env=there, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "At ten in the morning." in ran.stdout
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    types = [event["type"] for event in told]
    assert [event["text"] for event in told if event["type"] == "lines.line"] == [down, up]
    assert types.count("turn.user_started") == types.count("turn.user_stopped") == 1
    assert types.index("mute_gate.opened") < types.index("turn.user_started")
    assert "exec.failed" not in types
    lamp = (tmp_path / "lamp.txt").read_text().split()
    assert lamp == ["GPIO27=0", "GPIO27=1", "GPIO27=0", "GPIO27=0"]
