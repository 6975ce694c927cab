"""A child ends when the command does, whatever it left behind, and within a bound when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe import EnvironmentProblem, StageError
from rtpipe_plugins.child.process import ChildProcess, last_words

SOON_S = 10
"""Far less than what is left in the background lives, far more than a busy machine needs."""


@asynccontextmanager
async def started(
    script: str, *, reads: bool = True, writes: bool = True
) -> AsyncIterator[ChildProcess]:
    """Run a script of the shell; all that is done with it must be done soon."""
    child = ChildProcess(["sh", "-c", script])
    async with asyncio.timeout(SOON_S):
        await child.start(reads=reads, writes=writes)
        try:
            yield child
        finally:
            await child.close()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(SOON_S):
        while runs(pid):  # noqa: ASYNC110 - it is nobody's child: no one is told of its end
            await asyncio.sleep(0.01)


# -- what is left in the background ----------------------------------------------------------------

HELD = {
    "input": "sleep 60 <&0 >/dev/null 2>&1 &",
    "output": "sleep 60 2>/dev/null &",
    "errors": "sleep 60 >/dev/null &",
    "all": "sleep 60 <&0 &",
    "all, in a session of its own": "setsid sleep 60 <&0 &",
}


@pytest.mark.parametrize("behind", HELD.values(), ids=HELD)
async def test_whoever_holds_a_pipe_keeps_nobody_waiting(behind: str) -> None:
    script = f"exec 3<&0; {behind.replace('<&0', '<&3')} echo out; echo lamp >&2; exit 3"
    async with started(script) as child:
        assert await child.read(100) == b"out\n"
        await child.end_of_input()
        assert await child.finished() == "ended with exit status 3"
        assert child.said == "lamp"


@settings(max_examples=15)
@given(size=st.integers(0, 300_000), errors=st.integers(0, 100_000))
async def test_what_the_command_wrote_before_its_end_is_read_to_the_last_byte(
    size: int, errors: int
) -> None:
    code = f"head -c {errors} /dev/zero | tr '\\0' x >&2; head -c {size} /dev/zero"
    async with started(f"sleep 60 & {code}; exit 0") as child:
        assert len(await child.read(1 << 20)) == size
        assert await child.finished() is None
        assert len(child.said) == min(errors, 2000)


async def test_what_still_stands_in_a_pipe_at_the_end_is_read() -> None:
    """As where a slow reader has its two megabytes and asyncio pauses."""
    script = "read go; sleep 60 & head -c 50000 /dev/zero; head -c 50000 /dev/zero >&2; exit 0"
    async with started(script) as child:
        for number in (1, 2):
            pipe = child._pipes._child.get_pipe_transport(number)
            assert isinstance(pipe, asyncio.ReadTransport)
            pipe.pause_reading()
        await child.write(b"go\n")
        await child._pipes.ended.wait()
        assert len(await child.read(1 << 20)) == 50_000
        assert await child.finished() is None
        assert len(child.said) == 2000


async def test_what_still_writes_in_the_background_is_not_listened_to() -> None:
    async with started("yes & yes >&2 & exit 0") as child:
        assert await child.finished() is None
        assert len(await child.read(1 << 30)) < 1 << 23


async def test_input_that_nobody_reads_is_a_broken_pipe() -> None:
    async with started("exec 3<&0; sleep 60 <&3 & read line; exit 0") as child:
        with pytest.raises(ConnectionError):
            await child.write(b"go\n" + bytes(1 << 20))
        with pytest.raises(ConnectionError):
            await child.write(b"more")
        await child.end_of_input()
        assert await child.finished() is None


async def test_the_end_of_input_is_not_waited_for_longer_than_the_command() -> None:
    async with started("exec 3<&0; sleep 60 <&3 & read line; exit 0") as child:
        writing = asyncio.create_task(child.write(b"go\n" + bytes(1 << 20)))
        await asyncio.sleep(0)
        await child.end_of_input()
        await asyncio.wait([writing])
        assert isinstance(writing.exception(), ConnectionError)


async def test_who_left_the_group_is_not_killed_and_who_stayed_is() -> None:
    sleeper = "sh -c 'printf %-8d $$; exec sleep 60' &"
    async with started(f"setsid {sleeper} read first; {sleeper} read second; exit 0") as child:
        left = int(await child.read(8))
        await child.write(b"first\n")
        stayed = int(await child.read(8))
        await child.write(b"second\n")
        assert await child.finished() is None
    try:
        await gone(stayed)
        assert runs(left)
    finally:
        os.kill(left, signal.SIGKILL)


# -- the bound -------------------------------------------------------------------------------------


async def test_term_comes_first(tmp_path: Path) -> None:
    done = tmp_path / "done"
    async with started(f"trap 'echo bye > {done}; exit' TERM; echo; read never") as child:
        await child.read(1)
    assert done.read_text() == "bye\n"


async def test_who_is_deaf_to_term_is_killed_half_a_second_later() -> None:
    loop = asyncio.get_running_loop()
    script = "trap '' TERM; sleep 60 & printf %-8d $!; read never; sleep 60"
    async with started(script) as child:
        pid = int(await child.read(8))
        began = loop.time()
        await child.close()
        assert 0.5 <= loop.time() - began < 3
    await gone(pid)


async def test_a_close_that_is_broken_off_has_killed_it_all_the_same() -> None:
    async with started("trap '' TERM; printf %-8d $$; while :; do sleep 1; done") as child:
        pid = int(await child.read(8))
        closing = asyncio.create_task(child.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert child._pipes.ended.is_set()  # or asyncio would complain of a loop that is gone
        assert not runs(pid)


async def test_whoever_cannot_be_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of another user, as under sudo."""

    def refused(_: int, __: int) -> None:
        raise PermissionError

    async with started("printf %-8d $$; exec sleep 60") as child:
        pid = int(await child.read(8))
        monkeypatch.setattr(os, "killpg", refused)
        await child.close()
        assert runs(pid)
        os.kill(pid, signal.SIGKILL)
        await child._pipes.ended.wait()


# -- what is said of it ----------------------------------------------------------------------------


async def test_a_message_has_its_last_words_and_what_was_withheld(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAMP", "lamp-canary")
    child = ChildProcess(["sh", "-c", "echo ${LAMP:-no lamp} >&2; exit 4"], read={"LAMP", "UNSET"})
    await child.start()
    with pytest.raises(StageError, match=r"sh ended with exit status 4: no lamp \(.*\bLAMP\b") as e:
        await child.succeeded()
    assert "UNSET" not in e.value.message
    assert "canary" not in e.value.message
    await child.close()


def test_nothing_is_said_of_nothing() -> None:
    assert last_words("", ()) == ""
    assert last_words("a\nb\n", ()) == ": b"
    assert last_words("", ("A", "B")) == " (withheld from its environment: A, B)"


async def test_a_program_is_looked_up_in_our_path_even_where_it_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "lamp"
    tool.write_text(f"#!{sys.executable}\nimport os; print(os.environ.get('PATH'))\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    child = ChildProcess(["lamp"], read={"PATH"})
    await child.start(writes=True)
    assert await child.read(100) == b"None\n"
    await child.succeeded()
    await child.close()


async def test_what_never_started_needs_no_end() -> None:
    child = ChildProcess(["nowhere"])
    with pytest.raises(EnvironmentProblem, match="cannot run 'nowhere'"):
        await child.start()
    await child.close()


def test_who_is_cancelled_while_the_input_ends_leaves_no_error_behind() -> None:
    """asyncio's own future of the pipe's end would be cancelled, and its end fail on that."""
    said: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(f"{context}"))
        async with started("sleep 60", writes=False) as child:
            child._pipes.stdin.write(bytes(1_000_000))  # type: ignore[union-attr]
            ending = asyncio.ensure_future(child.end_of_input())
            await asyncio.sleep(0)
            ending.cancel()
            await asyncio.wait([ending])

    asyncio.run(main())
    assert said == []
