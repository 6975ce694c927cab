"""Metrics of a running pipeline, for Prometheus: what each is, and its values now.

Names and labels are few and known beforehand: a label holds an id of the file, or one of a handful
of words.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from rtpipe_control.view.disk_space import DiskSpace
from rtpipe_control.view.metric_list import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

    from rtpipe import Event, Pipeline
    from rtpipe_control.view.metric_list import Labels

_BUCKETS = (0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_LATE = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_BEAT_S = 0.25
_MOST_DISKS = 20
_MOST_SERIES = 200
"""Of a metric that events count: a plugin may publish under any name."""

_COUNTED: dict[str, str] = {
    "stage.failed": "rtpipe_stage_failures_total",
    "stage.restarted": "rtpipe_stage_restarts_total",
    "device.lost": "rtpipe_device_losses_total",
    "realtime.connected": "rtpipe_calls_total",
    "turn.answer_cut": "rtpipe_answers_cut_total",
    "realtime.response_failed": "rtpipe_answers_failed_total",
    "tool.failed": "rtpipe_tool_failures_total",
    "recorder.failed": "rtpipe_recorder_failures_total",
    "files.space_low": "rtpipe_files_space_low_total",
}
"""Events of a stage that are counted."""
_TOLD_COUNTS: dict[str, str] = {
    "speaker.underran": "rtpipe_underruns_total",
    "mic.overran": "rtpipe_overruns_total",
}
"""Events of a stage that tell a `count` since the start."""
_SET: dict[str, tuple[str, int]] = {
    "recorder.started": ("rtpipe_recording", 1),
    "recorder.resumed": ("rtpipe_recording", 1),
    "recorder.recovered": ("rtpipe_recording", 1),
    "recorder.paused": ("rtpipe_recording", 0),
    "recorder.failed": ("rtpipe_recording", 0),
    "recorder.stopped": ("rtpipe_recording", 0),
    "device.lost": ("rtpipe_device_up", 0),
    "device.returned": ("rtpipe_device_up", 1),
}
"""Events of a stage that say how it is from now on."""
_RELOADS = {"pipeline.reloaded": "reloaded", "pipeline.reload_refused": "refused"}
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
        self._disks: dict[str, DiskSpace] = {}
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
        if event.type in _SET:
            name, value = _SET[event.type]
            self._set(name, (source,), value)
        if event.type in _RELOADS:
            self._count("rtpipe_reloads_total", (_RELOADS[event.type],))
        if event.type.startswith("recorder."):
            self._take_recorder(event)
        elif event.type in {"pipeline.started", "pipeline.stopping", "pipeline.ended"}:
            self._running = event.type == "pipeline.started"
        elif event.type == "latency.turn_measured":
            self._measured(source, payload)
        elif event.type.startswith("realtime."):
            self._take_call(event)
        elif event.type.startswith("turn."):
            self._take_turn(event)

    def _take_call(self, event: Event) -> None:
        payload, labels = event.payload(), (event.source,)
        if event.type == "realtime.media_measured":
            for name, (field, divisor) in _MEDIA.items():
                self._set(name, labels, payload.get(field), divisor)
        elif event.type == "realtime.tokens_used":
            for direction in ("input", "output"):
                tokens = payload.get(f"{direction}_tokens")
                if _is_number(tokens):
                    self._count("rtpipe_tokens_total", (*labels, direction), tokens)
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

    def _take_recorder(self, event: Event) -> None:
        payload = event.payload()
        if event.type == "recorder.recovered" and _is_number(payload.get("lost_s")):
            name = "rtpipe_recording_lost_seconds_total"
            self._count(name, (event.source,), payload["lost_s"])
        path, known = payload.get("path"), self._disks.get(event.source)
        if not isinstance(path, str) or (known is None and len(self._disks) >= _MOST_DISKS):
            return
        if known is None or known.folder != Path(path).parent:
            self._disks[event.source] = DiskSpace(Path(path).parent)

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
        for stage, disk in self._disks.items():
            space = disk.last()
            if space is not None:
                values["rtpipe_disk_free_bytes"][stage,] = space.free
                values["rtpipe_disk_size_bytes"][stage,] = space.size
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
