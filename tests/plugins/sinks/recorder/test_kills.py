"""A recording survives what kills the process: it opens anywhere and lacks a second at most."""

import json
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from helpers.media_files import read_tracks

RATE = 48_000
SEED = 20_261_122

PROGRAM = """
import asyncio, sys
from pathlib import Path
import numpy as np
from rtpipe import audio
from rtpipe.testing import Bench
from rtpipe_plugins.sinks.recorder.stage import Recorder

ORDERS = {24: "split", 49: "pause", 59: "resume"}

async def main():
    options = {"path": Path(sys.argv[1]), "overwrite": "overwrite" in sys.argv}
    bench = Bench(Recorder, options, live=True)
    bench.context.inputs = ("visitor", "desk")
    noise = np.random.default_rng(0)
    async with bench.opened():
        for n in range(1000):
            await bench.context.clock.sleep_until(n * 0.02)
            for inlet in range(2 if sys.argv[2] == "both" or n < 50 else 1):
                data = noise.integers(-3000, 3000, 960, dtype=np.int16)
                frame = audio.from_pcm(data, sample_rate=48_000, pts=n * 960)
                audio.meta(frame).captured_at = n * 0.02
                await bench.stage.consume_at(frame, inlet)
            if "orders" in sys.argv and n in ORDERS:
                getattr(bench.stage, ORDERS[n])()
            print((n + 1) * 0.02, flush=True)

asyncio.run(main())
"""


def killed(path: Path, voices: str, after_s: float, *more: str) -> float:
    """Record until a moment counted from the first audio; return how much was recorded (s)."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), voices, *more],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        given = [process.stdout.readline()]
        timer = threading.Timer(after_s, process.send_signal, [signal.SIGKILL])
        timer.start()
        given += process.stdout.readlines()
        timer.join()
    assert process.returncode == -signal.SIGKILL
    return float(given[-1])


def check(path: Path, given_s: float, tracks: int) -> float:
    """Assert that the file opens in FFmpeg's tools and PyAV; return what it lacks (s)."""
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)],
        capture_output=True,
        check=True,
    )
    assert len(json.loads(probe.stdout)["streams"]) == tracks, path
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == tracks
    lost = max(given_s - len(track) / RATE for track in read_tracks(path))
    events = path.with_suffix(".events.jsonl").read_text().splitlines()
    assert json.loads(events[0])["type"] == "recorder.started"
    return lost


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_less_than_a_second_each(
    tmp_path: Path,
) -> None:
    """Half of them while one voice has fallen silent, which must not hold the other back long."""
    dice = random.Random(SEED)
    kinds = [("mka", "both", 2), ("mka", "one", 2), ("wav", "one", 1), ("opus", "both", 1)]
    moments = [dice.uniform(0.9, 3.0) for _ in range(20)]

    def lost_by(number: int) -> float:
        ending, voices, tracks = kinds[number % 4]
        path = tmp_path / f"{number}.{ending}"
        return check(path, killed(path, voices, moments[number]), tracks)

    with ThreadPoolExecutor(10) as at_once:
        lost = list(at_once.map(lost_by, range(20)))
    assert len(lost) == 20
    worst = max(lost)
    print(f"20 kills: {worst:.3f} s lost at most")  # noqa: T201 - the figure, by `pytest -rP`
    assert worst < 1.0, lost


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mka", "wav", "opus"])
def test_kills_while_overwriting_leave_the_old_file_and_each_of_the_new_ones(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_text("old")
    given = [killed(path, "both", after_s, "overwrite") for after_s in (1.3, 0.9)]
    assert path.read_text() == "old"
    tracks = 2 if ending == "mka" else 1
    for name, given_s in zip(("a.part-2", "a.part"), given, strict=True):
        assert check(tmp_path / f"{name}.{ending}", given_s, tracks) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mka", "wav", "opus", "flac"])
def test_a_kill_after_a_split_and_a_pause_leaves_both_files_readable(
    tmp_path: Path, ending: str
) -> None:
    """The first is whole; the second has what came before and after the pause."""
    path = tmp_path / f"a.{ending}"
    given_s = killed(path, "both", 1.8, "orders")
    tracks = 2 if ending == "mka" else 1
    assert abs(check(path, 0.5, tracks)) < 0.04
    second = path.with_stem("a-2")
    lost = max(given_s - 0.5 - 0.2 - len(track) / RATE for track in read_tracks(second))
    print(f"{ending}: {lost:.3f} s lost")  # noqa: T201 - the figure, by `pytest -rP`
    assert -0.04 < lost < 0.5 + 0.02
    told = second.with_suffix(".events.jsonl").read_text().splitlines()
    types = [json.loads(line)["type"] for line in told]
    assert types[-2:] == ["recorder.paused", "recorder.resumed"]
