"""rtsp against a real server: every codec, open and guarded, in time; and what befalls a server."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from helpers.command import rtpipe
from rtpipe import AudioFrame, Event, audio
from rtpipe.testing import Bench, joined
from rtpipe_plugins.sources.rtsp.stage import Rtsp

pytestmark = pytest.mark.slow

RATE = 48_000
BEGINNING_S = 2.0
"""After so long a stream is live: what a server sends at the start is from before."""
TOLERANCE_S = 0.04
MOST_WAITING = 50
"""Frames: what had arrived before a stream broke off is still played."""


def ticks(frames: list[AudioFrame]) -> list[float]:
    """Return when (s of pts) the 3 kHz ticks of the camera begin, one for each second."""
    data = joined(frames)[:, 0].astype(np.float64)
    block = RATE // 200
    data = data[: len(data) // block * block].reshape(-1, block)
    strength = np.abs(data @ np.exp(-2j * np.pi * 3000 / RATE * np.arange(block)))
    loud = strength > strength.max() / 4
    starts = np.flatnonzero(loud & ~np.roll(loud, 1))
    first_s = (frames[0].pts or 0) / RATE
    return [first_s + n * block / RATE for n in starts if n > 0 and not loud[n - 10 : n].any()]


def sounding(frames: list[AudioFrame]) -> list[bool]:
    return [audio.level_dbfs(frame) > -50 for frame in frames]


def pitch(frames: list[AudioFrame]) -> float:
    data = joined(frames)[: RATE // 2, 0]
    return float(np.abs(np.fft.rfft(data * np.hanning(len(data)))).argmax() * 2)


@asynccontextmanager
async def seen(url: str, **options: Any) -> AsyncIterator[Bench]:
    """Receive until the block ends."""
    bench = Bench(Rtsp, {"url": url, **options})
    async with bench.opened():
        playing = asyncio.create_task(bench.play((), seconds=60))
        try:
            yield bench
        finally:
            playing.cancel()
            await asyncio.wait([playing])
    assert playing.cancelled(), "it ended by itself"


async def until(true: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():  # noqa: ASYNC110 - what is waited for is a list that grows
            await asyncio.sleep(0.02)


async def received(url: str, seconds: float, **options: Any) -> list[AudioFrame]:
    async with seen(url, **options) as bench:
        await until(lambda: len(bench.run.frames) >= seconds * 50, seconds + 20)
        assert not told(bench)
    return bench.run.frames


@pytest.mark.alone
async def test_every_codec_and_every_guard_in_time(camera: Any) -> None:
    cases = [(path, "", "tcp") for path in ("aac", "opus", "pcmu", "pcma", "av", "two")]
    cases += [(path, guard, "tcp") for guard in ("basic", "digest") for path in ("pcma", "av")]
    cases += [("opus", "digest", "udp")]
    runs = await asyncio.gather(
        *(
            received(
                camera.url(path, guard=guard, user="cam:s3cret" if guard else ""),
                BEGINNING_S + 14.2,  # ten seconds, wherever this machine had no other business
                rtsp_transport=transport,
            )
            for path, guard, transport in cases
        )
    )
    wrong = []
    for name, run in zip(cases, runs, strict=True):
        live = run[round(BEGINNING_S * 50) :]
        at = ticks(live)
        sound_s = max(sum(sounding(live[first : first + 500])) / 50 for first in (0, 100, 200))
        late = [tick - at[0] - n for n, tick in enumerate(at)]
        if abs(sound_s - 10) > TOLERANCE_S or len(at) < 13 or late[-1] > TOLERANCE_S:
            wrong.append((name, sound_s, np.round(late, 3)))
    assert not wrong


def awaited(bench: Bench) -> Callable[[int], bool]:
    """Return whether so many frames of sound have come since now."""
    since = len(bench.run.frames)
    return lambda count: sum(sounding(bench.run.frames[since:])) >= count


def pts(bench: Bench) -> list[int]:
    return [frame.pts or 0 for frame in bench.run.frames]


def told(bench: Bench) -> list[Event]:
    """What was told, but for how the backlog of a busy machine was left out."""
    return [event for event in bench.run.events if event.type != "stream.trimmed"]


def types(bench: Bench) -> list[str]:
    return [event.type for event in told(bench)]


async def test_a_server_killed_and_started_again(camera: Any, caplog: Any) -> None:
    url = camera.url("opus", guard="digest", user="cam:s3cret")
    quick = {"reconnect": {"initial_s": 0.2, "max_s": 0.4}}
    with caplog.at_level(logging.DEBUG):
        async with seen(url, **quick) as filled, seen(url, **quick, fill="none") as holed:
            at_first = awaited(filled), awaited(holed)
            await until(lambda: all(heard(50) for heard in at_first))
            camera.kill()
            await until(lambda: "stream.disconnected" in types(filled))
            away = len(filled.run.frames) + MOST_WAITING
            await until(lambda: types(filled).count("stream.disconnected") >= 2)
            await until(lambda: len(filled.run.frames) >= away + 25)
            await asyncio.to_thread(camera.start)
            await until(lambda: "stream.connected" in types(filled))
            again = awaited(filled), awaited(holed)
            await until(lambda: all(heard(100) for heard in again))
    assert pts(filled) == [n * 960 for n in range(len(filled.run.frames))]
    assert not any(sounding(filled.run.frames[away : away + 25]))
    assert sum(sounding(filled.run.frames[-50:])) > 40
    assert types(filled)[-1] == "stream.connected"
    assert "Connection refused" in str(told(filled)[1])
    assert (
        "s3cret" not in f"{filled.run.events} {filled.stage!r} {filled.stage.options} {caplog.text}"
    )
    steps = np.diff(pts(holed))
    assert steps.min() == 960
    assert steps.max() > 25 * 960, "silence was made up"


async def test_a_server_that_hangs_and_goes_on(camera: Any) -> None:
    """Longer than `timeout_s` it is another connection; shorter, nothing is late afterwards."""
    options = {"timeout_s": 1.0, "reconnect": {"initial_s": 0.2, "max_s": 0.4}}
    async with seen(camera.url("aac"), **options) as bench:
        await until(lambda: len(ticks_since(bench, BEGINNING_S)) >= 2)
        before = ticks_since(bench, BEGINNING_S)[-1]
        camera.signal(signal.SIGSTOP)
        await asyncio.sleep(0.4)
        camera.signal(signal.SIGCONT)
        resumed_s = len(bench.run.frames) / 50
        await until(lambda: len(ticks_since(bench, resumed_s + 2.5)) >= 2)
        after = ticks_since(bench, resumed_s + 2.5)[-1]
        assert not told(bench)
        assert round((after - before + 0.5) % 1 - 0.5, 6) <= TOLERANCE_S

        camera.signal(signal.SIGSTOP)
        await until(lambda: len(told(bench)) >= 2)
        camera.signal(signal.SIGCONT)
        await until(lambda: "stream.connected" in types(bench))
        again = awaited(bench)
        await until(lambda: again(100))
    assert "nothing moved for 1 s" in str(told(bench)[0])


def ticks_since(bench: Bench, start_s: float) -> list[float]:
    frames = bench.run.frames[round(start_s * 50) :]
    return ticks(frames) if frames else []


async def test_one_of_several_streams_is_chosen(camera: Any) -> None:
    urls = [camera.url("two"), camera.url("two"), camera.url("av")]
    runs = await asyncio.gather(
        *(received(url, 2.6, stream=n) for url, n in zip(urls, (0, 1, 0), strict=True))
    )
    assert [pitch(run[-30:]) for run in runs] == pytest.approx([500, 700, 500], abs=5)


async def test_a_camera_with_pictures_begins_as_soon_as_one_without(camera: Any) -> None:
    """FFmpeg would study them for two seconds."""
    for path in ("aac", "av"):
        await received(camera.url(path), 0.1)  # the camera itself begins slowly the first time
    began = time.monotonic()
    await received(camera.url("av"), 0.1)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("guard", ["basic", "digest"])
async def test_user_and_password_as_options(camera: Any, guard: str) -> None:
    await received(camera.url("aac", guard=guard), 0.5, user="cam", password="s3cret")


PIPELINE = """
version: 1
stages:
  - rtsp: {{url: "{url}", timeout_s: 3, stream: {stream}}}
  - blackhole
"""


def test_what_cannot_be_received_ends_with_one_sentence_and_no_password(
    camera: Any, tmp_path: Any
) -> None:
    shown = f"rtsp://***@127.0.0.1:{camera.ports[2]}"
    cases = [
        ("opus", "cam:wr0ng", 0, 77, f"{shown}/opus refuses the user or the password"),
        ("nothing", "cam:s3cret", 0, 69, f"cannot reach {shown}/nothing: "),
        ("video", "cam:s3cret", 0, 78, f"{shown}/video has no audio: it holds video"),
        ("two", "cam:s3cret", 2, 78, f"{shown}/two has no audio stream 2"),
    ]
    for path, user, stream, code, message in cases:
        url = camera.url(path, guard="digest", user=user)
        (tmp_path / "p.yaml").write_text(PIPELINE.format(url=url, stream=stream))
        ended = rtpipe("--debug", "run", "p.yaml", cwd=tmp_path)
        assert (ended.code, message in ended.err) == (code, True), ended.err
        assert user.split(":")[1] not in ended.out + ended.err
    assert "`stream` can be 0: opus stereo 48000 Hz; 1: pcm_alaw mono 8000 Hz" in ended.err


def test_looking_at_a_pipeline_shows_no_password(tmp_path: Any) -> None:
    text = PIPELINE.format(url="rtsp://cam:s3cret@10.0.0.7/live", stream=0)
    (tmp_path / "p.yaml").write_text(text)
    for words in (["validate"], ["print"], ["print", "--json"], ["graph"], ["graph", "--json"]):
        ended = rtpipe(*words, "p.yaml", cwd=tmp_path)
        assert ended.code == 0
        assert "s3cret" not in ended.out + ended.err, words
    (tmp_path / "p.yaml").write_text(text.replace("timeout_s", "timeout"))
    ended = rtpipe("validate", "p.yaml", cwd=tmp_path)
    assert ended.code == 78
    assert "s3cret" not in ended.out + ended.err
