"""What was kept of a conversation: whole files, lines of files, and what cannot be told."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rtpipe import reason_of
from rtpipe_plugins.disk.path_pattern import EVENTS, TURNS
from rtpipe_plugins.media.encoding import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

Record: TypeAlias = dict[str, Any]

_SUBTITLES = frozenset({".srt", ".vtt", ".txt"})
_AUDIO = frozenset(ENDINGS.split(", "))
_PART = re.compile(r"\.part(?:-\d+)?$")
_SESSION_OF_VTT = re.compile(rb"^NOTE session (\S+)\s*$", re.MULTILINE)
_OUTBOX = b"SQLite format 3\x00"
_HEAD = 64 * 1024
_ENVELOPE = frozenset({"type", "source", "at"})
_DEAD_LETTER = frozenset({"time", "id", "reason", "event"})
_SPOKEN = frozenset({"start", "end", "speaker", "text"})
_TRANSCRIPT_LINE = re.compile(r"\[\d\d+:\d\d:\d\d\.\d\] (?:user|assistant): ")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten; one of the three.

    Attributes:
        session: The `session_id` of a conversation; "": any.
        before: Everything last written to before (local date and time); None: whenever.
        files: These, and what lies beside them.
    """

    session: str = ""
    before: datetime | None = None
    files: tuple[Path, ...] = ()

    def is_meant(self, record: Record) -> bool:
        """Return whether a line of a file belongs to it."""
        said = record.get("event") if record.keys() == _DEAD_LETTER else record
        if not isinstance(said, dict):
            return False
        if self.session:
            return said.get("session_id") == self.session
        if self.before is not None and said.keys() >= _ENVELOPE:
            with suppress(KeyError, TypeError, ValueError):
                return datetime.fromisoformat(record["time"]).astimezone() < self.before
        return False

    def is_older(self, path: Path) -> bool:
        """Return whether a whole file is meant by its time."""
        return self.before is not None and path.stat().st_mtime < self.before.timestamp()


@dataclass(slots=True)
class Found:
    """What is to be deleted.

    Attributes:
        files: Whole files, each with the reason.
        lines: Files of which some lines go, and how many.
        others: Whole files that hold other conversations, too, and which.
        unclear: What may hold something of it and is not touched, and why.
    """

    files: dict[Path, str] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    others: dict[Path, set[str]] = field(default_factory=dict)
    unclear: dict[Path, str] = field(default_factory=dict)


def search(folder: Path, wanted: Wanted) -> Found:
    """Look through a folder and those in it; no symbolic link is followed."""
    found = Found()
    if wanted.files:
        for each in wanted.files:
            for path in _with_companions(each):
                found.files[path] = "named"
        return found
    above, recorded = Path(), set[str]()
    for path in _files(folder):
        if path.parent != above:
            above = path.parent
            recorded = {_stem(each) for each in above.glob(f"*{EVENTS}")}
        if path.parent.suffix == TURNS or path in found.files:
            continue  # goes with its recording
        try:
            _judge(path, wanted, found, recorded)
        except OSError as error:
            found.unclear[path] = f"cannot be read: {reason_of(error)}"
    for path in found.files:
        found.lines.pop(path, None)
        found.unclear.pop(path, None)
    return found


def records_in(path: Path) -> Iterator[tuple[bytes, Record]]:
    """Yield the lines of a file, each with what it says; {} where it is no JSON object.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        for line in file:
            yield line, record_of(line)


def record_of(line: bytes) -> Record:
    """Return what a line says; {} where it is no JSON object."""
    with suppress(ValueError, RecursionError):
        said = json.loads(line)
        if isinstance(said, dict):
            return said
    return {}


def _judge(path: Path, wanted: Wanted, found: Found, recorded: set[str]) -> None:
    name, head = path.name, _head(path)
    if name.endswith(EVENTS):
        sessions = {f"{each['session_id']}" for _, each in records_in(path) if "session_id" in each}
        if wanted.session in sessions or wanted.is_older(path):
            reason = "a recording, and what lies beside it"
            for each in _with_companions(path):
                found.files[each] = reason
            if wanted.session and sessions - {wanted.session}:
                found.others[path] = sessions - {wanted.session}
    elif path.suffix == ".jsonl":
        _judge_lines(path, wanted, found)
    elif path.suffix in _SUBTITLES:
        _judge_transcript(path, head, wanted, found)
    elif path.suffix in _AUDIO and _stem(path) not in recorded:
        if wanted.session or wanted.is_older(path):
            found.unclear[path] = "audio without a sidecar: it does not say whose it is"
    elif head.startswith(_OUTBOX) and (
        not wanted.session or wanted.session.encode() in path.read_bytes()
    ):
        found.unclear[path] = "a database, perhaps an outbox in which events wait to be sent"


def _judge_lines(path: Path, wanted: Wanted, found: Found) -> None:
    count = total = spoken = 0
    for _, record in records_in(path):
        total += 1
        count += wanted.is_meant(record)
        spoken += record.keys() >= _SPOKEN
    if total and (count == total or (spoken == total and wanted.is_older(path))):
        found.files[path] = f"all of its {total} lines"
    elif count:
        found.lines[path] = count


def _judge_transcript(path: Path, head: bytes, wanted: Wanted, found: Found) -> None:
    names = {each.decode(errors="replace") for each in _SESSION_OF_VTT.findall(head)}
    if wanted.session in names:
        found.files[path] = "a transcript"
    elif _is_transcript(path.suffix, head):
        if wanted.is_older(path):
            found.files[path] = "a transcript"
        elif wanted.session and not names:
            found.unclear[path] = f"a {path.suffix} transcript does not say whose it is"


def _is_transcript(suffix: str, head: bytes) -> bool:
    text = head.decode(errors="replace")
    if suffix == ".txt":
        return _TRANSCRIPT_LINE.match(text) is not None
    return " --> " in text


def _with_companions(path: Path) -> Iterator[Path]:
    """Yield a recording's files, from any of them; or the file alone."""
    stem = _stem(path)
    yield path
    if not path.name.endswith(EVENTS) and path.suffix not in _AUDIO:
        return
    for other in sorted(path.parent.iterdir()):
        if other == path or other.is_symlink() or _stem(other) != stem:
            continue
        if other.is_dir() and other.suffix == TURNS:
            yield from (each for each in sorted(other.iterdir()) if _is_plain(each))
        elif _is_plain(other) and (other.name.endswith(EVENTS) or other.suffix in _AUDIO):
            yield other


def _stem(path: Path) -> str:
    """Return what the names of a recording's files have in common."""
    ending = EVENTS if path.name.endswith(EVENTS) else path.suffix
    return _PART.sub("", path.name.removesuffix(ending))


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (path for name in sorted(names) if _is_plain(path := Path(above, name)))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)
