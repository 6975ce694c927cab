"""`exec`: events as runs of a command."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rtpipe import (
    EnvironmentProblem,
    Event,
    Importance,
    Options,
    Specimen,
    StageContext,
    Subscriber,
)
from rtpipe_plugins.child.command import Command, examine_command, words_of
from rtpipe_plugins.child.environment import GivenBack
from rtpipe_plugins.child.process import ChildProcess, last_words
from rtpipe_plugins.disk.json_text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe import Finding

_GRACE_S = 1.0


class ExecOptions(Options):
    """Run a command for each event."""

    main: ClassVar[str | None] = "command"

    command: Command
    """The program and its arguments: a list, or a text that is split as a shell would split it. No
    shell is involved. The event comes as a line of JSON on its standard input."""
    timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """How long it may run (s); then it and all its children get TERM, and at most 0.5 s later KILL.
    What it leaves in the background is not waited for and ends with it, unless it has a session of
    its own (`setsid`)."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """How many may run at once; with 1 they run in the order of the events."""
    env: GivenBack = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return words_of(self.command)


@dataclass(frozen=True, kw_only=True)
class ExecFailed(Event):
    """A command could not be run, took too long or ended with an error.

    Attributes:
        command: Its first word.
        reason: What happened.
        stderr: The end of what it said.
        withheld: Names of the environment variables that it did not get; see `env`.
    """

    importance = Importance.ERROR
    type: str = "exec.failed"
    command: str
    reason: str
    stderr: str = ""
    withheld: tuple[str, ...] = ()

    def line(self) -> str:
        """See `Event.line`."""
        return f"`{self.command}`: {self.reason}{last_words(self.stderr, self.withheld)}"


class Exec(Subscriber[ExecOptions]):
    """Runs a command with the event on its standard input.

    What goes wrong is published as `exec.failed`; no `exec` runs for that, or two would keep each
    other busy for ever.

    - match: vad.speech_*
      exec: {command: [logger, --tag, desk], concurrency: 1}
    """

    kind = "exec"
    external = True
    publishes = (ExecFailed,)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a command."""
        yield Specimen({"command": "true"}, real_time=True)

    @classmethod
    def examine(cls, options: ExecOptions) -> Iterator[Finding]:
        """Look for the program."""
        return examine_command(options.command, "command")

    def __init__(self, options: ExecOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._words = options.words
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
        line = f"{json_text(event.as_dict())}\n".encode()
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
        child = ChildProcess(self._words, read=self.ctx.env_names, given=self.options.env)
        try:
            async with asyncio.timeout(self.options.timeout_s):
                await child.start(reads=True)
                with suppress(ConnectionError):  # it need not read its input
                    await child.write(line)
                await child.end_of_input()
                how = await child.finished()
            if how is not None:
                self._failed(how, child)
        except TimeoutError:
            self._failed(f"took longer than {self.options.timeout_s:g} s", child)
        finally:
            await child.close()

    def _failed(self, reason: str, child: ChildProcess | None = None) -> None:
        said, withheld = ("", ()) if child is None else (child.said, child.withheld)
        self.ctx.publish(
            ExecFailed(command=self._words[0], reason=reason, stderr=said, withheld=withheld)
        )
