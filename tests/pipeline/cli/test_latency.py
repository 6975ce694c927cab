"""What `run --latency` says of turns, whoever measured them."""

from __future__ import annotations

from dataclasses import dataclass

import click

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
    assert lines[1].who == "0.06 s"
    assert lines[1].text == "▪ ears 20, mouth 20"
    assert [row.split() for row in report.table().splitlines()] == [
        ["latency", "of", "21", "turns", "p50", "p95"],
        ["ears", "110", "ms", "200", "ms"],
        ["mouth", "20", "ms", "20", "ms"],
        ["total", "330", "ms", "600", "ms"],
    ]


@dataclass(frozen=True, kw_only=True)
class Call(Event):
    type: str = "latency.turn_measured"
    total_ms: float
    queue_ms: float = 0.0
    hangover_ms: float
    network_ms: float
    model_ms: float
    jitter_ms: float


KIOSK = {"hangover_ms": 500.0, "network_ms": 122.0, "model_ms": 541.0, "jitter_ms": 10.0}


def test_a_wait_is_drawn_in_its_parts_and_stands_in_80_columns() -> None:
    line = LatencyReport().line(Call(at=6.9, total_ms=1173.0, **KIOSK))
    shown = click.unstyle(line.styled(80))
    assert shown == (
        "00:06.9    1.17 s  ╱╱╱╱╱▒██████ hangover 500, network 122, model 541, jitter 10"
    )


def test_only_the_models_part_has_its_colour_and_what_nobody_works_for_is_dim() -> None:
    line = LatencyReport().line(Call(at=6.9, total_ms=1173.0, **KIOSK))
    shown = line.styled(80)
    assert click.style("██████", fg="green") in shown
    assert click.style("╱╱╱╱╱", dim=True) + click.style("▒", dim=True) in shown


def test_all_turns_have_one_scale_and_one_too_long_for_it_says_its_own() -> None:
    report = LatencyReport()
    slow = report.line(Call(at=1, total_ms=3173.0, **KIOSK | {"model_ms": 2541.0})).text
    assert slow.startswith("╱" * 5 + "▒" + "█" * 26 + " hangover 500, ")
    slower = report.line(Call(at=1, total_ms=6000.0, **KIOSK | {"model_ms": 5368.0})).text
    assert slower.startswith("╱╱▒" + "█" * 27 + " hangover 500, ")
    assert slower.endswith(", jitter 10, one cell 200")


def test_a_bar_is_as_long_as_the_wait_whatever_its_parts_are_rounded_to() -> None:
    parts = {"hangover_ms": 240.0, "network_ms": 40.0, "model_ms": 140.0, "jitter_ms": 40.0}
    bar = LatencyReport().line(Call(at=1, total_ms=460.0, **parts)).text.split()[0]
    assert bar == "╱╱▒█▪"


def test_one_turn_is_no_turns() -> None:
    report = LatencyReport()
    report.line(Turn(at=1, total_ms=30.0, ears_ms=10.0, mouth_ms=20.0))
    assert report.table().split()[:4] == ["latency", "of", "1", "turn"]


def test_no_turn_is_no_table() -> None:
    assert LatencyReport().table() == ""
