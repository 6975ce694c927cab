"""What Prometheus reads: names, units, values that are those of the links and of the events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parsed

import rtpipe
from rtpipe import Event
from rtpipe.testing import run_virtual
from rtpipe_control.view.disk_space import DiskSpace
from rtpipe_control.view.metric_list import METRICS
from rtpipe_control.view.metrics import Metrics

FILE = """
version: 1
name: "a \\"hall\\""
stages:
  - tone: {realtime: true}
  - gain: 0
  - blackhole
"""


class Happened(Event):
    """Any event, with any payload."""

    def __init__(self, type: str, at: float = 1.0, **payload: Any) -> None:
        super().__init__(type=type, source="realtime", at=at)
        object.__setattr__(self, "told", payload)

    def payload(self) -> dict[str, Any]:
        return self.told  # type: ignore[attr-defined,no-any-return]


def read(*events: Event, seconds: float = 2.0) -> dict[tuple[str, tuple[str, ...]], float]:
    async def run() -> str:
        pipeline = rtpipe.loads(FILE)
        metrics = Metrics(
            pipeline,
            "0.1",
            lambda: {"rtpipe_control_readers": 3, "rtpipe_control_listeners": 2},
        )
        pipeline.bus.subscribe("*", metrics.take)
        async with pipeline:
            await asyncio.sleep(seconds)
            for event in events:
                metrics.take(event)
            body, content_type = metrics.exposed("")
            metrics.close()
        assert content_type.startswith("text/plain; version=")
        return body.decode()

    values = {}
    for family in parsed(run_virtual(run())):
        about = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        for sample in family.samples:
            labels = (each for each in (*about.labels, "le") if each in sample.labels)
            values[sample.name, tuple(sample.labels[each] for each in labels)] = sample.value
    return values


def test_links_and_stages_are_counted_as_they_count_themselves() -> None:
    values = read()
    assert values["rtpipe_build_info", ("0.1", 'a "hall"')] == 1
    assert values["rtpipe_running", ()] == 1
    assert values["rtpipe_uptime_seconds", ()] == 2
    assert values["rtpipe_stage_up", ("gain", "gain")] == 1
    assert values["rtpipe_stage_stands_in", ("gain",)] == 0
    frames = values["rtpipe_link_frames_in_total", ("gain", "blackhole")]
    assert 99 <= frames <= 101
    assert values["rtpipe_link_dropped_seconds_total", ("gain", "blackhole", "full")] == 0
    assert ("rtpipe_link_frames_in_total", ("tone", "gain")) not in values, "it runs inline"
    assert values["rtpipe_control_readers", ()] == 3
    assert values["rtpipe_control_listeners", ()] == 2


def test_turns_and_calls_are_told_in_seconds() -> None:
    turn = {"total_ms": 1170.0, "hangover_ms": 500.0, "model_ms": 670.0, "played": True}
    media = {
        "rtt_ms": 31.0,
        "jitter_ms": 2.0,
        "buffer_ms": 20.0,
        "packets_received": 700,
        "packets_lost": 3,
        "concealed_ms": 40.0,
    }
    values = read(
        Happened("realtime.connected"),
        Happened("turn.user_started", 3.0),
        Happened("turn.user_stopped", 5.5),
        Happened("latency.turn_measured", response_id="r", **turn),
        Happened("latency.turn_measured", response_id="r", **turn),
        Happened("realtime.media_measured", **media),
        Happened("turn.answer_started", 6.0),
        Happened("turn.answer_stopped", 9.0, quiet_s=0.5),
        Happened("speaker.underran", count=4),
    )
    assert values["rtpipe_call_up", ("realtime",)] == 1
    assert values["rtpipe_call_round_trip_seconds", ("realtime",)] == 0.031
    assert values["rtpipe_call_packets_lost_total", ("realtime",)] == 3
    assert values["rtpipe_turn_latency_seconds_count", ("realtime",)] == 2
    assert values["rtpipe_turn_latency_seconds_sum", ("realtime",)] == 2.34
    assert values["rtpipe_turn_latency_seconds_bucket", ("realtime", "1.0")] == 0
    assert values["rtpipe_turn_latency_seconds_bucket", ("realtime", "1.5")] == 2
    assert values["rtpipe_turn_latency_part_seconds_total", ("realtime", "hangover")] == 1.0
    assert values["rtpipe_talked_seconds_total", ("realtime", "visitor")] == 2.5
    assert values["rtpipe_talked_seconds_total", ("realtime", "desk")] == 2.5
    assert values["rtpipe_underruns_total", ("realtime",)] == 4
    values = read(Happened("realtime.connected"), Happened("realtime.disconnected", reason="bye"))
    assert values["rtpipe_call_up", ("realtime",)] == 0


def test_tokens_are_counted_whatever_the_dialect() -> None:
    values = read(
        Happened("realtime.tokens_used", response_id="r", input_tokens=39, output_tokens=127),
        Happened("realtime.tokens_used", response_id="s", input_tokens=1, output_tokens="many"),
        Happened("response.done", response={"usage": {"output_tokens": 1000}}),
    )
    assert values["rtpipe_tokens_total", ("realtime", "input")] == 40
    assert values["rtpipe_tokens_total", ("realtime", "output")] == 127


def test_whether_it_records_and_a_device_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "a.mka")
    happened = [
        Happened("recorder.started", path=path),
        Happened("device.lost", device="USB"),
        Happened("recorder.failed", path=path, error="full"),
        Happened("files.space_low", folder=str(tmp_path), missing_bytes=1),
        Happened("tool.failed", name="door"),
        Happened("pipeline.reloaded", changes=()),
        Happened("pipeline.reload_refused", reason="broken"),
    ]
    values = read(*happened)
    assert values["rtpipe_recording", ("realtime",)] == 0
    assert values["rtpipe_device_up", ("realtime",)] == 0
    assert values["rtpipe_recorder_failures_total", ("realtime",)] == 1
    assert values["rtpipe_files_space_low_total", ("realtime",)] == 1
    assert values["rtpipe_tool_failures_total", ("realtime",)] == 1
    assert values["rtpipe_reloads_total", ("refused",)] == 1
    values = read(*happened, Happened("recorder.recovered", path=path, lost_s=2.5))
    assert values["rtpipe_recording", ("realtime",)] == 1
    assert values["rtpipe_recording_lost_seconds_total", ("realtime",)] == 2.5


def test_a_disk_is_asked_aside_and_one_without_an_answer_is_not_told(tmp_path: Path) -> None:
    disk = DiskSpace(tmp_path)
    assert disk._asking is not None
    disk._asking.join()
    space = disk.last()
    assert space is not None
    assert 0 < space.free <= space.size
    nowhere = DiskSpace(tmp_path / "nowhere")
    assert nowhere._asking is not None
    nowhere._asking.join()
    assert nowhere.last() is None


def test_names_keep_the_rules_of_prometheus() -> None:
    for name, about in METRICS.items():
        assert name.startswith("rtpipe_"), name
        assert name.endswith("_total") == (about.kind == "counter"), name
        assert not {"ms", "milliseconds", "percent"} & set(name.split("_")), name
        assert about.help.endswith("."), name
        assert not {"le", "quantile", "job", "instance"} & set(about.labels), name


def test_the_loop_is_looked_at_only_once_somebody_asks() -> None:
    async def run() -> tuple[float, float]:
        metrics = Metrics(rtpipe.loads(FILE), "0.1", dict)
        assert metrics._beating is None
        metrics.exposed("")
        await asyncio.sleep(2.1)
        metrics.close()
        return metrics._late.buckets()[-1][1], metrics._late.sum

    assert run_virtual(run()) == (8.0, 0.0)
