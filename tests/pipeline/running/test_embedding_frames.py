"""A pipeline in a program: fed and read by it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import rtpipe
from helpers.actors import loads
from rtpipe import (
    AudioFormat,
    ConfigError,
    FormatError,
    FrameSink,
    FrameSource,
    LinkClosed,
    StageError,
    audio,
)
from rtpipe.testing import run_virtual


def frame(index: int, size: int = 960) -> rtpipe.AudioFrame:
    data = np.full(size, index, np.int16)
    return audio.from_pcm(data, sample_rate=48_000, pts=index * size)


def wave(*sinks: str) -> str:
    return "version: 1\nstages: [frame_source, {}]\n".format(", ".join(sinks or ["frame_sink"]))


def test_a_program_feeds_a_pipeline_and_reads_it() -> None:
    async def program() -> list[rtpipe.AudioFrame]:
        source, sink = FrameSource(), FrameSink()
        text = "version: 1\nstages: [frame_source, plus: 1, frame_sink]\n"
        async with loads(text, source, sink):
            feeding = asyncio.create_task(feed(source, 50))
            got = [each async for each in sink]
            await feeding
        return got

    got = run_virtual(program())
    assert [int(audio.pcm(each)[0, 0]) for each in got] == list(range(1, 51))


async def feed(source: FrameSource, count: int) -> None:
    for index in range(count):
        await source.send(frame(index))
    source.close()


def test_who_feeds_waits_for_who_reads() -> None:
    async def program() -> None:
        source, sink = FrameSource(max_ms=100), FrameSink(max_ms=100)
        async with loads(wave(), source, sink):
            feeding = asyncio.create_task(feed(source, 1000))
            await asyncio.sleep(60)
            # 100 ms here, 100 ms there, the link's second between, a frame in each hand.
            assert 60 <= source.link.statistics.frames_in <= 65
            assert not source.push(frame(1000))
            assert len([each async for each in sink]) == 1000
            await feeding

    run_virtual(program())


def test_a_live_source_is_never_waited_for() -> None:
    async def program() -> int:
        source, sink = FrameSource(live=True), FrameSink()
        async with loads(wave(), source, sink) as pipeline:
            for index in range(500):
                assert source.push(frame(index))
                await asyncio.sleep(0.02)
            source.close()
            assert pipeline.plan.frame_ms == 20
            return len([each async for each in sink])

    assert run_virtual(program()) < 20


def test_a_program_that_feeds_no_more_learns_that_the_pipeline_has_ended() -> None:
    async def program() -> None:
        source = FrameSource()
        async with loads(wave("collect: {fail_at: 3}"), source) as pipeline:
            with pytest.raises(LinkClosed):
                await feed(source, 100_000)
            assert {each.status for each in pipeline.state()} <= {"failed", "stopped"}

    with pytest.raises(StageError, match="disk full"):
        run_virtual(program())


def test_leaving_the_block_ends_both_ends() -> None:
    async def program() -> None:
        source, sink = FrameSource(), FrameSink()
        async with loads(wave(), source, sink):
            feeding = asyncio.create_task(feed(source, 100_000))
            await asyncio.sleep(1)
        with pytest.raises(LinkClosed):
            await feeding
        assert [each async for each in sink]  # what was there is still read, and then it ends

    run_virtual(program())


def test_a_frame_that_breaks_the_rules_is_refused_where_it_is_given() -> None:
    async def program() -> None:
        source, sink = FrameSource(), FrameSink()
        async with loads(wave(), source, sink):
            await source.send(frame(3))
            with pytest.raises(FormatError, match="overlaps"):
                await source.send(frame(2))
            with pytest.raises(FormatError, match="overlaps"):
                source.push(frame(3))
            assert source.push(frame(4))
            source.close()
            assert len([each async for each in sink]) == 2

    run_virtual(program())


def test_frames_come_in_the_format_and_length_that_a_sink_asks_for() -> None:
    async def program() -> list[tuple[AudioFormat, int]]:
        source = FrameSource("visitor")
        sink = FrameSink("model", accepts=AudioFormat(16_000, "mono", "s16"), frame_ms=30)
        async with loads("version: 1\nstages: [visitor, model]\n", source, sink):
            feeding = asyncio.create_task(feed(source, 30))
            got = [(AudioFormat.of(each), each.samples) async for each in sink]
            await feeding
        return got

    got = run_virtual(program())
    assert set(got) == {(AudioFormat(16_000, "mono", "s16"), 480)}
    assert len(got) == 20


def test_a_flush_reaches_what_the_program_has_not_read() -> None:
    async def program() -> int:
        source, sink = FrameSource(), FrameSink()
        async with loads(wave(), source, sink) as pipeline:
            for index in range(20):
                await source.send(frame(index))
            await asyncio.sleep(1)
            pipeline.flush("frame_source")
            source.close()
            return len([each async for each in sink])

    assert run_virtual(program()) <= 10


def test_one_handle_is_one_place_in_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        loads(
            "version: 1\nstages: [frame_source, {frame_source: , id: b}, collect]\n", FrameSource()
        )
    assert "E114" in [each.code for each in caught.value.diagnostics]
