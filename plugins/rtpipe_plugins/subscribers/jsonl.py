"""`jsonl`: events as lines of a file, one JSON object each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from rtpipe import Event, Options, OutputPath, StageError, Subscriber, reason_of
from rtpipe.clock import wall_clock_problem
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.json_text import json_text
from rtpipe_plugins.disk.output_path import blocked_output, check_not_held, dated, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe import Finding, StageContext


class JsonlOptions(Options):
    """Append events to a file."""

    main: ClassVar[str | None] = "path"

    path: OutputPath
    """Where, with strftime fields: `out/%Y%m%d.jsonl` begins a new file each day. What the file
    holds already stays; one that was renamed, removed or cut short meanwhile is begun anew."""


class Jsonl(Subscriber[JsonlOptions]):
    """Appends each event as a line: `time` (local, ISO 8601), `type`, `source`, `at`, payload.

    A line is in the file, whole, when `on_event` returns; one that does not fit on the disk is
    taken back, so that the file stays readable.

    - match: "transcript.*"
      jsonl: out/%Y%m%d.jsonl
    """

    kind = "jsonl"

    @classmethod
    def examine(cls, options: JsonlOptions) -> Iterator[Finding]:
        """Look whether the file can be written."""
        return blocked_output(options.path)

    def __init__(self, options: JsonlOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        # An SD card may take a second over a line, and the loop carries audio.
        self._thread = OwnThread("jsonl")
        self._file: AppendedFile | None = None

    async def open(self) -> None:
        """Open the file.

        Raises:
            StageError: Another stage or program reads or writes it.
            EnvironmentProblem: It cannot be written.
        """
        try:
            await self._thread.start(self._append, self._path(_now()), b"")
        except OSError as error:
            raise unwritable(error.filename or self.options.path, error) from None

    async def close(self) -> None:
        """Close the file."""
        await self._thread.end(self._close)

    async def on_event(self, event: Event) -> None:
        """Append `event`.

        Raises:
            StageError: It could not be written.
        """
        now = _now()
        said = event.as_dict()
        envelope = {key: said.pop(key) for key in ("type", "source", "at")}
        record = {"time": now.isoformat(timespec="milliseconds"), **envelope, **said}
        line = f"{json_text(record)}\n".encode()
        path = self._path(now)
        try:
            await self._thread.start(self._append, path, line)
        except OSError as error:
            raise StageError(f"cannot write {path}: {reason_of(error)}") from None

    def _path(self, now: datetime) -> Path:
        return dated(self.options.path, None if wall_clock_problem() else now)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, path: Path, line: bytes) -> None:
        if self._file is None or self._file.path != path:
            self._close()
            check_not_held(path)
            self._file = AppendedFile(path)
        self._file.append(line)


def _now() -> datetime:
    return datetime.now(UTC).astimezone()
