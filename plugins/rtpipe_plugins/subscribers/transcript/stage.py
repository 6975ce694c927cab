"""`transcript`: the conversation as a text, as subtitles or as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeAlias

from pydantic import model_validator

from rtpipe import Event, Options, Specimen, StageContext, StageError, Subscriber, reason_of
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.json_text import json_text
from rtpipe_plugins.disk.keeping import FilesExpired, FilesSpaceLow, Keeping
from rtpipe_plugins.disk.output_path import (
    ConfinedPath,
    StartTime,
    blocked_output,
    dated,
    free_name,
    reserve,
)
from rtpipe_plugins.disk.path_pattern import Companions, PathPattern
from rtpipe_plugins.disk.records import Records
from rtpipe_plugins.disk.retention import Keep, useless_keep
from rtpipe_plugins.subscribers.transcript.timing import MARKS, TurnTiming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rtpipe import Finding

_SPEAKERS = {"transcript.user": "user", "transcript.assistant": "assistant"}

_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Control characters: a NUL ends a player's subtitles, an escape steers who shows them."""
_NO_UTF_8 = re.compile("[\ud800-\udfff]")

Format: TypeAlias = Literal["txt", "srt", "vtt", "jsonl"]


class TranscriptOptions(Options):
    """Write down what was said."""

    main: ClassVar[str | None] = "path"

    path: ConfinedPath
    """Where, with strftime fields (`%Y%m%d-%H%M%S`). Each run has a file of its own, since its
    times begin at 0, and in it each conversation (`session_id`): if the file exists, the transcript
    goes to `name-2`, `name-3`, …"""
    format: Format | None = None
    """txt, srt, vtt or jsonl; by default what the file's ending says."""
    heard_only: bool = False
    """Write of an answer that was interrupted only what was heard of it, to the nearest word as far
    as the speed of the voice tells, and nothing of one that never began to sound."""
    keep: Keep | None = None
    """How long transcripts are kept: `keep: {days: 30}`; by default for ever. What this `path`
    cannot have written is never touched, nor what is in use."""

    @model_validator(mode="after")
    def _has_a_format(self) -> Self:
        if self.format is None and self.path.suffix.lower().lstrip(".") not in _WRITTEN:
            raise ValueError(
                f"the ending of {self.path.name} is none of {', '.join(f'.{f}' for f in _WRITTEN)}:"
                " set `format`"
            )
        return self

    @property
    def pattern(self) -> PathPattern:
        """Which files are the stage's."""
        return PathPattern(self.path.absolute(), Companions(counted=True))


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """What somebody said.

    Attributes:
        start: Pipeline second.
        end: Pipeline second, after `start`.
        speaker: user or assistant.
        text: On one line, not empty.
        interrupted: Whether it was cut off.
        status: How the generating of an answer ended; `completed` also of what the visitor said.
        session_id: The conversation, as `realtime.connected` names it; "": none.
    """

    start: float
    end: float
    speaker: str
    text: str
    interrupted: bool
    status: str
    session_id: str = ""


class Transcript(Subscriber[TranscriptOptions]):
    """Appends each turn when it is over; the file is whole and readable at any moment.

    Times are the pipeline's: from the moment somebody began to speak to the moment he ended, or was
    cut off. What comes late does not begin before the line above it, as players expect.

    - transcript: out/%Y%m%d-%H%M%S.srt
    """

    kind = "transcript"
    publishes = (FilesExpired, FilesSpaceLow)
    _file: AppendedFile | None = None

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a file."""
        yield Specimen({"path": folder / "words.vtt"})

    @classmethod
    def examine(cls, options: TranscriptOptions) -> Iterator[Finding]:
        """Look whether the file can be written."""
        yield from blocked_output(options.path)
        yield from useless_keep(options.pattern, options.keep)

    def __init__(self, options: TranscriptOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._thread = OwnThread(ctx.id)
        self._hearing = TurnTiming()
        self._format = options.format or options.path.suffix.lower().lstrip(".")
        self._count = 0
        self._latest = 0.0
        self._session_id = ""
        self._records = Records(ctx)
        self._keeping = Keeping(ctx, options.keep, options.pattern, self._written_to)

    async def open(self) -> None:
        """Begin the file.

        Raises:
            EnvironmentProblem: It cannot be written.
        """
        # Not by way of the route, which may let nothing but transcript.* through.
        self.ctx.on(MARKS, self._hearing.note)
        self._records.listen()
        await self._thread.start(self._begin, 0.0)
        self._keeping.start()

    async def close(self) -> None:
        """Close the file."""
        await self._keeping.close()
        await self._thread.end(self._end)

    async def on_event(self, event: Event) -> None:
        """Write down `event`, if somebody said something.

        Raises:
            StageError: It could not be written; the file ends with the turn before.
        """
        if event.type not in _SPEAKERS or (turn := self._turn(event)) is None:
            return
        try:
            # In a thread: an SD card may take a second over it, and the loop carries audio.
            if self._count and turn.session_id != self._session_id:
                self._count = 0
                await self._thread.start(self._begin, event.at)
                self._keeping.look()
            self._session_id = turn.session_id
            written = _WRITTEN[self._format](self._count + 1, turn)
            await self._thread.start(self._append, written.encode())
        except OSError as error:
            raise StageError(f"cannot write {self.options.path}: {reason_of(error)}") from None
        self._count += 1
        self._latest = turn.start

    def _written_to(self) -> Path | None:
        return None if self._file is None else self._file.path

    def _turn(self, event: Event) -> TranscriptTurn | None:
        said = event.payload()
        text = _on_one_line(f"{said.get('text', '')}")
        interrupted = bool(said.get("interrupted"))
        if event.type == "transcript.user":
            id = f"{said.get('item_id')}"
        else:
            id = f"{said.get('response_id')}"
            if not interrupted:
                self._hearing.heard_whole(id, text)
            elif self.options.heard_only:
                text = self._hearing.heard_part(id, text, event.at)
        if not text:
            return None
        span = self._hearing.span(id)
        start = max(event.at if span.start is None else span.start, self._latest)
        end = max(event.at if span.end is None else span.end, start + 0.001)
        status = f"{said.get('status', 'completed')}"
        speaker, session = _SPEAKERS[event.type], self._records.session(event)
        return TranscriptTurn(start, end, speaker, text, interrupted, status, session)

    # -- in a thread -------------------------------------------------------------------------------

    def _begin(self, at_s: float) -> None:
        self._end()
        path = free_name(dated(self.options.path, StartTime(self.ctx).plus(at_s)))
        reserve(path, overwrite=False).open("xb").close()
        self._file = AppendedFile(
            path,
            ending=b"\n\n" if self._format in {"srt", "vtt"} else b"\n",
            header=b"WEBVTT\n\n" if self._format == "vtt" else b"",
        )
        self._file.open()

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, data: bytes) -> None:
        assert self._file is not None, "an event came before open()"
        self._file.append(data)


def _as_txt(_: int, turn: TranscriptTurn) -> str:
    return f"[{_clock(turn.start, '.')[:-4]}] {turn.speaker}: {_marked(turn)}\n"


def _as_srt(number: int, turn: TranscriptTurn) -> str:
    text = _marked(turn).replace("-->", "→")
    times = f"{_clock(turn.start, ',')} --> {_clock(turn.end, ',')}"
    return f"{number}\n{times}\n{turn.speaker}: {text}\n\n"


def _as_vtt(number: int, turn: TranscriptTurn) -> str:
    note = f"NOTE session {turn.session_id}\n\n" if number == 1 and turn.session_id else ""
    text = _marked(turn).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    times = f"{_clock(turn.start, '.')} --> {_clock(turn.end, '.')}"
    return f"{note}{number}\n{times}\n<v {turn.speaker}>{text}\n\n"


def _as_jsonl(_: int, turn: TranscriptTurn) -> str:
    said = {
        "start": round(turn.start, 3),
        "end": round(turn.end, 3),
        "speaker": turn.speaker,
        "text": turn.text,
        "interrupted": turn.interrupted,
        "status": turn.status,
    }
    if turn.session_id:
        said["session_id"] = turn.session_id
    return json_text(said) + "\n"


_WRITTEN: dict[str, Callable[[int, TranscriptTurn], str]] = {
    "txt": _as_txt,
    "srt": _as_srt,
    "vtt": _as_vtt,
    "jsonl": _as_jsonl,
}


def _on_one_line(text: str) -> str:
    return " ".join(_NO_UTF_8.sub("\ufffd", _NO_TEXT.sub(" ", text)).split())


def _marked(turn: TranscriptTurn) -> str:
    whole = turn.status == "completed" and not turn.interrupted
    return turn.text if whole else f"{turn.text} …"


def _clock(seconds: float, point: str) -> str:
    """Return hours, minutes, seconds and milliseconds as `01:02:03.004`."""
    ms = round(seconds * 1000)
    minutes, ms = divmod(ms, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02}{point}{ms % 1000:03}"
