"""Retention while a pipeline runs: at its start, at each new file, once an hour, in a thread."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rtpipe import Event, Importance
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.disk.retention import Keep, Retention, Sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rtpipe import StageContext
    from rtpipe_plugins.disk.path_pattern import PathPattern

_LOOK_S = 3600.0
_SPACE_S = 5.0
"""How often free space is looked at, where some is to be kept: `statvfs`, in the thread."""


@dataclass(frozen=True, kw_only=True)
class FilesExpired(Event):
    """Files were deleted, as `keep` says.

    Attributes:
        count: How many files, with what lay beside them.
        bytes: How large they were together.
        oldest: When the oldest was last written to (ISO 8601).
        reason: `days`, `gb` or `free_gb`.
    """

    importance = Importance.NOTICE
    type: str = "files.expired"
    count: int
    bytes: int
    oldest: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        files = f"{self.count} file{'s' * (self.count != 1)}"
        return (
            f"deleted {files} ({self.bytes / 1e6:.1f} MB, from {self.oldest[:10]} on): "
            f"`keep.{self.reason}`"
        )


@dataclass(frozen=True, kw_only=True)
class FilesSpaceLow(Event):
    """The disk has less free space than `keep.free_gb`, and nothing more may be deleted.

    Attributes:
        folder: Where the files are.
        missing_bytes: How much more should be free.
    """

    importance = Importance.WARNING
    type: str = "files.space_low"
    folder: str
    missing_bytes: int

    def line(self) -> str:
        """See `Event.line`."""
        return (
            f"the disk of {self.folder} is short of {self.missing_bytes / 1e6:.0f} MB, "
            "and `keep` has nothing more to delete there"
        )


class Keeping:
    """Looks after the files of a stage that were written before; nothing without a rule.

    Args:
        ctx: The stage's.
        rule: Its `keep`.
        pattern: Which files are its own.
        writing: Returns the file that it writes now, or will begin next.
    """

    def __init__(
        self,
        ctx: StageContext,
        rule: Keep | None,
        pattern: PathPattern,
        writing: Callable[[], Path | None],
    ) -> None:
        self._ctx = ctx
        self._go_by(rule, pattern)
        self._writing = writing
        self._thread = OwnThread(f"{ctx.id} keep")
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = self._low = False

    def _go_by(self, rule: Keep | None, pattern: PathPattern) -> None:
        self._retention = None if rule is None else Retention(pattern, rule, self._ctx.log)
        self._checks_space = rule is not None and rule.free_gb is not None
        self._folder = pattern.root

    def start(self) -> None:
        """Look now, and from now on."""
        if self._retention is not None and self._task is None:
            self._task = asyncio.create_task(self._run(), name="keep")

    def change(self, rule: Keep | None, pattern: PathPattern) -> None:
        """Look from now on after other files, or by another rule."""
        self._go_by(rule, pattern)
        self.start()
        self.look()

    def look(self) -> None:
        """Look soon: a new file was begun."""
        self._asked.set()

    async def close(self) -> None:
        """End, after what is being deleted; the first look is made in any case."""
        self._closing = True
        self._asked.set()
        if self._task is not None:
            task, self._task = self._task, None
            await task
        await self._thread.end(lambda: None)

    async def _run(self) -> None:
        await self._look(lambda: True)
        while not self._closing:
            await self._due()
            if not self._closing:
                await self._look(lambda: not self._closing)

    async def _due(self) -> None:
        """Return when it is time to look again."""
        until = self._ctx.now() + _LOOK_S
        while (left := until - self._ctx.now()) > 0 and not self._asked.is_set():
            try:
                async with asyncio.timeout(min(left, _SPACE_S) if self._checks_space else left):
                    await self._asked.wait()
            except TimeoutError:
                retention = self._retention
                if retention is None:
                    break
                missing = await self._thread.start(retention.missing_bytes)
                if missing and not self._low:
                    break
                self._low = self._low and bool(missing)
        self._asked.clear()

    async def _look(self, goes_on: Callable[[], bool]) -> None:
        more = True
        while more and (retention := self._retention) is not None:
            now, writing = datetime.now(UTC).astimezone(), self._writing()
            done = await self._thread.start(retention.sweep, now, writing, goes_on)
            self._tell(done)
            more = done.more and goes_on()

    def _tell(self, done: Sweep) -> None:
        for reason in sorted({each.reason for each in done.removed}):
            removed = [each for each in done.removed if each.reason == reason]
            oldest = datetime.fromtimestamp(min(each.time for each in removed), UTC)
            self._ctx.publish(
                FilesExpired(
                    count=sum(len(each.paths) for each in removed),
                    bytes=sum(each.size for each in removed),
                    oldest=oldest.astimezone().isoformat(timespec="seconds"),
                    reason=reason,
                )
            )
        for error in done.errors:
            self._ctx.log.warning("keep: cannot delete %s", error)
        low = bool(done.short) and not done.more
        if low and not self._low:
            self._ctx.publish(FilesSpaceLow(folder=str(self._folder), missing_bytes=done.short))
        self._low = low
