"""What `run --latency` says of turns, whoever measured them."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event
from rtpipe.cli.latency import LatencyReport


@dataclass(frozen=True, kw_only=True)
class Turn(Event):
    type: str = "latency.turn_measured"
    total_ms: float
    ears_ms: float
    mouth_ms: float
    note: str = "no part of it"


def test_a_turn_is_one_line_and_all_of_them_a_table() -> None:
    report = LatencyReport()
    lines = [
        report.line(Turn(at=number, total_ms=30.0 * number, ears_ms=10.0 * number, mouth_ms=20.0))
        for number in range(1, 22)
    ]
    assert lines[1].text == "60 ms = ears 20 + mouth 20"
    assert [row.split() for row in report.table().splitlines()] == [
        ["latency", "of", "21", "turns", "p50", "p95"],
        ["ears", "110", "ms", "200", "ms"],
        ["mouth", "20", "ms", "20", "ms"],
        ["total", "330", "ms", "600", "ms"],
    ]


def test_one_turn_is_no_turns() -> None:
    report = LatencyReport()
    report.line(Turn(at=1, total_ms=30.0, ears_ms=10.0, mouth_ms=20.0))
    assert report.table().split()[:4] == ["latency", "of", "1", "turn"]


def test_no_turn_is_no_table() -> None:
    assert LatencyReport().table() == ""
