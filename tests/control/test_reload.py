"""Reload by the surface: the plan is answered, or what is wrong with the file."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import rtpipe
from rtpipe import Event, StageError
from rtpipe.cli import cli
from rtpipe_control import surface
from rtpipe_control.client import Client
from rtpipe_control.options import Wanted

FILE = """
version: 1
name: desk
stages:
  - tone: {level_dbfs: -20, realtime: true}
  - gain: 3
  - blackhole
"""
CHANGE = "gain: gain_db 3 → 6, in place: a fade of 20 ms"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "desk.yaml"
    path.write_text(FILE)
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield path


def save(file: Path, gain: str) -> None:
    file.write_text(FILE.replace("gain: 3", gain))


def lines(answer: Any) -> list[str]:
    return [change["line"] for change in answer["changes"]]


async def ask(body: Any) -> Any:
    return await asyncio.to_thread(Client.of("desk").reload, body)


async def command(*words: str) -> tuple[int, str]:
    ran = await asyncio.to_thread(CliRunner().invoke, cli, ["reload", *words])
    return ran.exit_code, ran.output


async def test_the_plan_is_answered_and_carried_out(file: Path) -> None:
    pipeline = rtpipe.load(file)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        assert (await ask({}))["changes"] == []
        save(file, "gain: 6")
        for _ in range(2):
            planned = await ask({"dry_run": True})
            assert (lines(planned), planned["done"]) == ([CHANGE], "nothing")
        assert planned["keeps_call"] is True
        assert await command("desk", "--dry-run") == (0, f"{CHANGE}\n")
        assert pipeline["gain"].options.gain_db == 3
        assert await command("desk") == (0, f"{CHANGE}\n")
        assert pipeline["gain"].options.gain_db == 6
        assert await command("desk") == (0, "nothing differs\n")


async def test_what_was_added_and_taken_away_is_in_the_next_snapshot(file: Path) -> None:
    pipeline = rtpipe.load(file)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        for written, ids in (
            ("gain: 3\n  - level", ["tone", "gain", "level", "blackhole"]),
            ("vad", ["tone", "vad", "blackhole"]),
        ):
            await asyncio.to_thread(Client.of("desk").snapshot)
            save(file, written)
            await ask({})
            shown = await asyncio.to_thread(Client.of("desk").snapshot)
            assert [stage["id"] for stage in shown["stages"]] == ids


async def test_a_file_that_is_wrong_answers_its_diagnostics_and_changes_nothing(file: Path) -> None:
    pipeline = rtpipe.load(file)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        graph = pipeline.graph
        save(file, "gian: 6")
        for body in ({"dry_run": True}, {}, {"when": "pause"}):
            answer = await ask(body)
            (found,) = answer["diagnostics"]
            assert (found["code"], found["line"]) == ("E101", 6)
            assert answer["done"] == "nothing"
        code, said = await command("desk")
        assert code == 78
        assert "desk.yaml:6:5: no stage is called `gian` (did you mean `gain`?)" in said
        code, said = await command("desk", "--json")
        assert (code, json.loads(said)["diagnostics"][0]["code"]) == (78, "E101")
        assert pipeline.graph is graph


async def test_it_waits_for_a_pause(file: Path) -> None:
    pipeline = rtpipe.load(file)
    reloaded = asyncio.Event()
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        pipeline.bus.subscribe("pipeline.reloaded", lambda _: reloaded.set())
        pipeline.bus.publish(Event(type="turn.answer_started", source="realtime"))
        save(file, "gain: 6")
        answer = await ask({"when": "pause"})
        assert (lines(answer), answer["done"]) == ([CHANGE], "waits for a pause")
        assert not reloaded.is_set()
        assert pipeline["gain"].options.gain_db == 3
        pipeline.bus.publish(Event(type="turn.answer_stopped", source="realtime"))
        await asyncio.wait_for(reloaded.wait(), 30)
        assert pipeline["gain"].options.gain_db == 6


@pytest.mark.parametrize("body", [[], {"when": "later"}, {"dry_run": 1}, {"file": "x"}])
async def test_what_is_no_such_request_is_refused(file: Path, body: Any) -> None:
    pipeline = rtpipe.load(file)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        with pytest.raises(StageError):
            await ask(body)


async def test_a_text_cannot_be_read_again() -> None:
    pipeline = rtpipe.loads(FILE)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        with pytest.raises(StageError, match="from no files that could be read again"):
            await ask({})
