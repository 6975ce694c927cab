"""The outbox: what still has to be delivered, in order; a file, where it must survive a restart."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from rtpipe import EnvironmentProblem, StageError
from rtpipe_plugins.child.thread import OwnThread

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


class Outbox:
    """A queue of messages in SQLite: one thread writes, and a message is on the disk once `put`.

    Args:
        path: The file. None: in memory, gone with the process.
        limit: How many messages it holds. When it is full the oldest goes; not the one that `first`
            has given out, which may be under way.
    """

    def __init__(self, path: Path | None, limit: int) -> None:
        self._path = path
        self._limit = limit
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
            await self._thread.start(self._open)
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
            return await self._thread.start(within_a_transaction)
        except sqlite3.Error as error:
            raise StageError(f"the outbox {self._path or ''} fails: {error}") from None

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
