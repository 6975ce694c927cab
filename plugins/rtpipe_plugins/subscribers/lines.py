"""`lines`: what a program writes, line by line, as events."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from rtpipe import (
    Backoff,
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rtpipe import Finding

_LONGEST_LINE = 4096
_CHUNK = 65_536
_BREATH_S = 0.01
"""Between two reads of a program that floods: it waits for us, not the event loop for it."""
_TELL_S = 1.0
_STEADY_S = 10.0
"""A program that ran so long has not failed at its start."""
_BACKOFF = Backoff(0.5, 30.0)


class LinesOptions(Options):
    """A program whose standard output is events."""

    main: ClassVar[str | None] = "command"

    command: Command
    """The program and its arguments: a list, or a text that is split as a shell would split it. No
    shell is involved; where one is wanted: `[sh, -c, "one | two"]`. It must write each line at
    once: many programs do so into a pipe only if told (`stdbuf -oL PROGRAM`, `python3 -u`)."""
    max_per_s: Annotated[int, Field(ge=1, le=1000)] = 50
    """How many lines in a second may become events; what is beyond that is counted and left out."""
    env: GivenBack = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return words_of(self.command)


@dataclass(frozen=True, kw_only=True)
class LinesLine(Event):
    r"""The program wrote a line.

    Attributes:
        text: The line without the white space around it; bytes that are no UTF-8 as `\xff`.
        data: Its fields, where it is a JSON object; `where: {data.button: talk}` asks for one.
        truncated: Whether it was longer than 4096 bytes, and the rest is left out.
    """

    type: str = "lines.line"
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    truncated: bool = False

    def line(self) -> str:
        """See `Event.line`."""
        return self.text


@dataclass(frozen=True, kw_only=True)
class LinesLeftOut(Event):
    """The program wrote more than `max_per_s` lines in a second; told at most once a second.

    Attributes:
        lines: How many were left out since this was told last.
        total: How many since the start.
    """

    importance = Importance.WARNING
    type: str = "lines.left_out"
    lines: int
    total: int

    def line(self) -> str:
        """See `Event.line`."""
        return f"too many lines: {self.lines} were left out, {self.total} in all"


@dataclass(frozen=True, kw_only=True)
class LinesEnded(Event):
    """The program has ended, or could not be started again; it is started again after `again_s`.

    Attributes:
        command: Its first word.
        reason: How it ended.
        exit_status: Its exit status, if it has one.
        stderr: The end of what it said.
        withheld: Names of the environment variables that it did not get; see `env`.
        again_s: How long until it is started again (s).
    """

    importance = Importance.WARNING
    type: str = "lines.ended"
    command: str
    reason: str
    exit_status: int | None
    stderr: str
    withheld: tuple[str, ...]
    again_s: float

    def line(self) -> str:
        """See `Event.line`."""
        said = last_words(self.stderr, self.withheld)
        return f"`{self.command}` {self.reason}{said}; again in {self.again_s:.1f} s"


class Lines(Subscriber[LinesOptions]):
    """Makes each line that a program writes an event: a button, a card reader, a sensor.

    The program starts when every stage is open, ends with the pipeline and all its children (TERM,
    0.5 s later KILL), and is started again when it ends by itself: after 0.5 s, then after up to
    twice as long each time, at most 30 s.

    - lines: {command: gpiomon --active-low --bias pull-up --debounce-period 10 --format %E GPIO17}
    """

    kind = "lines"
    external = True
    hears = False
    publishes = (LinesLine, LinesLeftOut, LinesEnded)

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a command that writes and ends."""
        yield Specimen({"command": "seq 1 100"}, real_time=True)

    @classmethod
    def examine(cls, options: LinesOptions) -> Iterator[Finding]:
        """Look for the program."""
        return examine_command(options.command, "command")

    def __init__(self, options: LinesOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._child = self._new_child()
        self._reading: asyncio.Task[None] | None = None
        self._limit = _RateLimit(options.max_per_s, ctx)

    async def open(self) -> None:
        """Start the program.

        Raises:
            EnvironmentProblem: There is no such program.
        """
        await self._child.start(writes=True)
        self._reading = asyncio.create_task(self._attend())

    async def close(self) -> None:
        """End the program."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        await self._child.close()
        self._limit.end()

    def _new_child(self) -> ChildProcess:
        return ChildProcess(self.options.words, read=self.ctx.env_names, given=self.options.env)

    async def _attend(self) -> None:
        """Read the program; start it again whenever it has ended."""
        failures = 0
        while True:
            began = self.ctx.now()
            lines = _Splitter(self._limit, self._tell)
            while data := await self._child.read_some(_CHUNK):
                lines.feed(data)
                if len(data) == _CHUNK or self._limit.exceeded:
                    await asyncio.sleep(_BREATH_S)
            lines.end()
            how = await self._child.finished()
            if self.ctx.now() - began >= _STEADY_S or (how is None and lines.told):
                failures = 0
            failures = await self._again(how or "ended with exit status 0", failures)

    async def _again(self, how: str, failures: int) -> int:
        """Start the program again, which ended as `how` says; returns how often it has failed."""
        while True:
            ended, pause_s = self._child, _BACKOFF.pause_s(failures)
            await ended.close()
            self.ctx.publish(
                LinesEnded(
                    command=self.options.words[0],
                    reason=how,
                    exit_status=ended.exit_status,
                    stderr=ended.said,
                    withheld=ended.withheld,
                    again_s=round(pause_s, 2),
                )
            )
            failures += 1
            await asyncio.sleep(pause_s)
            self._child = self._new_child()
            try:
                await self._child.start(writes=True)
            except EnvironmentProblem as problem:
                how = problem.message
            else:
                return failures

    def _tell(self, line: bytes, *, truncated: bool) -> None:
        text = line.decode("utf-8", "backslashreplace").strip()
        data = {} if truncated else _fields(text)
        self.ctx.publish(LinesLine(text=text, data=data, truncated=truncated))


class _RateLimit:
    """Lets so many lines through in each second, and tells how many it did not.

    Attributes:
        exceeded: Whether more have come in this second.
    """

    def __init__(self, max_per_s: int, ctx: StageContext) -> None:
        self.exceeded = False
        self._max = max_per_s
        self._ctx = ctx
        self._second = -math.inf
        self._passed = 0
        self._left_out = self._total = 0
        self._telling: asyncio.TimerHandle | None = None

    def passes(self) -> bool:
        """Return whether one more line may pass, and count it if so."""
        now = self._ctx.now()
        if now - self._second >= 1.0:
            self._second, self._passed = now, 0
        self.exceeded = self._passed >= self._max
        self._passed += not self.exceeded
        return not self.exceeded

    def leave_out(self, lines: int) -> None:
        """Count lines that did not pass."""
        self._left_out += lines
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_S, self.end)

    def end(self) -> None:
        """Tell what is still to be told."""
        if self._telling is None:
            return
        self._telling.cancel()
        self._telling = None
        lines, self._left_out = self._left_out, 0
        self._total += lines
        self._ctx.publish(LinesLeftOut(lines=lines, total=self._total))


class _Splitter:
    """Cuts what a program writes into lines of at most `_LONGEST_LINE` bytes.

    Args:
        limit: How many of them may be told.
        tell: Called with each that may.

    Attributes:
        told: Whether there was one.
    """

    def __init__(self, limit: _RateLimit, tell: Callable[..., None]) -> None:
        self.told = False
        self._limit = limit
        self._tell = tell
        self._begun = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            if self._skipping:  # the rest of a line that was too long
                self._skipping = False
            elif self._limit.passes():
                self._whole(bytes(self._begun) + data[start:end])
            else:  # quickly over all that is left: a flood must not hold the loop
                self._limit.leave_out(data.count(b"\n", start))
                end = data.rfind(b"\n")
            self._begun.clear()
            start = end + 1
        self._begin(data[start:])

    def end(self) -> None:
        """Take what has no newline at its end: nothing follows."""
        if self._begun and self._limit.passes():
            self._whole(bytes(self._begun))
        elif self._begun:
            self._limit.leave_out(1)

    def _begin(self, data: bytes) -> None:
        """Keep the beginning of a line; one that has become too long is told as far as it goes."""
        if self._skipping:
            return
        self._begun += data[: _LONGEST_LINE + 1]
        if len(self._begun) > _LONGEST_LINE:
            self._skipping = True
            self.end()
            self._begun.clear()

    def _whole(self, line: bytes) -> None:
        self.told = True
        self._tell(line[:_LONGEST_LINE], truncated=len(line) > _LONGEST_LINE)


def _fields(text: str) -> Mapping[str, Any]:
    """Return the fields of a JSON object; none where `text` is something else."""
    if not text.startswith("{"):
        return {}
    try:
        found = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number in JSON")
    return number
