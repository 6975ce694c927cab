"""`exec`: events as runs of a command."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field

from rtpipe import EnvironmentProblem, Event, Options, StageContext, Subscriber

_STDERR_KEPT = 2000
_GRACE_S = 1.0


def _not_empty(command: str | tuple[str, ...]) -> str | tuple[str, ...]:
    words = shlex.split(command) if isinstance(command, str) else command
    if not words or not words[0]:
        raise ValueError("the command is empty")
    return command


Command: TypeAlias = Annotated[str | tuple[str, ...], AfterValidator(_not_empty)]


class ExecOptions(Options):
    """Run a command for each event."""

    main: ClassVar[str | None] = "command"

    command: Command
    """The program and its arguments: a list, or a text that is split as a shell would split it. No
    shell is involved. The event comes as a line of JSON on its standard input."""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long it may run (s); then it and all its children are killed."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """How many may run at once; with 1 they run in the order of the events."""


@dataclass(frozen=True, kw_only=True)
class ExecFailed(Event):
    """A command could not be run, took too long or ended with an error.

    Attributes:
        command: Its first word.
        reason: What happened.
        stderr: The end of what it said.
    """

    type: str = "exec.failed"
    command: str
    reason: str
    stderr: str = ""


class Exec(Subscriber[ExecOptions]):
    """Runs a command with the event on its standard input.

    What goes wrong is published as `exec.failed`; no `exec` runs for that, or two would keep each
    other busy for ever.
    """

    kind = "exec"
    publishes = (ExecFailed,)

    def __init__(self, options: ExecOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        command = options.command
        self._words = tuple(shlex.split(command)) if isinstance(command, str) else command
        self._free = asyncio.Semaphore(options.concurrency)
        self._running: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Look for the program.

        Raises:
            EnvironmentProblem: There is none of this name.
        """
        if shutil.which(self._words[0]) is None:
            raise EnvironmentProblem(f"there is no command {self._words[0]!r}")

    async def on_event(self, event: Event) -> None:
        """Start the command, when fewer than `concurrency` run."""
        if event.type == "exec.failed":
            return
        await self._free.acquire()
        line = json.dumps(event.as_dict(), ensure_ascii=False, default=str).encode() + b"\n"
        run = asyncio.create_task(self._run(line))
        self._running.add(run)
        run.add_done_callback(self._ended)

    async def close(self) -> None:
        """Give what still runs a moment, then kill it."""
        if self._running:
            await asyncio.wait(self._running, timeout=_GRACE_S)
        for run in (running := set(self._running)):
            run.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, run: asyncio.Task[None]) -> None:
        self._running.discard(run)
        self._free.release()
        if not run.cancelled() and (error := run.exception()) is not None:
            self._failed(f"{type(error).__name__}: {error}")

    async def _run(self, line: bytes) -> None:
        process = await self._start()
        said = bytearray()
        try:
            async with asyncio.timeout(self.options.timeout_s):
                await asyncio.gather(_feed(process, line), _listen(process, said))
                status = await process.wait()
        except TimeoutError:
            await _kill(process)
            self._failed(f"took longer than {self.options.timeout_s:g} s", said)
        except asyncio.CancelledError:
            await _kill(process)
            raise
        else:
            if status != 0:
                self._failed(_described(status), said)

    async def _start(self) -> asyncio.subprocess.Process:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _kill(await starting)  # a child half started would be nobody's
            raise

    def _failed(self, reason: str, said: bytes | bytearray = b"") -> None:
        stderr = said.decode(errors="replace").strip()
        self.ctx.publish(ExecFailed(command=self._words[0], reason=reason, stderr=stderr))


async def _feed(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not read its input
        process.stdin.write(line)
        await process.stdin.drain()
    process.stdin.close()


async def _listen(process: asyncio.subprocess.Process, said: bytearray) -> None:
    assert process.stderr is not None
    while chunk := await process.stderr.read(4096):
        said += chunk
        del said[:-_STDERR_KEPT]


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process with all its children, and wait for its end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public way to close a dead child's pipes


def _described(status: int) -> str:
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
