"""`rtpipe events NAME`: what happens in a running pipeline, as it happens."""

from __future__ import annotations

import json
import select
import signal
import sys
import textwrap
import threading
from contextlib import suppress
from typing import Any

import click

from rtpipe.errors import printable
from rtpipe_control.client import Client, understood
from rtpipe_control.commands import completion
from rtpipe_control.commands.words import condition, is_verbose, safe, say, styled, width

_WHO = 8
"""Columns for who speaks."""
_TOLD = {"notice", "warning", "error"}
"""What a person is told of, as on the terminal of the run."""
_COLOURS = {"warning": "yellow", "error": "red"}


@click.command()
@click.argument("name", shell_complete=completion.runs)
@click.argument("match", nargs=-1, metavar="[GLOB]...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object on each line.")
def events(name: str, match: tuple[str, ...], *, as_json: bool) -> None:
    """Follow what happens in a running pipeline, until it ends or Ctrl-C.

    Prints what the terminal of the run would; with GLOBs over the types of events, as in `match:`
    of a pipeline file, all that match; with -v, all.

    \b
        rtpipe events kiosk
        rtpipe events kiosk 'device.*' 'stage.*'
        rtpipe events kiosk --json | jq .line
    """  # noqa: D301 - `\b`: click is not to fill what follows
    everything = bool(match) or as_json or is_verbose()
    client = Client.of(name)
    is_read = _watch_stdout()
    try:
        for kind, told in client.events(match):
            with understood(name):
                _tell(kind, told, name, everything=everything, as_json=as_json)
    except KeyboardInterrupt:
        if not is_read.is_set():
            raise BrokenPipeError from None


def _tell(kind: str, told: dict[str, Any], name: str, *, everything: bool, as_json: bool) -> None:
    if kind == "event" and (everything or told.get("importance") in _TOLD):
        click.echo(_in_json(told) if as_json else _line(told))
    elif kind == "missed":
        say(f"missed {safe(told.get('events'))} events, being too slow a reader")
    elif kind == "snapshot":
        say(condition(told))
    elif kind == "end":
        say(f"`{name}` has ended")


def _watch_stdout() -> threading.Event:
    """Interrupt this program when nobody reads its output any more: the next event may be far off.

    Returns:
        Set while somebody reads it.
    """
    is_read = threading.Event()
    is_read.set()
    with suppress(OSError, ValueError):  # it is no file, as in a test
        number = sys.stdout.fileno()
        main = threading.get_ident()

        def watch() -> None:
            look = select.poll()
            look.register(number, 0)  # errors alone, which a file never has
            look.poll()
            is_read.clear()
            signal.pthread_kill(main, signal.SIGINT)

        threading.Thread(target=watch, daemon=True).start()
    return is_read


def _in_json(told: dict[str, Any]) -> str:
    return printable(json.dumps(told, ensure_ascii=False))


def _line(told: dict[str, Any]) -> str:
    """Return an event as the terminal of the run narrates it: when, who, what."""
    tenths = round(float(told.get("at") or 0.0) * 10)
    stamp = f"{tenths // 600:02}:{tenths % 600 / 10:04.1f}"
    speaker, importance = told.get("speaker"), told.get("importance")
    who = f"{safe(speaker or told.get('source') or 'pipeline'):>{_WHO}}"
    text = safe(told.get("line"), None)
    indent = len(f"{stamp}  {who}  ")
    if sys.stdout.isatty() and width() > 2 * indent:
        lines = textwrap.wrap(text, width() - indent, break_on_hyphens=False)
        text = f"\n{'':{indent}}".join(lines)
    stamp = styled(stamp, dim=True)
    if speaker:
        who = styled(who, fg="cyan" if speaker == "visitor" else "green", bold=True)
    elif importance in _COLOURS:
        who = styled(who, fg=_COLOURS[importance])
    else:
        who, text = styled(who, dim=True), styled(text, dim=True)
    return f"{stamp}  {who}  {text}"
