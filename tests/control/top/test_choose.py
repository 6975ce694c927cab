"""The list of several pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rtpipe_control import sockets
from rtpipe_control.client import Client
from rtpipe_control.commands.top import choose


def _run(name: str, tone: str = "", *alerts: str) -> dict[str, Any]:
    told = [{"text": text} for text in alerts]
    condition = {"text": "Ready.", "why": "", "tone": tone, "alerts": told}
    return {"run": name, "now": 70.0, "condition": condition}


RUNS = {
    "a": _run("a"),
    "b": _run("b", "", "Nothing is recorded."),
    "c": _run("c", "fault", 'The microphone "USB" is gone.'),
    "d": _run("d"),
}


def test_those_in_trouble_come_first_and_the_worst_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "found", lambda: [Path(f"{name}.sock") for name in RUNS])
    monkeypatch.setattr(Client, "snapshot", lambda self: RUNS[self._path.stem])
    found = choose.runs()
    assert [run["run"] for run in found] == ["c", "b", "a", "d"]
    lines = choose.listed(found, "b", 80, 24, ascii=False)
    written = ["".join(span.text for span in line) for line in lines]
    assert written[0] == " 4 pipelines, 2 in trouble"
    assert written[2].startswith(' ✕ c  The microphone "USB" is gone.')
    assert written[2].endswith("up 00:01:10 ")
    assert lines[3][1].style == "reverse"


@given(
    st.integers(1, 120),
    st.integers(1, 40),
    st.lists(st.sampled_from([_run("日本" * 30, "", "\x1b[2J"), _run("x")]), max_size=60),
)
def test_no_line_of_it_is_wider_than_the_terminal(
    width: int, height: int, runs: list[dict[str, Any]]
) -> None:
    lines = choose.listed(runs, "x", width, height, ascii=False)
    assert len(lines) <= height
    for line in lines:
        written = "".join(span.text for span in line)
        assert cell_len(written) <= width
        assert "\x1b" not in written
