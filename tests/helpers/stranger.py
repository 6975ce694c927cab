"""A plugin file that nobody here knows: kinds that examine themselves and are probed."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from rtpipe.cli.root import RtpipeGroup, cli

LAMP = '''
from rtpipe import Finding, Options, Sink, Source, hookimpl

class LampOptions(Options):
    main = "port"
    port: str
    """Which."""

class Lamp(Sink[LampOptions]):
    """Lights up."""
    kind = "lamp"

    @classmethod
    def examine(cls, options):
        if options.port == "COM1":
            yield Finding("wrong", "COM1 is of another world", "port", "say /dev/ttyUSB0")
        yield Finding("missing", "there is no udev", help="install it", name="udev", needed=False)

    @classmethod
    async def probe(cls, options):
        if options.port == "broken":
            raise RuntimeError("sparks")
        yield Finding("missing", f"{options.port} is dark", "port", "plug it in", "bulb")

    async def consume(self, frame):
        pass

class Knock(Source[Options]):
    """Asks nothing of a machine."""
    kind = "knock"

    async def frames(self):
        return
        yield

@hookimpl
def rtpipe_stages():
    return [Lamp, Knock]
'''


def desk(folder: Path, port: str) -> Path:
    """Write a file with a lamp at `port` into `folder`, and the plugin beside it."""
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "lamp.py").write_text(LAMP)
    path = folder / "desk.yaml"
    path.write_text(f"version: 1\nstages:\n  - knock\n  - lamp: {port}\n")
    return path


def run(*args: object) -> Result:
    """Run the command with the plugins that this call finds, not those of an earlier test."""
    # Not its settings: click's commands keep the help options of the group that ran them first.
    group = RtpipeGroup("rtpipe", context_settings=cli.context_settings)
    return CliRunner().invoke(group, [str(arg) for arg in args])
