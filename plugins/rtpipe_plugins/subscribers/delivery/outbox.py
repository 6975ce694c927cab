"""The outbox: what still has to be delivered, in order; a file, where it must survive a restart."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import uuid
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from rtpipe import EnvironmentProblem, StageError, reason_of
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.json_text import json_text
from rtpipe_plugins.disk.output_path import free_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_MESSAGES = """
CREATE TABLE IF NOT EXISTS messages
(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL)
"""
_OVERFLOW = """
DELETE FROM messages WHERE number IN
(SELECT number FROM messages WHERE number > ? ORDER BY number
 LIMIT max(0, (SELECT count(*) FROM messages WHERE number > ?) - ?))
"""
_SQLITE = b"SQLite format 3\0"
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DEAD_LETTERS_BYTES = 64 * 2**20
"""A server that refuses everything must not fill the disk."""


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way.

    Attributes:
        number: Its place in the outbox; rises.
        id: The same at every attempt, also after a restart, and of no other message.
        type: The event's.
        body: The event as JSON.
    """

    number: int
    id: str
    type: str
    body: str


class _Damaged(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Outbox:
    """A queue of messages in SQLite: one thread writes, and a message is on the disk once `put`.

    Args:
        path: The file. None: in memory, gone with the process.
        limit: How many messages it holds. When it is full the oldest goes; not the one that `first`
            has given out, which may be under way.
        on_damage: Told that the file was damaged: why, and where it was put; a new one is in use.
    """

    def __init__(
        self,
        path: Path | None,
        limit: int,
        on_damage: Callable[[str, Path], None] = lambda *_: None,
    ) -> None:
        self._path = path
        self._limit = limit
        self._on_damage = on_damage
        self._thread = OwnThread("outbox")
        self._database: sqlite3.Connection | None = None
        self._removed = 0
        self._given = 0

    async def open(self) -> None:
        """Open it, with what an earlier run left in it.

        Raises:
            EnvironmentProblem: The file cannot be used, or another stage or process uses it.
        """
        try:
            try:
                await self._thread.start(self._open)
            except sqlite3.DatabaseError as error:
                if not (_is_damage(error) and await self._thread.start(self._is_ours)):
                    raise
                await self._begin_anew(error)
        except (OSError, sqlite3.Error) as error:
            raise EnvironmentProblem(f"cannot use the outbox {self._path}: {error}") from None

    async def put(self, type: str, body: str) -> int:
        """Append a message; returns how many old ones had to go for it.

        Raises:
            StageError: It could not be written.
        """
        return await self._done(lambda database: self._put(database, type, body))

    async def first(self) -> Message | None:
        """Return the oldest message that is not removed yet, if there is one.

        Raises:
            StageError: It could not be read.
        """
        return await self._done(self._first)

    async def remove(self, message: Message) -> None:
        """Forget `message` and all before it; `first` never gives it out again.

        Raises:
            StageError: The file still holds it, and a later `remove` will take it out.
        """
        self._removed = message.number
        await self._done(self._remove)

    async def set_aside(self, message: Message, reason: str) -> Path | None:
        """Write a message that no one will ever take to the dead-letter file beside the outbox.

        Returns:
            That file; None where the outbox is in memory.

        Raises:
            StageError: It could not be written.
        """
        if self._path is None:
            return None
        path = self._path.with_name(f"{self._path.name}.dead.jsonl")
        try:
            await self._thread.start(_bury, path, message, reason)
        except OSError as error:
            raise StageError(f"cannot write {path}: {reason_of(error)}") from None
        return path

    async def count(self) -> int:
        """Return how many messages wait.

        Raises:
            StageError: They could not be read.
        """
        return await self._done(self._count)

    async def close(self) -> None:
        """Let go of the file; nothing, if it was never opened."""
        await self._thread.end(self._close)

    async def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def within_a_transaction() -> T:
            assert self._database is not None
            with self._database:
                return work(self._database)

        try:
            try:
                return await self._thread.start(within_a_transaction)
            except sqlite3.DatabaseError as error:
                if self._path is None or not _is_damage(error):
                    raise
                await self._begin_anew(error)
                return await self._thread.start(within_a_transaction)
        except (OSError, sqlite3.Error) as error:
            raise StageError(f"the outbox {self._path or ''} fails: {error}") from None

    async def _begin_anew(self, damage: sqlite3.DatabaseError) -> None:
        kept = await self._thread.start(self._move_away)
        self._on_damage(f"{damage}", kept)
        await self._thread.start(self._open)

    # -- in the thread -----------------------------------------------------------------------------

    def _open(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(self._path or ":memory:", timeout=1.0)
        # Two that send from one outbox would send everything twice.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")  # a power cut loses no message
        with self._database:
            self._database.execute(_MESSAGES)
            # In a new file numbers go on where those of one that was damaged ended.
            self._database.execute(
                "INSERT INTO sqlite_sequence SELECT 'messages', ? WHERE NOT EXISTS"
                " (SELECT 1 FROM sqlite_sequence WHERE name = 'messages')",
                (max(self._removed, self._given),),
            )
        ((found,), *_) = self._database.execute("PRAGMA quick_check(1)")
        if found != "ok":
            raise _Damaged(found)

    def _is_ours(self) -> bool:
        """Return whether the file is a database, or the zeros that a power cut leaves of one."""
        if self._path is None:
            return False
        with self._path.open("rb") as file:
            start = file.read(len(_SQLITE))
        return start == _SQLITE or not any(start)

    def _move_away(self) -> Path:
        assert self._path is not None
        with suppress(sqlite3.Error):
            self._close()
        kept = free_name(self._path.with_name(f"{self._path.name}.damaged"))
        for ending in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self._path.with_name(self._path.name + ending).rename(
                    kept.with_name(kept.name + ending)
                )
        with suppress(FileNotFoundError):
            self._path.rename(kept)
        return kept

    def _put(self, database: sqlite3.Connection, type: str, body: str) -> int:
        database.execute(
            "INSERT INTO messages (id, type, body) VALUES (?, ?, ?)", (uuid.uuid4().hex, type, body)
        )
        kept = max(self._removed, self._given)
        return database.execute(_OVERFLOW, (kept, kept, self._limit)).rowcount

    def _first(self, database: sqlite3.Connection) -> Message | None:
        row = database.execute(
            "SELECT number, id, type, body FROM messages WHERE number > ? ORDER BY number LIMIT 1",
            (self._removed,),
        ).fetchone()
        if row is None:
            return None
        message = Message(*row)
        self._given = message.number
        return message

    def _remove(self, database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM messages WHERE number <= ?", (self._removed,))

    def _count(self, database: sqlite3.Connection) -> int:
        query = "SELECT count(*) FROM messages WHERE number > ?"
        (count,) = database.execute(query, (self._removed,)).fetchone()
        return int(count)

    def _close(self) -> None:
        if self._database is not None:
            with closing(self._database):
                self._database = None


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _bury(path: Path, message: Message, reason: str) -> None:
    letter = {
        "time": datetime.now(UTC).astimezone().isoformat(timespec="milliseconds"),
        "id": message.id,
        "reason": reason,
        "event": json.loads(message.body),
    }
    with closing(AppendedFile(path)) as file:
        file.open()
        if path.stat().st_size >= _DEAD_LETTERS_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        file.append(f"{json_text(letter)}\n".encode())
