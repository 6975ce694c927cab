"""What rtpipe means to reach, and whether it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.comparison.curves import AIORTC
from benchmarks.comparison.figures import ratio, spread
from benchmarks.comparison.sections import (
    BY_QUEUE,
    DEFAULTS,
    DIRECT,
    LIBRARIES,
    PIPECAT,
    QUEUED,
    RTPIPE,
    TICKER,
)

if TYPE_CHECKING:
    from benchmarks.comparison.figures import Spread

_CPU, _STAGES, _P50, _P99 = "CPU s", "6 stages µs", "p50 µs", "p99 µs"
_FIFTY = "50 pipelines ms"


@dataclass(frozen=True)
class Goal:
    """One promise.

    Attributes:
        text: What is promised; `{}` stands for the bound.
        section: Where it was measured.
        over: Subject and figure.
        under: What it is divided by; None: nothing.
        at_least: The bound, where more is better.
        at_most: The bound, where less is better.
        profile: Of what the profile shows the floor.
    """

    text: str
    section: str
    over: tuple[str, str]
    under: tuple[str, str] | None = None
    at_least: float | None = None
    at_most: float | None = None
    profile: str = ""

    def measured(self, sections: dict[str, Any]) -> Spread | None:
        """Return the figure or the ratio; None where it was not measured."""
        section = sections.get(self.section)
        if section is None:
            return None
        if self.under is None:
            return spread(section, *self.over)
        return ratio(section, self.over, self.under)

    def met(self, found: Spread) -> bool:
        """Return whether the median keeps it."""
        if self.at_least is not None:
            return found.median >= self.at_least
        return self.at_most is None or found.median <= self.at_most

    def bound(self) -> str:
        """Return what is promised."""
        sign, bound = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {bound:g}{' ×' if self.under else ''}"


def _less(section: str, peer: str, figure: str, times: float, what: str, profile: str) -> Goal:
    """Return the goal that a peer's figure is so many times rtpipe's."""
    return Goal(what, section, (peer, figure), (RTPIPE, figure), times, profile=profile)


GOALS = (
    _less("frames", PIPECAT, _STAGES, 10, "CPU of six stages: Pipecat bare", "frames"),
    _less("frames", DEFAULTS, _STAGES, 20, "CPU of six stages: Pipecat defaults", "frames"),
    Goal(
        "CPU of six stages, of that of GStreamer direct",
        "frames",
        (RTPIPE, _STAGES),
        (DIRECT, _STAGES),
        at_most=1.2,
        profile="frames",
    ),
    _less("frames", QUEUED, _STAGES, 6, "CPU of six stages: GStreamer queued", "frames"),
    Goal(
        "the same, fed by an `asyncio.Queue`",
        "frames",
        (BY_QUEUE, _STAGES),
        (DIRECT, _STAGES),
        at_most=1.2,
        profile="frames",
    ),
    Goal(
        "a further stage that hands its frame on (µs)",
        "frames",
        (RTPIPE, "a stage µs"),
        at_most=0.1,
        profile="frames",
    ),
    _less("latency", PIPECAT, _P50, 4, "latency, median: Pipecat bare", "frames"),
    _less("latency", PIPECAT, _P99, 4, "latency, 99th percentile: Pipecat bare", "frames"),
    _less("latency", DIRECT, _P50, 1, "latency, median: GStreamer direct", "frames"),
    _less("latency", DIRECT, _P99, 1, "latency, 99th percentile: GStreamer direct", "frames"),
    _less("density", PIPECAT, _FIFTY, 3, "50 pipelines on own timers: Pipecat bare", "frames"),
    Goal(
        "50 pipelines with one ticker: Pipecat bare",
        "density",
        (PIPECAT, _FIFTY),
        (TICKER, _FIFTY),
        35,
        profile="density",
    ),
    Goal(
        "50 pipelines with one ticker: GStreamer direct",
        "density",
        (DIRECT, _FIFTY),
        (TICKER, _FIFTY),
        7,
        profile="density",
    ),
    Goal(
        "CPU of a call, of that of aiortc's",
        "calls",
        (RTPIPE, "1 calls ms"),
        (AIORTC, "1 calls ms"),
        at_most=0.5,
    ),
    Goal(
        "ten calls, of that of aiortc's",
        "calls",
        (RTPIPE, "10 calls ms"),
        (AIORTC, "10 calls ms"),
        at_most=0.5,
    ),
    Goal("memory of a pipeline (kB)", "memory", (RTPIPE, "kB"), at_most=30, profile="memory"),
    Goal(
        "10 minutes of a file, of the numpy loop at the same block, a second",
        "batch",
        (RTPIPE, _CPU),
        ("numpy loop, 1 s (the floor)", _CPU),
        at_most=1.3,
        profile="batch",
    ),
    _less("batch", PIPECAT, _CPU, 7, "10 minutes of a file: Pipecat bare", "batch"),
    _less("batch", "FFmpeg agate", _CPU, 4, "10 minutes of a file: FFmpeg agate", "batch"),
    _less(
        "batch",
        "GStreamer webrtcdsp",
        _CPU,
        4,
        "10 minutes of a file: GStreamer webrtcdsp",
        "batch",
    ),
    Goal("10 minutes of a file: memory grows by (MB)", "batch", (RTPIPE, "grown MB"), at_most=16),
    Goal(
        "`rtpipe --help` (CPU ms)",
        "start",
        ("`rtpipe --help`", "CPU ms"),
        at_most=150,
        profile="start",
    ),
    Goal(
        "`rtpipe validate kiosk.yaml` (CPU ms)",
        "start",
        ("`rtpipe validate kiosk.yaml`", "CPU ms"),
        at_most=350,
        profile="start",
    ),
    Goal(
        "`rtpipe graph kiosk.yaml` (CPU ms)",
        "start",
        ("`rtpipe graph kiosk.yaml`", "CPU ms"),
        at_most=350,
        profile="start",
    ),
    Goal(
        "the kiosk's first RTP packet, of importing its libraries",
        "start",
        ("first RTP packet", "wall ms"),
        (LIBRARIES, "wall ms"),
        at_most=1.3,
        profile="start",
    ),
)
"""`_less` says: so many times less than the peer takes."""
