"""The programs beside which rtpipe is measured: in a folder of their own, never dependencies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.comparison.subject import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VENVS = {
    "pipecat": ("pipecat-ai==1.14.0", "numpy", "av>=18,<19", "webrtcvad-wheels>=2.0.14"),
    "livekit": ("livekit-agents==1.8.9", "livekit==1.1.21"),
    "plots": ("matplotlib>=3.9,<4",),
}
"""What is installed in the virtual environment of each."""
PACKAGES = (
    "gcc libc6-dev pkg-config libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev"
    " gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    " gstreamer1.0-plugins-bad ffmpeg sox pulseaudio pulseaudio-utils libasound2-plugins"
    " libportaudio2"
)
"""Debian's."""
_COMMANDS = ("gcc", "pkg-config", "gst-launch-1.0", "ffmpeg", "sox", "pulseaudio", "pacat")
_GSTREAMER = ROOT / "benchmarks" / "subjects" / "gstreamer_frames.c"


def python(peers: Path, name: str) -> str:
    """Return the interpreter that has a peer."""
    return str(peers / name / "bin" / "python")


def gstreamer(peers: Path) -> str:
    """Return the compiled program."""
    return str(peers / "gstreamer_frames")


def install(peers: Path) -> None:
    """Make what is missing in the folder; says what must be installed beside it."""
    peers.mkdir(parents=True, exist_ok=True)
    for name, packages in VENVS.items():
        made = peers / f"{name}-installed"
        if made.is_file() and made.read_text() == "\n".join(packages):
            continue
        print(f"installing {' '.join(packages)} into {peers / name}", flush=True)
        _call([sys.executable, "-m", "venv", "--clear", str(peers / name)])
        _call([python(peers, name), "-m", "pip", "install", "-q", *packages])
        made.write_text("\n".join(packages))
    _compile(peers)


def missing(peers: Path) -> list[str]:
    """Return a line for each thing that is not there, with what brings it."""
    lines = [
        f"no {name} in {peers}: python -m benchmarks --install"
        for name in VENVS
        if not (peers / name / "bin" / "python").exists()
    ]
    commands = [name for name in _COMMANDS if shutil.which(name) is None]
    if commands:
        lines.append(f"no {', '.join(commands)}: apt-get install {PACKAGES}")
    if not (peers / "gstreamer_frames").exists():
        lines.append(f"no gstreamer_frames in {peers}: python -m benchmarks --install")
    return lines


def versions(peers: Path) -> dict[str, str]:
    """Return the version of each peer that is there."""
    asked = {
        "Pipecat": [python(peers, "pipecat"), "-c", _version_of("pipecat-ai")],
        "LiveKit Agents": [python(peers, "livekit"), "-c", _version_of("livekit-agents")],
        "LiveKit": [python(peers, "livekit"), "-c", _version_of("livekit")],
        "GStreamer": ["pkg-config", "--modversion", "gstreamer-1.0"],
        "FFmpeg": ["ffmpeg", "-version"],
        "SoX": ["sox", "--version"],
        "GCC": ["gcc", "-dumpfullversion"],
    }
    found: dict[str, str] = {}
    for name, command in asked.items():
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        words = ran.stdout.split()
        number = next(
            (word for word in words if word.strip("v").partition("-")[0][:1].isdigit()), ""
        )
        found[name] = number.strip("v")
    return found


def _version_of(package: str) -> str:
    return f"import importlib.metadata as m; print(m.version({package!r}))"


def _compile(peers: Path) -> None:
    target = peers / "gstreamer_frames"
    if target.exists() and target.stat().st_mtime > _GSTREAMER.stat().st_mtime:
        return
    wanted = ["gstreamer-1.0", "gstreamer-app-1.0"]
    try:
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", *wanted],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        _call(["gcc", "-O2", str(_GSTREAMER), "-o", str(target), *flags, "-lpthread"])
    except (OSError, subprocess.CalledProcessError):
        print(f"GStreamer's program was not made: apt-get install {PACKAGES}", flush=True)


def _call(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
