"""`rtpipe graph`: the same facts in every format, and lanes that lead where the audio goes."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtpipe.cli import cli
from rtpipe.cli.commands.show import draw_text
from rtpipe.language.loading import from_text

FILE = """
version: 1
name: hall
stages:
  - mic
    fallback: {file: {path: a.wav, realtime: true}}
  - gain: 3
  - vad
    on_error: drop
  - recorder: {path: a.mka}
    from: [vad, tone]
    label: Both <voices> & more
  - tone: {realtime: true}
  - speaker: null
    from: vad
    queue: {max_ms: 120}
    fallback: {file_sink: {path: b.wav}}
events:
  - jsonl: all.jsonl
  - {match: vad.speech_started, from: vad, do: 'gain.set(-6.5)'}
  - {match: stage.failed, where: {policy: fail}, log: error}
""".replace("  - mic\n", "  - mic:\n").replace("  - vad\n", "  - vad:\n")
SAID = ("mic", "gain", "vad", "speaker", "tone", "else file", "else file_sink", "queue 120 ms")
TOLD = ("vad.speech_started of vad", "gain.set(-6.5)", "stage.failed where policy: fail", "jsonl")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "hall.yaml").write_text(FILE)
    return tmp_path / "hall.yaml"


def drawn(path: Path, form: str) -> str:
    ran = CliRunner().invoke(cli, ["-q", "graph", str(path), "--format", form])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


@pytest.mark.parametrize("form", ["text", "mermaid", "dot", "svg"])
def test_every_format_has_all_of_it(form: str, path: Path) -> None:
    picture = drawn(path, form)
    for said in (*SAID, *TOLD):
        assert said in picture.replace("&gt;", ">"), said
    if form != "text":  # which has ids
        assert "voices" in picture


def test_json_has_values_with_types_of_their_own(path: Path) -> None:
    told = json.loads(drawn(path, "json"))
    stages = {stage["id"]: stage for stage in told["stages"]}
    assert stages["mic"]["fallbacks"] == ["file"]
    assert stages["vad"]["on_error"] == "drop"
    assert stages["recorder"]["inputs"] == ["vad", "tone"]
    [played] = [edge for edge in told["edges"] if edge["to"] == "speaker"]
    assert played["queue"] == {"max_ms": 120.0, "when_full": "drop_oldest"}
    assert told["events"][1] == {
        "match": ["vad.speech_started"],
        "from": "vad",
        "where": {},
        "do": ["gain.set(-6.5)"],
        "subscriber": None,
        "fallbacks": [],
    }
    assert told["events"][2]["where"] == {"policy": "fail"}


def test_svg_is_well_formed_and_nothing_stands_on_anything_else(path: Path) -> None:
    root = ET.fromstring(drawn(path, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        [float(rect.attrib[name]) for name in ("x", "y", "width", "height")]
        for rect in root.iter(f"{space}rect")
        if rect.attrib.get("class", "").startswith("box")
    ]
    assert len(boxes) == 6
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for n, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for x2, y2, w2, h2 in boxes[:n]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    texts = [text.text for text in root.iter(f"{space}text")]
    assert "Both <voices> & more" in texts
    assert "prefers-color-scheme: dark" in drawn(path, "svg")


@pytest.mark.parametrize(
    ("stages", "lanes"),
    [
        ("[tone, gain, blackhole]", ["●", "●", "●"]),
        ("[tone, blackhole, {blackhole: null, from: tone}]", ["●", "├●", "●"]),
        (
            "[tone, {tone: null, id: b}, {mix: null, from: [tone, b]}, blackhole]",
            ["●", "│●", "└┴●", "  ●"],
        ),
        (
            "[tone, gain, {blackhole: null, from: tone}, {blackhole: null, from: gain}]",
            ["●", "├●", "●│", " ●"],
        ),
        (
            (
                "[tone, {gain: 1, id: a}, {gain: 2, id: b, from: tone}, "
                "{mix: null, from: [a, b]}, {blackhole: null, from: tone}, "
                "{blackhole: null, from: mix}]"
            ),
            ["●", "├●", "├┼●", "│└┴●", "●  │", "   ●"],
        ),
    ],
)
def test_lanes_lead_where_the_audio_goes(stages: str, lanes: list[str]) -> None:
    loaded = from_text(f"version: 1\nstages: {stages}\n", env={})
    found = (re.match(r"[●│├└┴┼─ ]*", line) for line in draw_text(loaded).splitlines())
    drawn = [row[0].rstrip() for row in found if row is not None]
    assert [row for row in drawn if "●" in row] == lanes
