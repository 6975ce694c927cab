"""The picture in the README shows a conversation, and the terminal that draws it is right."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from helpers.documentation import ROOT

PICTURE = ROOT / "docs" / "kiosk.svg"


def drawn(written: str) -> list[str]:
    """Return the texts of the drawing of what a program wrote."""
    code = (
        "import sys; from tools.picture import Screen, svg; screen = Screen(20, 3);"
        "screen.feed(sys.argv[1]); print(svg(screen.visible(), 20))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, written], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return _texts(ran.stdout)


def _texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_status_line_is_drawn_once_and_below_what_was_said() -> None:
    written = "\r\x1b[2Kone\r\x1b[2Ktwo\r\x1b[2K\x1b[1mhello\x1b[0m\r\n\r\x1b[2Kthree"
    assert drawn(written) == ["hello", "three"]


def test_a_long_line_goes_on_below_and_old_lines_leave_at_the_top() -> None:
    assert drawn("gone\r\n" + "x" * 25 + "\r\n<&>") == ["x" * 20, "x" * 5, "<&>"]


def test_a_control_sequence_that_it_does_not_know_is_not_ignored() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        drawn("\x1b[5A")


def test_the_picture_shows_both_voices_and_the_status() -> None:
    shown = " ".join(_texts(PICTURE.read_text("utf-8")))
    for part in ("pipelines/kiosk.yaml", "visitor", "opening hours", "model", "model speaks"):
        assert part in shown
