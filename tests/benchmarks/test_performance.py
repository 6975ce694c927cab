"""The page on performance says what was measured; the command runs, whatever peer fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command import ROOT

PAGE = ROOT / "docs" / "explanation" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results" / "performance.json"


def benchmarks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    """The title of each section."""
    code = """if True:
        import json, pathlib
        from benchmarks.comparison.sections import sections
        from benchmarks.comparison.subject import Setting, Sizes
        made = sections(Setting(pathlib.Path(), pathlib.Path(), Sizes()))
        print(json.dumps({section.name: section.title for section in made}))
    """
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def test_the_page_and_its_plots_are_of_the_figures() -> None:
    ran = benchmarks("--page", "--check")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_page_that_is_not_of_the_figures_is_noticed(tmp_path: Path) -> None:
    results = Path(shutil.copy(RESULTS, tmp_path / "figures.json"))
    shutil.copytree(PAGE.with_suffix(""), tmp_path / "performance")
    shutil.copy(PAGE, tmp_path / "figures.md")
    assert benchmarks("--page", "--check", "--out", results).returncode == 0
    figures = json.loads(RESULTS.read_text("utf-8"))
    figures["sections"]["frames"]["subjects"]["rtpipe"]["6 stages µs"][0] *= 3
    results.write_text(json.dumps(figures), "utf-8")
    ran = benchmarks("--page", "--check", "--out", results)
    assert ran.returncode == 1
    assert "figures.md is stale" in ran.stdout
    assert "frames.svg is stale" in ran.stdout


def test_the_page_has_every_section_with_its_plot(sections: dict[str, str]) -> None:
    text = PAGE.read_text("utf-8")
    assert len(sections) >= 8
    for name, title in sections.items():
        assert f"\n## {title}\n" in text
        assert f"](performance/{name}.svg)" in text
        assert f"`python -m benchmarks --only {name}`" in text


@pytest.mark.slow
def test_the_short_form_needs_no_peer_and_prints_how_far_the_floor_is(tmp_path: Path) -> None:
    only = ("--only", "frames", "--only", "batch", "--only", "lengths")
    ran = benchmarks("--short", "--scale", "0.02", *only, "--peers", tmp_path / "no-peers")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in ("frames", "batch", "lengths"):
        assert f"round 1 of 1: {name}, " in ran.stdout
    (floor,) = (line for line in ran.stdout.splitlines() if "bare loop (the floor)" in line)
    assert floor.endswith(" \N{MULTIPLICATION SIGN} rtpipe")
    assert "do the same work are the same." in ran.stdout
    assert "Pipecat" not in ran.stdout
    assert "FAILED" not in ran.stdout


@pytest.mark.slow
def test_a_peer_that_fails_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    results = tmp_path / "figures.json"
    asked = ("--only", "memory", "--scale", "0.02", "--rounds", "2", "--out", results)
    ran = benchmarks(*asked, "--peers", tmp_path / "no-peers")
    assert "python -m benchmarks --install" in ran.stdout
    memory = json.loads(results.read_text("utf-8"))["sections"]["memory"]
    assert set(memory["failed"]) == {
        "Pipecat bare",
        "Pipecat defaults",
        "GStreamer direct (C)",
        "GStreamer queued (C)",
    }
    assert len(memory["subjects"]["rtpipe"]["kB"]) == 2
    page = (tmp_path / "figures.md").read_text("utf-8")
    assert "| Pipecat bare |  | not measured |" in page
