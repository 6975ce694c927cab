"""Swapping a part without code: --set, --profile, and a second file on top."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from helpers.command import rtpipe

DEVICES = """
version: 1
name: swap
stages:
  - mic
  - gain: 0
  - speaker

profiles:
  files:
    stages:
      mic: {file: {path: in.wav}}
      speaker: {file_sink: {path: out/profile.wav}}
"""
OVERLAY = """
version: 1
stages:
  mic: {file: {path: in.wav}}
  speaker: {file_sink: {path: out/overlay.wav}}
"""


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (
            ["--set", "mic={file: {path: in.wav}}", "--set", "speaker={file_sink: out/set.wav}"],
            "set",
        ),
        (["--profile", "files"], "profile"),
        (["overlay.yaml"], "overlay"),
    ],
)
def test_devices_become_files(tmp_path: Path, arguments: list[str], written: str) -> None:
    (tmp_path / "swap.yaml").write_text(DEVICES)
    (tmp_path / "overlay.yaml").write_text(OVERLAY)
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(b"\x10\x02" * 12_345)
    ended = rtpipe("run", "swap.yaml", *arguments, cwd=tmp_path)
    assert ended.code == 0, ended.err
    with wave.open(str(tmp_path / "out" / f"{written}.wav")) as file:
        assert file.getnframes() == 12_345
        assert file.readframes(12_345) == b"\x10\x02" * 12_345


@pytest.mark.slow
def test_without_a_swap_and_without_a_device_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "swap.yaml").write_text(DEVICES)
    ended = rtpipe("run", "swap.yaml", cwd=tmp_path)
    assert ended.code == 69
    assert "error: speaker: " in ended.err
    assert "Traceback" not in ended.err
