"""A command that runs beside the pipeline, joined to it by a pipe."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, StageError, reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_STDERR_KEPT = 2000
_LINES_SHOWN = 3
_PIPE_BYTES = 1 << 20
_GRACE_S = 1.0


class ChildProcess:
    """A command in a session of its own, so that it ends with all its children and not by Ctrl-C.

    Args:
        words: The program and its arguments.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._process: asyncio.subprocess.Process | None = None
        self._said = bytearray()
        self._listening: asyncio.Task[None] | None = None

    async def start(self, *, reads: bool = False, writes: bool = False) -> None:
        """Start it.

        Args:
            reads: Whether something will be written to its standard input.
            writes: Whether its standard output will be read.

        Raises:
            EnvironmentProblem: There is no such program, or it cannot be run.
        """
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *self._words,
                stdin=pipe if reads else nothing,
                stdout=pipe if writes else nothing,
                stderr=pipe,
                limit=_PIPE_BYTES,
                start_new_session=True,
            )
        )
        try:
            self._process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._process = await starting  # a child half started would be nobody's
            raise
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot run {self._words[0]!r}: {reason_of(error)}",
                help="name a program on the PATH; no shell stands between",
            ) from None
        self._listening = asyncio.create_task(self._listen())

    @property
    def said(self) -> str:
        """The end of what it has written to its standard error."""
        return self._said.decode(errors="replace").strip()

    async def read(self, size: int) -> bytes:
        """Return the next `size` bytes of its output; fewer at the end."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return await self._process.stdout.readexactly(size)
        except asyncio.IncompleteReadError as end:
            return end.partial

    async def read_line(self) -> bytes:
        """Return the next line of its output, with its end; nothing at the end."""
        assert self._process is not None
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def write(self, data: bytes) -> None:
        """Give it `data`.

        Raises:
            ConnectionError: It has ended and reads no more.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def end_of_input(self) -> None:
        """Tell it that nothing more will be written."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # its exit status says what happened
            self._process.stdin.close()
            await self._process.stdin.wait_closed()

    async def finished(self) -> str | None:
        """Wait for its end; return how it failed, None where it did not."""
        assert self._process is not None
        assert self._listening is not None
        status = await self._process.wait()
        await self._listening
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with exit status {status}" if status else None

    async def succeeded(self) -> None:
        """Wait for its end.

        Raises:
            StageError: It failed.
        """
        how = await self.finished()
        if how is not None:
            lines = self.said.splitlines()[-_LINES_SHOWN:]
            said = ": " + " / ".join(line.strip() for line in lines) if lines else ""
            raise StageError(f"{self._words[0]} {how}{said}")

    async def close(self) -> None:
        """End it, politely first, with all its children."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_S):
                    await self._process.wait()
        self._signal(signal.SIGKILL)
        await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public way to close a dead child's pipes
        self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(4096):
            self._said += chunk
            del self._said[:-_STDERR_KEPT]
