"""What `rtpipe run` takes for a record; a shell completes it, so nothing heavy here."""

from __future__ import annotations

from pathlib import Path

import click


def record() -> click.Option:
    """Return the option `--record` of `rtpipe run`."""
    return click.Option(
        ["--record"],
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Keep what sources and peers gave, and every event, for `rtpipe replay FOLDER`.",
    )
