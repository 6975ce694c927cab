"""`jsonl`: events as lines of a file, one JSON object each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rtpipe import (
    Event,
    Options,
    OutputPath,
    Specimen,
    StageError,
    Subscriber,
    local_time,
    reason_of,
)
from rtpipe.clock import wall_clock_problem
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.json_text import json_text
from rtpipe_plugins.disk.keeping import FilesExpired, FilesSpaceLow, Keeping
from rtpipe_plugins.disk.output_path import blocked_output, check_not_held, dated, unwritable
from rtpipe_plugins.disk.path_pattern import PathPattern
from rtpipe_plugins.disk.records import Records
from rtpipe_plugins.disk.retention import Keep, useless_keep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from rtpipe import Finding, StageContext


class JsonlOptions(Options):
    """Append events to a file."""

    main: ClassVar[str | None] = "path"

    path: OutputPath
    """Where, with strftime fields: `out/%Y%m%d.jsonl` begins a new file each day. What the file
    holds already stays; one that was renamed, removed or cut short meanwhile is begun anew."""
    words: bool = True
    """Write what was said, too. false: of each event only numbers, ids and the like."""
    keep: Keep | None = None
    """How long files are kept: `keep: {days: 30}`; by default for ever. What this `path` cannot
    have written is never touched, nor what is in use."""

    @property
    def pattern(self) -> PathPattern:
        """Which files are the stage's."""
        return PathPattern(self.path.absolute())


class Jsonl(Subscriber[JsonlOptions]):
    """Appends each event as a line: `time` (local, ISO 8601), `type`, `source`, `at`, payload.

    `session_id` is the conversation it belongs to, if any, as `realtime.connected` names it.

    A line is in the file, whole, when `on_event` returns; one that does not fit on the disk is
    taken back, so that the file stays readable.

    - match: "transcript.*"
      jsonl: out/%Y%m%d.jsonl
    """

    kind = "jsonl"
    publishes = (FilesExpired, FilesSpaceLow)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a file."""
        yield Specimen({"path": folder / "events.jsonl"})

    @classmethod
    def examine(cls, options: JsonlOptions) -> Iterator[Finding]:
        """Look whether the file can be written."""
        yield from blocked_output(options.path)
        yield from useless_keep(options.pattern, options.keep)

    def __init__(self, options: JsonlOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        # An SD card may take a second over a line, and the loop carries audio.
        self._thread = OwnThread("jsonl")
        self._file: AppendedFile | None = None
        self._path: Path | None = None
        self._records = Records(ctx, words=options.words)
        self._keeping = Keeping(ctx, options.keep, options.pattern, lambda: self._path)

    async def open(self) -> None:
        """Open the file.

        Raises:
            StageError: Another stage or program reads or writes it.
            EnvironmentProblem: It cannot be written.
        """
        self._records.listen()
        try:
            await self._thread.start(self._append, self._path_at(local_time()), b"")
        except OSError as error:
            raise unwritable(error.filename or self.options.path, error) from None
        self._keeping.start()

    async def close(self) -> None:
        """Close the file."""
        await self._keeping.close()
        await self._thread.end(self._close)

    async def on_event(self, event: Event) -> None:
        """Append `event`.

        Raises:
            StageError: It could not be written.
        """
        now = local_time()
        said = self._records.of(event).as_dict()
        envelope = {key: said.pop(key) for key in ("type", "source", "at")}
        record = {"time": now.isoformat(timespec="milliseconds"), **envelope, **said}
        line = f"{json_text(record)}\n".encode()
        path = self._path_at(now)
        try:
            await self._thread.start(self._append, path, line)
        except OSError as error:
            raise StageError(f"cannot write {path}: {reason_of(error)}") from None

    def _path_at(self, now: datetime) -> Path:
        path = dated(self.options.path, None if wall_clock_problem() else now)
        if path != self._path:
            self._path = path
            self._keeping.look()
        return path

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, path: Path, line: bytes) -> None:
        if self._file is None or self._file.path != path:
            self._close()
            check_not_held(path)
            self._file = AppendedFile(path)
        self._file.append(line)
