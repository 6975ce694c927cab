"""A case: a small pipeline with a few faults, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from behaviour.seeded_faults import media
from behaviour.seeded_faults.strangers import Ledger
from rtpipe import hookimpl
from rtpipe.running.runtime import Pipeline

Item: TypeAlias = dict[str, Any]
LATEST_S = 60.0
"""Pipeline seconds after which any case is stopped."""


@dataclass
class Case:
    """A pipeline and what happens to it.

    Attributes:
        rng: What is drawn comes from here.
        folder: Its own; outputs go to `out`.
        source: The first stage.
        transforms: Those after it.
        sinks: Several read the last of them side by side.
        events: Routes.
        faults: What is wrong, by name.
        moments: What happens when (pipeline seconds).
        real: Whether it needs real time: children, sockets.
        expected: How many samples the source gives where nothing stops it; None: not known.
        whole_ms: How long its file was before it was damaged, where the file itself says so.
        before: Called before it is loaded; returns what is called when it has ended.
        display: What stands for stdout and stderr: see `displays`.
        largest: Bytes that a file of this process may have; None: any.
    """

    rng: random.Random
    folder: Path
    source: Item = field(default_factory=dict)
    transforms: list[Item] = field(default_factory=list)
    sinks: list[Item] = field(default_factory=list)
    events: list[Item] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    moments: list[tuple[float, Callable[[Pipeline], object]]] = field(default_factory=list)
    real: bool = False
    expected: int | None = None
    whole_ms: float | None = None
    before: list[Callable[[], Callable[[], object]]] = field(default_factory=list)
    display: str = ""
    largest: int | None = None
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def live(self) -> bool:
        """Whether the source keeps time."""
        (options,) = [value for key, value in self.source.items() if key in SOURCES]
        return bool(options.get("realtime") or options.get("live"))

    @property
    def short_s(self) -> float:
        """How long what is drawn may play (s): real time passes for real."""
        return 0.2 if self.real else self.rng.choice((0.1, 0.4, 1.0, 3.0))

    def document(self) -> Item:
        """Return the pipeline file."""
        stages = [self.source, *self.transforms]
        last = stages[-1].get("id")
        sinks = [{**sink, "from": [last]} for sink in self.sinks]
        return {"version": 1, "stages": [*stages, *sinks], "events": self.events}

    @hookimpl
    def rtpipe_stages(self) -> list[type]:
        """Return the strangers."""
        return self.ledger.rtpipe_stages()


SOURCES = ("tone", "file", "strange_source", "process")


def draw(seed: int, folder: Path, faults: dict[str, Callable[[Case], None]]) -> Case:
    """Return the case of `seed`, with one to three of `faults`, by name."""
    rng = random.Random(seed)
    case = Case(rng, folder)
    names = rng.sample(sorted(faults), rng.choice((1, 2, 2, 3)))
    names = _compatible(names)
    case.real = any(name.startswith(_REAL) for name in names)
    case.faults = names
    _draw_pipeline(case)
    for name in sorted(names, key=_order):
        faults[name](case)
    return case


def _compatible(names: list[str]) -> list[str]:
    """Leave out what would replace the source of another fault."""
    kept, sources = [], 0
    for name in names:
        is_source = name.startswith(_REPLACING)
        sources += is_source
        if not is_source or sources == 1:
            kept.append(name)
    if any(name.startswith(_REAL) for name in kept):  # and hangs pass in virtual time only
        kept = [name for name in kept if name.startswith(_REAL) or "hang" not in name]
    return kept


_REAL = ("child", "receiver", "subscriber: feed", "subscriber: event", "subscriber: thread")
"""Virtual time stands still while anybody is busy: with a child or a socket, or with itself."""


_REPLACING = ("media", "stamps", "odd", "source", "child source")


def _order(name: str) -> tuple[bool, str]:
    return not name.startswith(_REPLACING), name


def _draw_pipeline(case: Case) -> None:
    rng = case.rng
    case.source = _source(case)
    for number in range(rng.choice((0, 1, 1, 2, 3))):
        case.transforms.append(_transform(case, number))
    for number in range(rng.choice((1, 1, 2))):
        case.sinks.append(sink(case, number))
    if rng.random() < 0.3:
        log = {"jsonl": str(case.folder / "out" / "events.jsonl")}
        case.events.append({"match": "*", **log})
    if rng.random() < 0.2:
        moment = rng.choice((0.0, 0.01, 0.1, 0.5))
        case.moments.append((moment, lambda pipeline: pipeline.stop("a moment came")))
        case.expected = None
    if rng.random() < 0.2 and case.transforms:
        name = case.transforms[-1]["id"]
        case.moments.append((0.1, lambda pipeline: pipeline.flush(name)))


def _source(case: Case) -> Item:
    rng, seconds = case.rng, case.short_s
    live = case.real or rng.random() < 0.5
    case.expected = round(seconds * media.RATE)
    kind = rng.choice(("tone", "strange_source", "file"))
    if kind == "tone":
        wave = rng.choice(("noise", "sine", "speech_like"))
        tone = {"waveform": wave, "duration_s": seconds, "realtime": live}
        return {"id": "src", "tone": tone}
    if kind == "strange_source":
        return {"id": "src", kind: {"frames": round(seconds * 50), "live": live}}
    ending = rng.choice(media.EXACT)
    data = media.encoded(ending, round(seconds * 1000))
    return {"id": "src", "file": {"path": put(case, f"in.{ending}", data), "realtime": live}}


def put(case: Case, name: str, data: bytes) -> str:
    """Write a file into the case's folder; returns its path."""
    path = case.folder / name
    path.write_bytes(data)
    return str(path)


def _transform(case: Case, number: int) -> Item:
    rng = case.rng
    made: Item = rng.choice(
        (
            {"gain": {"gain_db": -6}},
            {"level": 100},
            {"strange_transform": {}},
            {"strange_thread": {}},
            {"vad": {}},
            {"resample": 16_000},
        )
    )
    made = {"id": f"t{number}", **made}
    if rng.random() < 0.3:
        made["queue"] = queue(case)
    return made


def queue(case: Case) -> Item:
    """Return a queue that may be full."""
    rng = case.rng
    full = rng.choice(("block", "drop_oldest", "drop_newest", "fail"))
    return {"max_ms": rng.choice((20, 40, 100, 1000)), "when_full": full}


def sink(case: Case, number: int) -> Item:
    """Return something that takes the audio."""
    rng, name = case.rng, f"s{number}"
    folder = case.folder / "out" / name
    ending = rng.choice(("wav", "wav", "wav", "flac", "mka", "ogg", "m4a"))
    made: Item = rng.choice(
        (
            {"file_sink": {"path": str(folder / f"a.{ending}")}},
            {"recorder": {"path": str(folder / f"a.{ending}")}},
            {"recorder": {"path": str(folder / f"a.{ending}"), "segment_s": 1}},
            {"strange_sink": {}},
            {"blackhole": {}},
        )
    )
    made = {"id": name, **made}
    if rng.random() < 0.2:
        made["queue"] = queue(case)
    return made


def policy(case: Case) -> Any:
    """Return what `on_error` may say."""
    restart = {"restart": {"tries": 2, "backoff_s": [0.01, 0.02]}}
    return case.rng.choice(("fail", "fail", "drop", restart))
