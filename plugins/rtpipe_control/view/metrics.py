"""Metrics of a running pipeline, for Prometheus: what each is, and its values now.

Names and labels are few and known beforehand: a label holds an id of the file, or one of a handful
of words.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

    from rtpipe import Event, Pipeline

Kind = Literal["gauge", "counter", "histogram"]
Labels = tuple[str, ...]

_BUCKETS = (0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_LATE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_BEAT_S = 0.25
_MOST_SERIES = 200
"""Of a metric that events count: a plugin may publish under any name."""


@dataclass(frozen=True, slots=True)
class Described:
    """A metric: what kind it is, what it says, and by what it is told apart."""

    kind: Kind
    help: str
    labels: Labels = ()


METRICS: dict[str, Described] = {
    "rtpipe_build_info": Described("gauge", "1, with the version.", ("version", "pipeline")),
    "rtpipe_running": Described("gauge", "1 while every stage is open and nothing is stopping."),
    "rtpipe_uptime_seconds": Described("gauge", "Since the pipeline began."),
    "rtpipe_stage_up": Described("gauge", "1 while the stage works.", ("stage", "kind")),
    "rtpipe_stage_stands_in": Described(
        "gauge", "1 while a fallback is in the stage's place.", ("stage",)
    ),
    "rtpipe_stage_failures_total": Described("counter", "How often the stage raised.", ("stage",)),
    "rtpipe_stage_restarts_total": Described(
        "counter", "How often the stage was opened again.", ("stage",)
    ),
    "rtpipe_stage_lost_frames_total": Described(
        "counter", "Frames lost because the stage failed on them or was not there.", ("stage",)
    ),
    "rtpipe_link_frames_in_total": Described(
        "counter", "Frames that came into the queue.", ("from", "to")
    ),
    "rtpipe_link_frames_out_total": Described(
        "counter", "Frames that were taken from the queue.", ("from", "to")
    ),
    "rtpipe_link_dropped_seconds_total": Described(
        "counter",
        "Audio that came and went no further; reason: full, trimmed (it made a live stream "
        "late), flushed, refused (the link was closed, or full where that is a failure).",
        ("from", "to", "reason"),
    ),
    "rtpipe_link_depth_seconds": Described(
        "gauge", "Audio that waits in the queue.", ("from", "to")
    ),
    "rtpipe_link_capacity_seconds": Described(
        "gauge", "Audio that the queue holds at most.", ("from", "to")
    ),
    "rtpipe_underruns_total": Described(
        "counter", "How often a loudspeaker ran out of audio in the middle of a sound.", ("stage",)
    ),
    "rtpipe_overruns_total": Described(
        "counter", "How often audio was lost between a microphone and the pipeline.", ("stage",)
    ),
    "rtpipe_device_losses_total": Described("counter", "How often a device has gone.", ("stage",)),
    "rtpipe_call_up": Described("gauge", "1 while a call stands.", ("stage",)),
    "rtpipe_calls_total": Described("counter", "Calls that stood.", ("stage",)),
    "rtpipe_call_losses_total": Described(
        "counter", "Calls that were lost: nobody hung up.", ("stage",)
    ),
    "rtpipe_call_round_trip_seconds": Described("gauge", "To the far end and back.", ("stage",)),
    "rtpipe_call_jitter_seconds": Described(
        "gauge", "How unevenly packets come (RFC 3550).", ("stage",)
    ),
    "rtpipe_call_buffer_seconds": Described(
        "gauge", "How long packets are kept back for others that come late.", ("stage",)
    ),
    "rtpipe_call_packets_received_total": Described(
        "counter", "Packets that came, since the call began.", ("stage",)
    ),
    "rtpipe_call_packets_lost_total": Described(
        "counter", "Packets that were not there when needed, since the call began.", ("stage",)
    ),
    "rtpipe_call_concealed_seconds_total": Described(
        "counter", "Sound that was made up, since the call began.", ("stage",)
    ),
    "rtpipe_turn_latency_seconds": Described(
        "histogram", "From the visitor's last sound to the answer's first.", ("stage",)
    ),
    "rtpipe_turn_latency_part_seconds_total": Described(
        "counter", "The parts of that, summed over all turns.", ("stage", "part")
    ),
    "rtpipe_talked_seconds_total": Described(
        "counter", "How long each side has spoken; who: visitor, desk.", ("stage", "who")
    ),
    "rtpipe_tokens_total": Described(
        "counter",
        "Tokens that the server says it counted; direction: input, output.",
        ("stage", "direction"),
    ),
    "rtpipe_answers_cut_total": Described("counter", "Answers that were interrupted.", ("stage",)),
    "rtpipe_events_total": Described("counter", "Events, by their importance.", ("importance",)),
    "rtpipe_event_loop_late_seconds": Described(
        "histogram",
        "How late the event loop is, four times a second, since the first time metrics were read.",
    ),
    "rtpipe_control_readers": Described("gauge", "How many follow the events."),
    "rtpipe_control_listeners": Described("gauge", "How many listen to a stage."),
    "rtpipe_control_connections": Described("gauge", "How many are connected."),
    "rtpipe_control_missed_events_total": Described(
        "counter", "Events that went because their reader was too slow."
    ),
    "rtpipe_control_lost_audio_seconds_total": Described(
        "counter", "Sound that went because who listened was too slow; the pipeline lost nothing."
    ),
}
"""Every metric by its name."""

_COUNTED: dict[str, str] = {
    "stage.failed": "rtpipe_stage_failures_total",
    "stage.restarted": "rtpipe_stage_restarts_total",
    "device.lost": "rtpipe_device_losses_total",
    "realtime.connected": "rtpipe_calls_total",
    "turn.answer_cut": "rtpipe_answers_cut_total",
}
"""Events of a stage that are counted."""
_TOLD_COUNTS: dict[str, str] = {
    "speaker.underran": "rtpipe_underruns_total",
    "mic.overran": "rtpipe_overruns_total",
}
"""Events of a stage that tell a `count` since the start."""
_MEDIA: dict[str, tuple[str, float]] = {
    "rtpipe_call_round_trip_seconds": ("rtt_ms", 1000),
    "rtpipe_call_jitter_seconds": ("jitter_ms", 1000),
    "rtpipe_call_buffer_seconds": ("buffer_ms", 1000),
    "rtpipe_call_packets_received_total": ("packets_received", 1),
    "rtpipe_call_packets_lost_total": ("packets_lost", 1),
    "rtpipe_call_concealed_seconds_total": ("concealed_ms", 1000),
}
"""Of `realtime.media_measured`: the field, and by what it is divided."""
_REASONS = {
    "full": "dropped_ms",
    "trimmed": "trimmed_ms",
    "flushed": "flushed_ms",
    "refused": "refused_ms",
}


class Histogram:
    """Observations in buckets.

    Args:
        bounds: The upper bounds of the buckets.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        place = next((i for i, bound in enumerate(self._bounds) if value <= bound), -1)
        self._counts[place] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return how many were at most as much as each bound."""
        total, found = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Metrics:
    """A pipeline's metrics, as a collector of prometheus_client.

    Args:
        pipeline: Whose.
        version: Of rtpipe.
        audience: Returns the metrics of those who look and listen.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        version: str,
        audience: Callable[[], Mapping[str, float]],
    ) -> None:
        self._pipeline = pipeline
        self._version = version
        self._audience = audience
        self._counts: dict[str, dict[Labels, float]] = defaultdict(dict)
        self._latency: dict[str, Histogram] = {}
        self._late = Histogram(_LATE)
        self._talks_since: dict[tuple[str, str], float] = {}
        self._running = False
        self._beating: asyncio.Task[None] | None = None

    def take(self, event: Event) -> None:
        """Take note of an event."""
        source, payload = event.source, event.payload()
        self._count("rtpipe_events_total", (type(event).importance.name.lower(),))
        counted = _COUNTED.get(event.type)
        if counted is not None:
            self._count(counted, (source,))
        told = _TOLD_COUNTS.get(event.type)
        if told is not None:
            self._set(told, (source,), payload.get("count"))
        if event.type in {"pipeline.started", "pipeline.stopping", "pipeline.ended"}:
            self._running = event.type == "pipeline.started"
        elif event.type == "latency.turn_measured":
            self._measured(source, payload)
        elif event.type == "response.done":
            self._answered(source, payload)
        elif event.type.startswith("realtime."):
            self._take_call(event)
        elif event.type.startswith("turn."):
            self._take_turn(event)

    def _take_call(self, event: Event) -> None:
        payload, labels = event.payload(), (event.source,)
        if event.type == "realtime.media_measured":
            for name, (field, divisor) in _MEDIA.items():
                self._set(name, labels, payload.get(field), divisor)
        elif event.type == "realtime.connected":
            self._set("rtpipe_call_up", labels, 1)
        elif event.type == "realtime.disconnected":
            self._set("rtpipe_call_up", labels, 0)
            if type(event).importance.name == "WARNING":
                self._count("rtpipe_call_losses_total", labels)

    def _take_turn(self, event: Event) -> None:
        who = "visitor" if event.type.startswith("turn.user") else "desk"
        key = (event.source, who)
        if event.type.endswith("_started"):
            if len(self._talks_since) < _MOST_SERIES:
                self._talks_since[key] = event.at
        elif event.type.endswith("_stopped"):
            told = event.payload().get("quiet_s")
            quiet_s = told if _is_number(told) else 0.0
            talked_s = event.at - self._talks_since.pop(key, event.at) - quiet_s
            self._count("rtpipe_talked_seconds_total", key, max(0.0, talked_s))

    def exposed(self, accept: str) -> tuple[bytes, str]:
        """Return all of them as text, and its content type, for what a scraper accepts."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        if self._beating is None:
            self._beating = asyncio.create_task(self._beat(), name="control metrics")
        registry = CollectorRegistry()
        registry.register(self)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def close(self) -> None:
        """Measure no more."""
        if self._beating is not None:
            self._beating.cancel()

    def describe(self) -> list[Metric]:
        """Return nothing: what there is does not need to be collected to be registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its values."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        values = self._values()
        for name, about in METRICS.items():
            if about.kind == "histogram":
                made = HistogramMetricFamily(name, about.help, labels=about.labels)
                for labels, histogram in self._histograms(name):
                    made.add_metric(labels, histogram.buckets(), histogram.sum)
                yield made
                continue
            family = GaugeMetricFamily if about.kind == "gauge" else CounterMetricFamily
            found = family(name, about.help, labels=about.labels)
            for labels, value in values[name].items():
                found.add_metric(labels, value)
            yield found

    def _histograms(self, name: str) -> list[tuple[Labels, Histogram]]:
        if name == "rtpipe_event_loop_late_seconds":
            return [((), self._late)]
        return [((stage,), histogram) for stage, histogram in self._latency.items()]

    def _values(self) -> dict[str, dict[Labels, float]]:
        """Return the values of all that is no histogram, by name and labels."""
        pipeline = self._pipeline
        values: dict[str, dict[Labels, float]] = defaultdict(dict, self._counts)
        values["rtpipe_build_info"] = {(self._version, pipeline.spec.name): 1.0}
        values["rtpipe_running"] = {(): float(self._running)}
        values["rtpipe_uptime_seconds"] = {(): pipeline.clock.now()}
        for name, value in self._audience().items():
            values[name] = {(): value}
        for about in pipeline.describe():
            values["rtpipe_stage_stands_in"][about.id,] = float(bool(about.wanted))
        for state in pipeline.state():
            values["rtpipe_stage_up"][state.id, state.kind] = float(state.status.value == "ok")
            values["rtpipe_stage_lost_frames_total"][state.id,] = state.lost_frames
        for link in pipeline.links():
            ends, counted = (link.feeder, link.reader), link.statistics
            if counted is None:
                continue
            values["rtpipe_link_frames_in_total"][ends] = counted.frames_in
            values["rtpipe_link_frames_out_total"][ends] = counted.frames_out
            values["rtpipe_link_depth_seconds"][ends] = counted.depth_ms / 1000
            values["rtpipe_link_capacity_seconds"][ends] = (link.max_ms or 0.0) / 1000
            for reason, field in _REASONS.items():
                dropped_s = getattr(counted, field) / 1000
                values["rtpipe_link_dropped_seconds_total"][*ends, reason] = dropped_s
        return values

    def _measured(self, stage: str, payload: Mapping[str, Any]) -> None:
        """Take a turn: its wait, and the parts that it is the sum of."""
        for name, value in payload.items():
            part, is_ms, _ = name.partition("_ms")
            if not is_ms or not _is_number(value):
                continue
            if part != "total":
                self._count("rtpipe_turn_latency_part_seconds_total", (stage, part), value / 1000)
            elif stage in self._latency or len(self._latency) < _MOST_SERIES:
                self._latency.setdefault(stage, Histogram(_BUCKETS)).observe(value / 1000)

    def _answered(self, stage: str, payload: Mapping[str, Any]) -> None:
        """Take the tokens that a server counted for an answer."""
        response = payload.get("response")
        usage = response.get("usage") if isinstance(response, dict) else None
        for direction in ("input", "output"):
            tokens = usage.get(f"{direction}_tokens") if isinstance(usage, dict) else None
            if _is_number(tokens):
                self._count("rtpipe_tokens_total", (stage, direction), tokens)

    def _set(self, name: str, labels: Labels, value: Any, divisor: float = 1.0) -> None:
        counts = self._counts[name]
        if _is_number(value) and (labels in counts or len(counts) < _MOST_SERIES):
            counts[labels] = value / divisor

    def _count(self, name: str, labels: Labels, by: float = 1.0) -> None:
        self._set(name, labels, self._counts[name].get(labels, 0.0) + by)

    async def _beat(self) -> None:
        """Observe how late the event loop is."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _BEAT_S
            await asyncio.sleep(_BEAT_S)
            self._late.observe(max(0.0, loop.time() - due))


def _is_number(value: Any) -> TypeGuard[float]:
    """Return whether an event says a number there: a stranger's may say anything."""
    return isinstance(value, (int, float)) and math.isfinite(value)
