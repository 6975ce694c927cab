"""Every row of the page on compatibility can be run again, with the version that it names."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version

import pytest

from helpers.documentation import ROOT

PAGE = ROOT / "docs" / "reference" / "compatibility.md"
PEERS = ROOT / "tests" / "peers"


@dataclass(frozen=True)
class Row:
    """Who was tried, in which version, and what tries them again."""

    name: str
    version: str
    command: str


def rows() -> list[Row]:
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("| ") and "`pytest" in line:
            name, version, _, _, command = (cell.strip() for cell in line.strip("|").split(" | "))
            found.append(Row(name, version, command.strip("` |")))
    return found


def pinned() -> dict[str, str]:
    """Return the version of every package that the judges install, and of `openai`."""
    lines = [
        line
        for file in sorted((PEERS / "judges").glob("*.txt"))
        for line in file.read_text().splitlines()
    ]
    python = dict(line.split("==") for line in lines)
    npm = json.loads((PEERS / "package.json").read_text())["dependencies"]
    return {**python, **npm, "openai": version("openai")}


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_the_version_is_the_pinned_one(row: Row) -> None:
    text = row.name.lower().replace(" ", "-")
    known = [of for package, of in pinned().items() if package in text and of == row.version]
    assert row.version == "none" or known


@pytest.mark.slow
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_the_command_runs_tests(row: Row) -> None:
    pytest_, *arguments = shlex.split(row.command)
    assert pytest_ == "pytest"
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *arguments]
    run = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "::test_" in run.stdout


def test_every_judge_has_a_row() -> None:
    commands = " ".join(row.command for row in rows())
    judges = {path for path in PEERS.glob("test_*.py") if "mark.judges" in path.read_text()}
    assert judges
    assert [path.name for path in judges if path.name not in commands] == []
