"""Generates the reference from what is installed: `python -m tools.reference [--check]`.

The pages under docs/reference that begin with the line `NOTICE` are made here, from the registry of
stages, the command's own help, the hooks' docstrings and the pages of `rtpipe explain`; beside them
the schema that the files in `pipelines` name. `--check` writes nothing and exits with 1 if one is
not what it would be. `--pin` writes instead what the public names are, for the test that notices
when one changes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rtpipe.catalogue.editor import SCHEMA_FILE, schema_text
from rtpipe.catalogue.plugins import Registry
from tools.reference.api import api_page
from tools.reference.commands import commands_page
from tools.reference.diagnostics import diagnostics_page
from tools.reference.http import http_page
from tools.reference.markdown import page
from tools.reference.members import pinned
from tools.reference.metrics import metrics_page
from tools.reference.plugins import hooks_page
from tools.reference.sections import sections_page
from tools.reference.stages import events_page, stages_page

PINNED = Path(__file__).parents[2] / "tests" / "docs" / "public_names.txt"
FOLDER = Path(__file__).parents[2] / "docs" / "reference"
SCHEMA = Path(__file__).parents[2] / "pipelines" / SCHEMA_FILE


def main() -> int:
    """Write the pages, or with `--check` compare them; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if one is stale")
    parser.add_argument("--pin", action="store_true", help="pin the public names as they are now")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pages are")
    arguments = parser.parse_args()
    if arguments.pin:
        PINNED.write_text(pinned(), "utf-8")
        print(f"wrote {PINNED}: say in CHANGELOG.md what changes for plugins")
        return 0
    made = generated(arguments.folder) | {SCHEMA: schema_text(shipped())}
    stale = {path: text for path, text in made.items() if _read(path) != text}
    for path, text in stale.items():
        if arguments.check:
            print(f"{path} is stale: run python -m tools.reference")
        else:
            path.write_text(text, "utf-8")
            print(f"wrote {path}")
    return 1 if arguments.check and stale else 0


def generated(folder: Path) -> dict[Path, str]:
    """Return the text of every generated page, by its file in `folder`."""
    registry = shipped()
    made = {
        "api.md": api_page(),
        "stages.md": stages_page(registry),
        "events.md": events_page(registry),
        "commands.md": commands_page(),
        "hooks.md": hooks_page(),
        "diagnostics.md": diagnostics_page(),
        "metrics.md": metrics_page(),
        "sections.md": sections_page(registry),
        "http.md": http_page(),
    }
    return {folder / name: page(paragraphs) for name, paragraphs in made.items()}


def shipped() -> Registry:
    """Return what this project ships, whatever else is installed."""
    registry = Registry()
    record = registry.add_module("rtpipe_plugins")
    if record.error is not None:
        raise SystemExit(f"no reference without the stages: {record.error}")
    for name in ("control", "homeassistant", "mqtt", "otel", "replay", "test"):
        registry.add_module(f"rtpipe_{name}")
    return registry


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
