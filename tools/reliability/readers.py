"""Which programs and libraries read what a kill has left, and what a run has completed."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import av

from tools.reliability.figures import Asked, Figures, at_once, dice
from tools.reliability.process import Run
from tools.reliability.signal_content import RATE, read

if TYPE_CHECKING:
    from collections.abc import Callable

ENDINGS = ("wav", "flac", "opus", "mka", "m4a", "aac", "mp3")
OPENED_BY = {
    "PyAV": ENDINGS,
    "ffprobe": ENDINGS,
    "ffmpeg": ENDINGS,
    "libsndfile": ("wav", "flac", "opus", "mp3"),
    "libsndfile at once": ("wav", "opus", "mp3"),
    "sox": ("wav", "flac"),
}
"""What docs/how-to/record.md says of files that a kill has left."""
MOST_LOST_S = 0.5
_NOT_SAID = -1.0
_BLOCK = 4096


class Unreadable(Exception):  # noqa: N818 - a finding
    """A reader does not take the file."""


def readers(asked: Asked) -> Figures:
    """Kill and complete recordings of every ending, and read them; returns the figures."""
    figures = Figures("readers, and what a file lacks for them at most (s)", asked.times)
    present = {name: read_by for name, read_by in _READERS.items() if _is_here(name)}
    for name in _READERS.keys() - present.keys():
        figures.add(name, "not on this machine")
    if "libsndfile" in present:
        figures.add("version", _sndfile_version())
    runs = at_once(lambda n: _one(f"{asked.seed}-{n // 2}", present, n % 2 == 0), 2 * asked.times)
    for state, found in (("killed", runs[::2]), ("complete", runs[1::2])):
        for name in present:
            missing = {ending: [each[name, ending] for each in found] for ending in ENDINGS}
            shown = (f".{ending} {_in_words(missing[ending])}" for ending in ENDINGS)
            figures.add(f"{name}, {state}", ", ".join(shown))
            if state == "killed":
                figures.broken += _denied(name, missing)
    return figures


def _in_words(missing: list[float | None]) -> str:
    known = [lost for lost in missing if lost is not None]
    if not known:
        return "no"
    few = "" if len(known) == len(missing) else f" ({len(known)} of {len(missing)})"
    return f"no length{few}" if max(known) == _NOT_SAID else f"{max(known):.3f}{few}"


def _denied(name: str, missing: dict[str, list[float | None]]) -> list[str]:
    """Return where a reader does otherwise than the docs say."""
    broken = []
    for ending, losses in missing.items():
        known = [lost for lost in losses if lost is not None]
        if len(known) != (len(losses) if ending in OPENED_BY[name] else 0):
            broken.append(f"{name} opens {len(known)} of {len(losses)} .{ending}")
        if known and max(known) > MOST_LOST_S:
            broken.append(f"{name} lacks {max(known):.3f} s of a .{ending}")
    return broken


def _one(
    seed: str,
    present: dict[str, Callable[[Path], float]],
    killed: bool,  # noqa: FBT001 - as a number says
) -> dict[tuple[str, str], float | None]:
    """Return by reader and ending how much a file lacks (s); None: it does not open."""
    missing: dict[tuple[str, str], float | None] = defaultdict(lambda: None)
    moment = dice(seed).uniform(2, 4)
    recorders = (
        f"  - recorder: {{path: out/rec.{ending}, sidecar: false}}\n    id: {ending}\n"
        "    from: counting\n"
        for ending in ENDINGS
    )
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        text = f"version: 1\nstages:\n  - counting: {{note: note}}\n{''.join(recorders)}"
        (folder / "pipeline.yaml").write_text(text)
        with Run(folder) as run:
            run.wait_until(lambda: run.given > moment * RATE)
            run.end(signal.SIGKILL if killed else signal.SIGTERM)
            for reader, read_by in present.items():
                for ending in ENDINGS:
                    try:
                        length_s = read_by(folder / "out" / f"rec.{ending}")
                    except (Unreadable, OSError, IndexError, av.FFmpegError):
                        continue
                    lost_s = run.given / RATE - length_s
                    missing[reader, ending] = _NOT_SAID if length_s < 0 else lost_s
    return missing


def _output(*command: str | Path) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Unreadable(done.stderr.decode("utf-8", "replace"))
    return done.stdout


def _ffprobe(path: Path) -> float:
    shown = json.loads(_output("ffprobe", "-v", "error", "-show_format", "-of", "json", path))
    return float(shown["format"].get("duration", _NOT_SAID))


def _ffmpeg(path: Path) -> float:
    raw = ("-f", "s16le", "-ac", "1", "-ar", str(RATE), "-")
    return len(_output("ffmpeg", "-v", "error", "-i", path, *raw)) / 2 / RATE


def _sox(path: Path) -> float:
    raw = ("-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r", str(RATE), "-")
    return len(_output("sox", path, *raw)) / 2 / RATE


class _Info(ctypes.Structure):
    """libsndfile's SF_INFO."""

    _fields_ = (
        ("frames", ctypes.c_int64),
        *((name, ctypes.c_int) for name in ("rate", "channels", "format", "sections", "seekable")),
    )


def _sndfile() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libsndfile.so.1")
    except OSError:
        return None
    library.sf_open.restype = ctypes.c_void_p
    library.sf_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(_Info)]
    library.sf_readf_short.restype = ctypes.c_int64
    library.sf_readf_short.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    library.sf_close.argtypes = [ctypes.c_void_p]
    return library


def _sndfile_version() -> str:
    library = _sndfile()
    assert library is not None
    version = ctypes.create_string_buffer(100)
    library.sf_command(None, 0x1000, version, len(version))
    return version.value.decode()


def _sndfile_length(path: Path, *, at_once: bool) -> float:
    """Read as libsndfile does: by blocks, or as many frames as the file says that it has."""
    library, info = _sndfile(), _Info()
    assert library is not None
    file = library.sf_open(bytes(path), 0x10, ctypes.byref(info))
    if not file:
        raise Unreadable("sf_open")
    try:
        if at_once and info.frames > RATE * 3600:
            raise Unreadable(f"it says that it has {info.frames} frames")
        most = info.frames if at_once else _BLOCK
        block = (ctypes.c_int16 * (most * info.channels))()
        total = 0
        while count := library.sf_readf_short(file, block, most):
            total += count
        return float(total / info.rate)
    finally:
        library.sf_close(file)


_READERS: dict[str, Callable[[Path], float]] = {
    "PyAV": lambda path: len(read(path)) / RATE,
    "ffprobe": _ffprobe,
    "ffmpeg": _ffmpeg,
    "libsndfile": lambda path: _sndfile_length(path, at_once=False),
    "libsndfile at once": lambda path: _sndfile_length(path, at_once=True),
    "sox": _sox,
}
"""By name: a function that returns how long a file is for it (s), or raises."""


def _is_here(name: str) -> bool:
    if name.startswith("libsndfile"):
        return _sndfile() is not None
    return name == "PyAV" or shutil.which(name) is not None
