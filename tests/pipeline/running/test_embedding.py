"""A pipeline in a program: loaded, run and listened to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import rtpipe
from helpers.actors import BATCH, Actors, Ramp, diary, heard, loads
from rtpipe import (
    ConfigError,
    Event,
    Finding,
    FrameSource,
    InputPath,
    Options,
    PluginError,
    Source,
    StageError,
)
from rtpipe.examination import missing_file
from rtpipe.testing import run_pipeline, run_virtual

FIVE = "version: 1\nstages: [ramp: 5, collect]\n"
ENDLESS = "version: 1\nstages:\n  - ramp: {frames: 100000, live: true}\n  - plus: 1\n  - collect\n"


@pytest.fixture(autouse=True)
def fresh() -> None:
    heard.clear()
    diary.clear()
    Ramp.opened = 0


class Kinds:
    """A plugin of `kinds`."""

    def __init__(self, *kinds: type) -> None:
        self.kinds = kinds

    @rtpipe.hookimpl
    def rtpipe_stages(self) -> tuple[type, ...]:
        return self.kinds


# -- loading and running ---------------------------------------------------------------------------


def test_a_program_without_a_loop_loads_a_text_and_runs_it() -> None:
    rtpipe.run(loads(FIVE))
    assert sum(map(len, heard["collect"])) == 5 * BATCH


def test_several_run_beside_one_another_and_one_that_fails_ends_no_other() -> None:
    failing = "version: 1\nstages: [ramp: {unplugged_at: 1}, collect]\n"
    live = "version: 1\nstages: [ramp: {frames: 20, live: true}, collect]\n"
    with pytest.raises(StageError, match="the cable is out"):
        rtpipe.run(loads(live), loads(failing), loads(live))
    lengths = [len(block) for block in heard["collect"]]
    assert sum(lengths) >= 2 * 20 * 960, "both others ran to their end"


def test_to_load_runs_no_code_of_a_folder_that_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTPIPE_TRUST", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "one.yaml"
    path.write_text("version: 1\nstages: [ramp: 5, collect]\n")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "actors.py").write_text(
        "import rtpipe\nfrom helpers.actors import Collect, Ramp, heard\n"
        "heard['collect'] = ['ran']\n"
        "@rtpipe.hookimpl\ndef rtpipe_stages():\n    return [Ramp, Collect]\n"
    )
    with pytest.raises(ConfigError) as refused:
        rtpipe.load(path)
    assert {each.code for each in refused.value.diagnostics} == {"E404"}
    with pytest.raises(ConfigError):
        rtpipe.loads(path.read_text(), path=path)
    (warned,) = rtpipe.loads(
        "{version: 1, stages: [ramp: 5, collect]}", path=path, plugins=[Actors()]
    ).warnings
    assert warned.code == "E404"
    assert not heard["collect"]
    rtpipe.run(rtpipe.load(path, trust=True))
    assert len(heard["collect"]) == 6  # what importing it left, and five frames
    assert rtpipe.loads(path.read_text(), path=path, trust=True)
    assert not (tmp_path / "state").exists()  # a program decides for itself alone


def test_a_program_loads_a_file_with_an_overlay_and_settings(tmp_path: Path) -> None:
    base, site = tmp_path / "base.yaml", tmp_path / "site.yaml"
    base.write_text(FIVE)
    site.write_text("stages: {ramp: {ramp: {frames: 2}}}\n")
    for files, frames in ((base, 5), (str(base), 5), ([base, str(site)], 2)):
        heard.clear()
        rtpipe.run(rtpipe.load(files, plugins=[Actors()]))
        assert sum(map(len, heard["collect"])) == frames * BATCH
    changed = rtpipe.load(base, plugins=[Actors()], sets=["ramp.frames=3"])
    assert changed.spec.stages[0].options.frames == 3  # type: ignore[attr-defined]


def test_loading_raises_every_mistake_and_keeps_the_warnings() -> None:
    with pytest.raises(ConfigError) as caught:
        loads("version: 1\nstages: [rampp: 5, colect]\n")
    assert [each.code for each in caught.value.diagnostics] == ["E101", "E101"]

    class Phone(Source[Options]):
        kind = "phone"
        publishes = ("phone.rang",)

    odd = loads(
        "version: 1\nstages: [ramp: 5, collect]\nevents: [{match: phone.*, do: collect.note}]",
        Kinds(Phone),
    )
    assert [each.code for each in odd.warnings] == ["E702"]
    assert not loads(FIVE).warnings


def test_a_plugin_that_a_program_hands_over_must_be_usable() -> None:
    class Broken:
        @rtpipe.hookimpl
        def rtpipe_stages(self) -> list[Any]:
            raise OSError("libx.so is missing")

    with pytest.raises(PluginError, match=r"`Broken` cannot be used: OSError: libx.so is missing"):
        loads(FIVE, Broken())
    with pytest.raises(PluginError, match="already has the kind `ramp`"):
        loads(FIVE, FrameSource("ramp"))


def test_stages_examine_themselves_as_closely_as_the_program_says(tmp_path: Path) -> None:
    class TapeOptions(Options):
        main = "path"
        path: InputPath

    class Tape(Source[TapeOptions]):
        kind = "tape"

        @classmethod
        def examine(cls, options: TapeOptions) -> Iterable[Finding]:
            return missing_file(options.path, "path")

    text = f"version: 1\nstages: [tape: {tmp_path}/no.wav, collect]\n"
    assert not loads(text, Kinds(Tape)).warnings
    with pytest.raises(ConfigError) as caught:
        loads(text, Kinds(Tape), examine="file")
    assert [each.code for each in caught.value.diagnostics] == ["E601"]


def test_plugins_extend_the_pipeline_that_a_program_runs() -> None:
    told = []

    class Watcher:
        @rtpipe.hookimpl
        @asynccontextmanager
        async def rtpipe_running(self, pipeline: rtpipe.Pipeline) -> AsyncIterator[None]:
            told.append(pipeline.spec.name)
            yield
            told.append("over")

    pipeline = loads(FIVE, Watcher())
    rtpipe.run(pipeline)
    assert told == [pipeline.spec.name, "over"]


def test_a_pipeline_runs_once() -> None:
    pipeline = loads(FIVE)
    rtpipe.run(pipeline)
    with pytest.raises(StageError, match="runs once"):
        rtpipe.run(pipeline)


def test_a_whole_file_runs_in_virtual_time() -> None:
    text = "version: 1\nstages: [ramp: {frames: 6000, live: true}, collect]\n"
    events = run_pipeline(loads(text), "pipeline.*")
    assert [event.type for event in events] == ["pipeline.started", "pipeline.ended"]
    assert events[-1].at == pytest.approx(120, abs=0.1)


# -- beside a program ------------------------------------------------------------------------------


def test_a_block_finds_the_pipeline_running_and_leaves_it_drained_and_closed() -> None:
    async def program() -> None:
        async with loads(ENDLESS) as pipeline:
            assert diary == ["open collect", "open ramp"]
            assert {each.status for each in pipeline.state()} == {"ok"}
            await asyncio.sleep(1)
        assert {each.status for each in pipeline.state()} == {"stopped"}

    run_virtual(program())
    assert diary[2:] == ["close ramp", "close collect"]
    assert sum(map(len, heard["collect"])) == pytest.approx(48_000, abs=2 * 960)


def test_what_ended_the_pipeline_is_raised_at_the_end_of_the_block() -> None:
    told: list[str] = []

    async def program(text: str) -> None:
        async with loads(text) as pipeline:
            told.extend([event.source async for event in pipeline.events("stage.failed")])

    with pytest.raises(StageError, match="collect: OSError: disk full"):
        run_virtual(program("version: 1\nstages: [ramp: 5, collect: {fail_at: 2}]\n"))
    assert told == ["collect"]
    assert "close collect" in diary


def test_what_the_block_raises_goes_before_what_the_pipeline_raises() -> None:
    async def program() -> None:
        text = "version: 1\nstages: [ramp: {frames: 9, live: true}, collect: {fail_at: 2}]\n"
        async with loads(text):
            await asyncio.sleep(1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_virtual(program())
    assert "close collect" in diary


def test_a_pipeline_that_cannot_open_does_not_enter_the_block() -> None:
    async def program() -> None:
        async with loads("version: 1\nstages: [ramp: 5, collect: {absent: true}]\n"):
            raise AssertionError("entered")

    with pytest.raises(StageError, match="no sound card"):
        run_virtual(program())


def test_a_program_that_is_cancelled_while_it_opens_leaves_nothing_open() -> None:
    async def program() -> None:
        async with asyncio.timeout(1):
            async with loads("version: 1\nstages: [ramp: 5, collect: {opens_in_s: 9}]\n"):
                raise AssertionError("entered")

    with pytest.raises(TimeoutError):
        run_virtual(program())
    assert diary == ["close collect"]


def test_a_stage_is_reached_by_its_id() -> None:
    async def program() -> None:
        pipeline = loads(ENDLESS)
        with pytest.raises(StageError, match="collect is starting"):
            pipeline["collect"]
        async with pipeline:
            pipeline["collect"].note("from the program")
            with pytest.raises(KeyError):
                pipeline["colect"]

    run_virtual(program())
    assert "from the program" in diary


# -- events ----------------------------------------------------------------------------------------


def test_events_are_iterated_until_the_pipeline_has_ended() -> None:
    async def program() -> list[str]:
        pipeline = loads(FIVE)
        events = pipeline.events("pipeline.*")
        await pipeline.run()
        late = [event async for event in pipeline.events()]
        assert late == []
        return [event.type async for event in events]

    assert run_virtual(program()) == ["pipeline.started", "pipeline.ended"]


def test_who_reads_events_slowly_loses_the_oldest_and_delays_nobody() -> None:
    async def program() -> list[Event]:
        pipeline = loads(FIVE)
        slow = pipeline.events("noise")
        for index in range(1500):
            pipeline.bus.publish(Event(type="noise", at=index))
        await pipeline.run()
        return [event async for event in slow]

    kept = run_virtual(program())
    assert [kept[0].at, kept[-1].at, len(kept)] == [500, 1499, 1000]


def test_an_iteration_that_is_left_early_is_unsubscribed() -> None:
    async def program() -> None:
        pipeline = loads(ENDLESS)
        before = len(pipeline.bus._handlers)
        async with pipeline:
            events = pipeline.events("stage.*")
            pipeline.bus.publish(Event(type="stage.x"))
            assert (await anext(events)).type == "stage.x"
            await events.aclose()
            assert len(pipeline.bus._handlers) == before

    run_virtual(program())
