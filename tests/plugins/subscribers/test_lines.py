"""lines: what a program writes is told at once, bounded; it never outlives its stage."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rtpipe import EnvironmentProblem, Event, loads
from rtpipe.testing import Bench
from rtpipe_plugins.subscribers.lines import Lines, LinesOptions, _fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON_S = 20
GO_ON = "; exec sleep 600"


class Heard:
    """The events of a `lines` that runs, as they come."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._come: asyncio.Queue[Event] = asyncio.Queue()
        bench.bus.subscribe("*", self._come.put_nowait)

    async def next(self) -> dict[str, Any]:
        """Return the next one."""
        return (await self._come.get()).as_dict()

    async def until(self, type: str) -> dict[str, Any]:
        """Return the next of a type."""
        while (event := await self.next())["type"] != type:
            pass
        return event


@asynccontextmanager
async def running(script: str, **options: Any) -> AsyncIterator[Heard]:
    """Run a script of the shell as a button; all that is done with it must be done soon."""
    bench = Bench(Lines, {"command": ["sh", "-c", script], **options})
    heard = Heard(bench)
    async with asyncio.timeout(SOON_S), bench.opened():
        yield heard


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(SOON_S):
        while runs(pid):  # noqa: ASYNC110 - it is nobody's child: no one is told of its end
            await asyncio.sleep(0.01)


# -- lines -----------------------------------------------------------------------------------------


async def test_each_line_is_an_event_as_soon_as_it_is_written(tmp_path: Path) -> None:
    fifo = tmp_path / "button"
    os.mkfifo(fifo)
    async with running(f"exec cat '{fifo}'") as heard:
        with fifo.open("w", buffering=1) as button:
            for word in ("down", "up"):
                button.write(f" {word}\r\n")
                event = await heard.next()  # the next word is written only then
                assert (event["type"], event["text"], event["data"]) == ("lines.line", word, {})


async def test_a_json_object_gives_its_fields() -> None:
    async with running(f"""echo '{{"card": "4711", "at": [1.5]}}'; echo '[1]'{GO_ON}""") as heard:
        assert (await heard.next())["data"] == {"card": "4711", "at": [1.5]}
        assert (await heard.next())["data"] == {}


@pytest.mark.parametrize(
    "text", ["{", '{"a": NaN}', '{"a": 1e999}', '{"a":' * 1500 + "1" + "}" * 1500, "{1: 2}"]
)
def test_what_only_looks_like_json_gives_no_fields(text: str) -> None:
    assert _fields(text) == {}


async def test_what_is_no_utf8_is_escaped() -> None:
    async with running(rf"printf 'a\377b\n'{GO_ON}") as heard:
        event = await heard.next()
    assert event["text"] == r"a\xffb"
    json.dumps(event)


@pytest.mark.slow
async def test_a_line_without_end_is_told_once_as_far_as_it_goes() -> None:
    script = f"head -c 9000000 /dev/zero | tr '\\0' x; echo; echo after{GO_ON}"
    async with running(script) as heard:
        long, after = await heard.next(), await heard.next()
    assert (long["text"], long["truncated"]) == ("x" * 4096, True)
    assert (after["text"], after["truncated"]) == ("after", False)


async def test_a_last_line_needs_no_newline() -> None:
    async with running("printf talk") as heard:
        assert (await heard.next())["text"] == "talk"


@pytest.mark.slow
async def test_a_flood_is_counted_and_holds_nobody() -> None:
    async with running("exec yes", max_per_s=5) as heard:
        longest = 0.0
        loop = asyncio.get_running_loop()
        told = asyncio.ensure_future(heard.until("lines.left_out"))
        while not told.done():
            before = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - before)
        left_out = told.result()
    lines = [event for event in heard.bench.run.events if event.type == "lines.line"]
    first = [event for event in lines if event.at < lines[0].at + 1.0]
    assert len(first) == 5
    assert left_out["lines"] > 100_000
    ends = [event.as_dict() for event in heard.bench.run.events if event.type == "lines.left_out"]
    assert ends[-1]["total"] == sum(event["lines"] for event in ends)  # the rest, at the end
    assert longest < 0.5  # of many rounds; a pipe full of lines is a fraction of it


async def test_what_was_left_out_is_told_at_the_end_at_last() -> None:
    async with running(f"seq 1 12{GO_ON}", max_per_s=5) as heard:
        assert [(await heard.next())["text"] for _ in range(5)] == ["1", "2", "3", "4", "5"]
    left_out = heard.bench.run.events[-1].as_dict()
    assert (left_out["type"], left_out["lines"], left_out["total"]) == ("lines.left_out", 7, 7)


async def test_lines_keep_their_order_and_none_is_lost_below_the_bound() -> None:
    async with running(f"seq 1 1000{GO_ON}", max_per_s=1000) as heard:
        assert [(await heard.next())["text"] for _ in range(1000)] == [*map(str, range(1, 1001))]


# -- the program -----------------------------------------------------------------------------------


async def test_a_program_that_ends_is_told_and_started_again(tmp_path: Path) -> None:
    flag = tmp_path / "again"
    script = f"if [ -e '{flag}' ]; then echo back{GO_ON}; fi; touch '{flag}'; echo bulb >&2; exit 3"
    async with running(script) as heard:
        ended, back = await heard.next(), await heard.next()
    assert (ended["type"], ended["exit_status"], ended["stderr"]) == ("lines.ended", 3, "bulb")
    assert ended["reason"] == "ended with exit status 3"
    assert 0 < ended["again_s"] <= 0.5
    assert back["text"] == "back"


async def test_a_program_that_was_killed_has_no_exit_status() -> None:
    async with running("kill -9 $$") as heard:
        ended = await heard.next()
    assert (ended["exit_status"], ended["reason"]) == (None, "was killed by SIGKILL")


@pytest.mark.slow
async def test_a_program_that_fails_at_once_is_started_ever_more_rarely() -> None:
    async with running("exit 1") as heard:
        waits = [(await heard.next())["again_s"] for _ in range(4)]
    for wait, longest in zip(waits, (0.5, 1, 2, 4), strict=True):
        assert longest / 2 <= wait <= longest


@pytest.mark.slow
async def test_a_program_that_did_its_work_is_started_at_once_again() -> None:
    async with running("echo press") as heard:
        waits = [(await heard.until("lines.ended"))["again_s"] for _ in range(4)]
    assert max(waits) <= 0.5


async def test_it_ends_with_the_stage_and_with_it_what_it_started() -> None:
    async with running("trap '' TERM; sleep 600 & echo $! $$; wait; wait") as heard:
        pids = (await heard.next())["text"].split()
    for pid in map(int, pids):
        await gone(pid)


async def test_what_it_left_in_the_background_keeps_nobody_waiting() -> None:
    async with running("setsid sleep 600 & echo $!") as heard:
        pid = int((await heard.next())["text"])
        assert (await heard.next())["type"] == "lines.ended"
    os.kill(pid, 9)


async def test_it_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_TOKEN", "hush")
    monkeypatch.setenv("LAMP_TOKEN", "light")
    script = f'echo "[$DOOR_TOKEN$LAMP_TOKEN]"{GO_ON}'
    async with running(script, env=["LAMP_TOKEN"]) as heard:
        assert (await heard.next())["text"] == "[light]"


async def test_a_program_that_is_not_there_is_for_a_fallback() -> None:
    with pytest.raises(EnvironmentProblem, match="no-such-program"):
        async with Bench(Lines, {"command": "no-such-program"}).opened():
            pass


def test_validate_looks_for_the_program() -> None:
    (found,) = Lines.examine(LinesOptions(command="no-such-program --x"))
    assert (found.status, found.option) == ("missing", "command")
    assert list(Lines.examine(LinesOptions(command="true"))) == []


# -- in a pipeline ---------------------------------------------------------------------------------

DESK = """
version: 1
stages:
  - tone: {realtime: true, duration_s: 60}
  - mute_gate: push_to_talk
  - blackhole
events:
  - lines: {command: [sh, -c, "echo rising; exec sleep 600"]}
    id: door
  - lines: {command: [sh, -c, "echo falling; exec sleep 600"]}
    id: window
  - match: lines.line
    from: door
    where: {text: rising}
    do: mute_gate.talk
"""


def test_a_line_that_comes_at_once_finds_every_stage_open() -> None:
    async def run() -> list[Event]:
        pipeline = loads(DESK)
        heard: list[Event] = []
        pipeline.bus.subscribe("*", heard.append)
        opened = asyncio.Event()
        pipeline.bus.subscribe("mute_gate.opened", lambda _: opened.set())
        async with asyncio.timeout(SOON_S), pipeline:
            await opened.wait()
        return heard

    heard = asyncio.run(run())
    assert "route.failed" not in {event.type for event in heard}
    assert {event.source for event in heard if event.type == "lines.line"} == {"door", "window"}
