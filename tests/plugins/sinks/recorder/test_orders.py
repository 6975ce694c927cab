"""Start, stop, pause, resume, split: each sample is where it was ordered, and nowhere else."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.media_files import read_tracks, read_wav
from plugins.sinks.recorder.recording import RATE, heard
from rtpipe import Event, StageError
from rtpipe.testing import Bench, run_virtual
from rtpipe_plugins.sinks.recorder.stage import Recorder

ZERO_S = 1.0
FRAME_S = 0.02
TICK_S = 0.05

Order = tuple[float, str]


def counting(seconds: float, sign: int = 1) -> NDArray[np.int16]:
    """Return samples that tell their place; none is 0, as what is filled in is."""
    return (sign * (np.arange(round(seconds * RATE)) % 30_000 + 1000)).astype(np.int16)


@dataclass
class Wanted:
    """What a person who reads the guide expects of a recorder.

    Attributes:
        files: For each file its stretches of the timeline, in samples.
        refused: Orders that cannot be followed.
    """

    files: list[list[tuple[int, int]]] = field(default_factory=list)
    refused: int = 0

    def __init__(self, orders: list[Order], end: int, *, autostart: bool = True) -> None:
        self.files, self.refused = [], 0
        state = "recording" if autostart else "stopped"
        since, stretches = 0, list[tuple[int, int]]()
        for at_s, order in [*orders, (None, "stop")]:
            at = end if at_s is None else round((at_s - ZERO_S) * RATE)
            if at < FRAME_S * RATE:  # before the first audio has come
                at = 0
            if state == "recording" and at > since and order in {"pause", "stop", "split"}:
                stretches = [*stretches, (since, min(at, end))]
            if order in {"stop", "split"} and state != "stopped" and stretches:
                self.files, stretches = [*self.files, stretches], []
            match order, state:
                case ("start", "paused") | ("pause" | "resume" | "split", "stopped"):
                    self.refused += 1
                case ("start", "stopped") | ("resume", "paused") | ("split", "recording"):
                    state, since = "recording", at
                case "pause", "recording":
                    state = "paused"
                case "stop", _:
                    state = "stopped"

    def seconds(self, file: int, at_s: float) -> float | None:
        """Return where in a file what happened at a pipeline second is told; None: nowhere."""
        at, before = (at_s - ZERO_S) * RATE, 0
        for begin, end in self.files[file]:
            if begin <= at < end:
                return (before + at - begin) / RATE
            before += end - begin
        return None


def record(
    path: Path,
    orders: list[Order],
    *,
    seconds: float = 4.0,
    late_s: float = 0.0,
    told_after_s: float = FRAME_S,
    each: Callable[[Bench, str], object] = lambda bench, order: getattr(bench.stage, order)(),
    **options: Any,
) -> Bench:
    """Record two counting voices, the second told of later, in the pipeline's time."""
    frames = [
        (ZERO_S + n * FRAME_S + told_after_s + inlet * late_s, 1, inlet, frame)
        for inlet, sign in enumerate((1, -1))
        for n, frame in enumerate(heard(counting(seconds, sign), at_s=ZERO_S))
    ]
    ticks = [(ZERO_S + n * TICK_S + 0.01234, 0, 0, None) for n in range(1, int(seconds / TICK_S))]
    asked = [(at_s, 2, 0, order) for at_s, order in orders]

    async def run() -> Bench:
        bench = Bench(Recorder, {"path": path, **options}, live=True)
        bench.context.inputs = ("visitor", "desk")
        async with bench.opened():
            for at_s, _, inlet, what in sorted([*frames, *ticks, *asked], key=lambda due: due[:3]):
                await bench.context.clock.sleep_until(at_s)
                if isinstance(what, str):
                    each(bench, what)
                elif what is None:
                    bench.bus.publish(Event(type="x.tick", source="x", at=at_s))
                else:
                    await bench.stage.consume_at(what, inlet)
            await bench.stage.drain()
        return bench

    return run_virtual(run())


def files(path: Path) -> list[Path]:
    """Return the files of a recording in the order of their names."""
    count = len(list(path.parent.glob(f"*{path.suffix}")))
    return [path, *(path.with_stem(f"{path.stem}-{n}") for n in range(2, count + 1))][:count]


def samples(path: Path) -> list[NDArray[np.int16]]:
    """Return both voices."""
    if path.suffix == ".wav":
        return [*read_wav(path)[0].T]
    return [np.rint(track * 32768).astype(np.int16) for track in read_tracks(path)]


def check(path: Path, wanted: Wanted, seconds: float) -> None:
    """Assert that each file holds its stretches to the sample, and its events in its time."""
    found = files(path)
    assert len(found) == len(wanted.files)
    for number, file in enumerate(found):
        for sign, track in zip((1, -1), samples(file), strict=True):
            whole = counting(seconds, sign)
            expected = np.concatenate([whole[begin:end] for begin, end in wanted.files[number]])
            assert np.array_equal(track, expected), (number, sign, len(track), len(expected))
        lines = map(json.loads, file.with_suffix(".events.jsonl").read_text().splitlines())
        told = [line["at"] for line in lines if line["type"] == "x.tick"]
        ticks = [ZERO_S + n * TICK_S + 0.01234 for n in range(1, int(seconds / TICK_S))]
        places = [wanted.seconds(number, tick) for tick in ticks]
        assert told == pytest.approx([at for at in places if at is not None], abs=1e-3)


ORDERS = st.lists(
    st.tuples(
        st.integers(0, 230_000).map(lambda n: n / RATE),
        st.sampled_from(["start", "stop", "pause", "resume", "split"]),
    ),
    max_size=9,
).map(lambda orders: sorted(orders, key=lambda order: order[0]))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    orders=ORDERS,
    late_s=st.sampled_from([0.0, 0.013, 0.3]),
    autostart=st.booleans(),
    ending=st.sampled_from(["wav", "mka"]),
)
@example(
    orders=[(1.5, "split"), (2.0, "pause"), (2.5, "resume")],
    late_s=0.3,
    autostart=True,
    ending="mka",
)
@example(
    orders=[(1.5, "start"), (2.0, "stop"), (2.1, "start")],
    late_s=0.3,
    autostart=False,
    ending="wav",
)
def test_each_sample_is_in_the_file_it_was_ordered_into_and_in_no_other(
    orders: list[Order],
    late_s: float,
    *,
    autostart: bool,
    ending: str,
) -> None:
    refused = 0

    def ask(bench: Bench, order: str) -> None:
        nonlocal refused
        futile = bench.stage.why_not(order)
        before = bench.stage.gauge()
        with suppress(StageError):
            getattr(bench.stage, order)()
            refused -= 1
        refused += 1
        if futile:
            assert bench.stage.gauge() == before
        elif order != "split":
            assert bench.stage.gauge() != before

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{ending}"
        options = {"layout": "stereo"} if ending == "wav" else {"codec": "flac"}
        record(path, orders, late_s=late_s, each=ask, autostart=autostart, **options)
        wanted = Wanted(orders, 4 * RATE, autostart=autostart)
        assert refused == wanted.refused
        check(path, wanted, 4.0)


@settings(max_examples=30, deadline=None)
@given(orders=ORDERS)
def test_frames_that_are_told_of_when_they_begin_are_cut_alike_on_all_tracks(
    orders: list[Order],
) -> None:
    """As a file's are: what has been handed over already is not taken back, a frame at most."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        record(path, orders, told_after_s=0.0, each=attempt, layout="stereo")
        wanted = Wanted(orders, 4 * RATE)
        lengths = [sum(end - begin for begin, end in file) for file in wanted.files]
        found = [samples(file) for file in files(path)]
        for ours, theirs in found:
            assert np.array_equal(ours, -theirs)
        whole = np.concatenate([ours for ours, _ in found]) if found else counting(0.0)
        assert len(whole) == pytest.approx(sum(lengths), abs=len(orders) * FRAME_S * RATE)
        jumps = (np.diff(whole.astype(int)) - 1) % 30_000
        cuts = sum(order in {"start", "resume"} for _, order in orders)
        assert np.count_nonzero(jumps) <= cuts
        if not cuts and found:
            assert np.array_equal(whole, counting(4.0)[: len(whole)])


def attempt(bench: Bench, order: str) -> None:
    with suppress(StageError):
        getattr(bench.stage, order)()
