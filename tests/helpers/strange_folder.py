"""A stranger's folder, with a plugin that tells when it was run."""

from __future__ import annotations

from pathlib import Path

from helpers.command import Ended, rtpipe

SPY = """
from pathlib import Path

Path(__file__).with_name("RAN").touch()

import click

from rtpipe import Event, Options, Transform, hookimpl


class Wobbled(Event):
    type = "tremolo.wobbled"


class Tremolo(Transform[Options]):
    \"\"\"Wobbles.\"\"\"

    kind = "tremolo"
    publishes = (Wobbled,)

    def process(self, frame):
        return frame


class Lamps(Options):
    port: str = "COM1"


@hookimpl
def rtpipe_stages():
    return [Tremolo]


@hookimpl
def rtpipe_sections():
    return {"lamps": Lamps}


@hookimpl
def rtpipe_run_options():
    return [click.Option(["--lamp"])]
"""
PIPELINE = """version: 1
lamps: {port: COM2}
stages: [tone: {duration_s: 0.1}, tremolo, blackhole]
events:
  - match: tremolo.wobbled
    log: info
"""
PLAIN = "version: 1\nstages: [tone: {duration_s: 0.1}, blackhole]\n"


class Desk:
    """A stranger's folder, and a machine that trusts nothing yet."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "a folder"
        self.state = tmp_path / "state"
        (self.folder / "plugins").mkdir(parents=True)
        (self.folder / "plugins" / "tremolo.py").write_text(SPY)
        (self.folder / "p.yaml").write_text(PIPELINE)
        (self.folder / "plain.yaml").write_text(PLAIN)
        self.env = {"RTPIPE_TRUST": "", "XDG_STATE_HOME": str(self.state)}

    def rtpipe(self, *args: str | Path, cwd: Path | None = None, **env: str) -> Ended:
        return rtpipe(*args, cwd=cwd or self.folder, env={**self.env, **env})

    def ran(self, folder: Path | None = None) -> bool:
        """Return whether the plugin was run since this was last asked."""
        told = (folder or self.folder) / "plugins" / "RAN"
        known = told.exists()
        told.unlink(missing_ok=True)
        return known

    @property
    def records(self) -> list[Path]:
        return [path for path in self.state.rglob("*") if path.is_file()]
