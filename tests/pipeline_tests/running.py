"""Runs the tests of a pipeline's text, as `rtpipe test` does, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtpipe.documents import read_section
from rtpipe_test.command import outcome_of
from rtpipe_test.reports import Asked, Outcome


def asked(**said: Any) -> Asked:
    """Return what a command line asks for, with defaults."""
    nothing: dict[str, Any] = {
        "like": "",
        "update": False,
        "keep": None,
        "junit": None,
        "form": "text",
        "as_json": False,
        "sets": (),
        "profile": None,
        "trust": False,
        "jobs": 1,
        "verbose": False,
    }
    return Asked(**nothing | said)


def outcome(folder: Path, pipeline: str, test: str, **said: Any) -> Outcome:
    """Return what comes of one test.

    Args:
        folder: Where the file is written.
        pipeline: What stands in the file before its tests.
        test: The test, without its name.
        said: What stands on the command line.
    """
    lines = "\n".join(f"    {line}" for line in test.strip().splitlines())
    path = folder / "pipeline.yaml"
    path.write_text(f"version: 1\n{pipeline}\ntests:\n  - name: so\n{lines}\n", "utf-8")
    return outcome_of((path, 0), asked(**said))


def misses(folder: Path, pipeline: str, test: str, **said: Any) -> list[tuple[str, str]]:
    """Return of each expectation that was not met what it expected, and what was instead."""
    found = outcome(folder, pipeline, test, **said).found
    assert all(each.code == "E801" for each in found), found
    return [(each.message.removeprefix("expected that "), each.label) for each in found]


def refused(folder: Path, test: str, pipeline: str = "stages: [tone, blackhole]") -> Any:
    """Return the section's model error for a test that is none."""
    path = folder / "pipeline.yaml"
    lines = "\n".join(f"    {line}" for line in test.strip().splitlines())
    path.write_text(f"version: 1\n{pipeline}\ntests:\n  -{lines[3:]}\n", "utf-8")
    return read_section([path], "tests")
