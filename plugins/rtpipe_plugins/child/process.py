"""A command that runs beside the pipeline, joined to it by a pipe."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import SubprocessStreamProtocol
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from rtpipe import EnvironmentProblem, StageError, reason_of
from rtpipe_plugins.child.environment import child_environment

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_STDERR_KEPT = 2000
_LINES_SHOWN = 3
_PIPE_BYTES = 1 << 20
_GRACE_S = 0.5


class ChildProcess:
    """A command in a session of its own, so that it ends with all its children and not by Ctrl-C.

    It has ended when the command itself has: what it left in the background may hold its pipes and
    keeps nobody waiting.

    Args:
        words: The program and its arguments.
        read: Names of environment variables that it does not get, beside those of secrets.
        given: Names of environment variables that it gets all the same.

    Attributes:
        withheld: Names of the environment variables that it did not get.
        exit_status: Once it has `finished`; None where it was killed, or never ran.
    """

    def __init__(
        self, words: Sequence[str], *, read: Collection[str] = (), given: Collection[str] = ()
    ) -> None:
        self._words = words
        self._read = read
        self._given = given
        self._transport: asyncio.SubprocessTransport | None = None
        self._pipes: _Pipes
        self._said = bytearray()
        self._listening: asyncio.Task[None]
        self.withheld: tuple[str, ...] = ()
        self.exit_status: int | None = None

    async def start(self, *, reads: bool = False, writes: bool = False) -> None:
        """Start it.

        Args:
            reads: Whether something will be written to its standard input.
            writes: Whether its standard output will be read.

        Raises:
            EnvironmentProblem: There is no such program, or it cannot be run.
        """
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        environment = child_environment(self._read, self._given)
        self.withheld = environment.withheld
        starting = asyncio.ensure_future(
            asyncio.get_running_loop().subprocess_exec(
                _Pipes,
                *self._words,
                executable=shutil.which(self._words[0]),  # in our PATH, whatever it gets
                env=environment.variables,
                stdin=pipe if reads else nothing,
                stdout=pipe if writes else nothing,
                stderr=pipe,
                start_new_session=True,
            )
        )
        try:
            self._transport, self._pipes = await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._transport, self._pipes = await starting  # half started, it would be nobody's
            raise
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot run {self._words[0]!r}: {reason_of(error)}",
                help="name a program on the PATH; no shell stands between",
            ) from None
        finally:
            if self._transport is not None:
                self._listening = asyncio.create_task(self._listen())

    @property
    def said(self) -> str:
        """The end of what it has written to its standard error."""
        return self._said.decode(errors="replace").strip()

    async def read(self, size: int) -> bytes:
        """Return the next `size` bytes of its output; fewer at the end."""
        assert self._pipes.stdout is not None
        try:
            return await self._pipes.stdout.readexactly(size)
        except asyncio.IncompleteReadError as end:
            return end.partial

    async def read_some(self, most: int) -> bytes:
        """Return what it has written by now, at most `most` bytes; waits where that is nothing.

        Nothing at the end.
        """
        assert self._pipes.stdout is not None
        return await self._pipes.stdout.read(most)

    async def read_line(self) -> bytes:
        """Return the next line of its output, with its end; nothing at the end."""
        assert self._pipes.stdout is not None
        return await self._pipes.stdout.readline()

    async def write(self, data: bytes) -> None:
        """Give it `data`.

        Raises:
            ConnectionError: It has ended and reads no more.
        """
        assert self._pipes.stdin is not None
        if not self._pipes.ended.is_set():
            self._pipes.stdin.write(data)
            await self._pipes.stdin.drain()
            if not self._pipes.unread:
                return
        raise BrokenPipeError("it has ended")

    async def end_of_input(self) -> None:
        """Tell it that nothing more will be written."""
        assert self._pipes.stdin is not None
        with suppress(ConnectionError):  # its exit status says what happened
            self._pipes.stdin.close()
        await self._pipes.input_closed()

    async def finished(self) -> str | None:
        """Wait for its end; return how it failed, None where it did not."""
        assert self._transport is not None
        await self._pipes.ended.wait()
        await self._listening
        status = self._transport.get_returncode()
        assert status is not None
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        self.exit_status = status
        return f"ended with exit status {status}" if status else None

    async def succeeded(self) -> None:
        """Wait for its end.

        Raises:
            StageError: It failed.
        """
        how = await self.finished()
        if how is not None:
            said = last_words(self.said, self.withheld, lines=_LINES_SHOWN)
            raise StageError(f"{self._words[0]} {how}{said}")

    async def close(self) -> None:
        """End it and its group: TERM, and KILL at most 0.5 s later.

        Who left the group is neither waited for nor killed.
        """
        if self._transport is None:
            return
        try:
            if not self._pipes.ended.is_set():
                self._signal(signal.SIGTERM)
                await self._ended()
        finally:
            self._signal(signal.SIGKILL)
            transport, self._transport = self._transport, None
            self._pipes.cut()
            # Also where this is cancelled: of one that outlives the loop asyncio prints a warning.
            await self._ended()
            await self._listening
            if transport.get_returncode() is not None:
                transport.close()

    async def _ended(self) -> None:
        """Wait for its end, but not for one that the kernel holds, or that is another user's."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                await self._pipes.ended.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._transport is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)

    async def _listen(self) -> None:
        assert self._pipes.stderr is not None
        while chunk := await self._pipes.stderr.read(4096):
            self._said += chunk
            del self._said[:-_STDERR_KEPT]


class _Pipes(SubprocessStreamProtocol):
    """The ends of a child's pipes that are ours; they end with the child.

    asyncio alone would wait until every process that inherited a pipe has let go of it.

    Attributes:
        ended: Whether the child has.
        unread: Whether something that was written to it was still here when it ended.
    """

    def __init__(self) -> None:
        super().__init__(limit=_PIPE_BYTES, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()
        self.unread = False
        self._child: asyncio.SubprocessTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the pipes."""
        super().connection_made(transport)
        self._child = cast("asyncio.SubprocessTransport", transport)

    def process_exited(self) -> None:
        """End the pipes; what the child wrote before its end is still read."""
        self.cut()
        super().process_exited()
        self.ended.set()

    async def input_closed(self) -> None:
        """Wait until what was written has left, or never will.

        Not by the writer's `wait_closed`: where that is cancelled asyncio fails on the pipe's end.
        """
        await asyncio.wait([self._get_close_waiter(self.stdin)])  # type: ignore[attr-defined]

    def cut(self) -> None:
        """Let go of the pipes, whoever else holds them."""
        stdin = cast("asyncio.WriteTransport | None", self._child.get_pipe_transport(0))
        if stdin is not None and (stdin.get_write_buffer_size() or not stdin.is_closing()):
            self.unread = stdin.get_write_buffer_size() > 0
            stdin.abort()
        for number in (1, 2):
            pipe = self._child.get_pipe_transport(number)
            if pipe is None or pipe.is_closing():
                continue
            with suppress(BlockingIOError):  # nothing is left
                rest = os.read(pipe.get_extra_info("pipe").fileno(), _PIPE_BYTES)
                # After what asyncio has read and not yet handed on.
                asyncio.get_running_loop().call_soon(self.pipe_data_received, number, rest)
            pipe.close()


def last_words(said: str, withheld: Sequence[str], *, lines: int = 1) -> str:
    """Return how a message about a child that failed goes on: what it said, what it had to miss.

    Args:
        said: What it wrote to its standard error.
        withheld: Names of the environment variables that it did not get.
        lines: How many lines of it at most.
    """
    shown = [line.strip() for line in said.strip().splitlines()[-lines:]]
    quoted = ": " + " / ".join(shown) if shown else ""
    missing = ", ".join(withheld)
    return f"{quoted} (withheld from its environment: {missing})" if withheld else quoted
