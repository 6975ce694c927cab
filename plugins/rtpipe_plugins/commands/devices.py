"""`rtpipe devices`: the audio devices of this computer, each with the string to paste."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import click

from rtpipe.errors import on_one_line, printable
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.soundcard import portaudio
from rtpipe_plugins.soundcard.listing import listing

if TYPE_CHECKING:
    from rtpipe_plugins.soundcard.portaudio import Direction

_LIST_S = 8.0
"""PulseAudio is asked, too."""
_TITLES: dict[Direction, str] = {
    "input": "Input devices, for `- mic: {device: …}`",
    "output": "Output devices, for `- speaker: {device: …}`",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def devices(*, as_json: bool) -> None:
    """List the audio devices, each with the string to paste into a pipeline."""
    found = asyncio.run(_listing_in_time())
    if as_json:
        click.echo(printable(json.dumps(found, indent=2, ensure_ascii=False)))
        return
    for direction, title in _TITLES.items():
        rows = [row for row in found if row["direction"] == direction]
        click.echo(title)
        for line in [_line(row) for row in rows] or ["none found"]:
            click.echo(printable(f"  {line}"))


async def _listing_in_time() -> list[dict[str, Any]]:
    return await portaudio.in_time(in_daemon_thread("sound", all_devices), _LIST_S)


def all_devices() -> list[dict[str, Any]]:
    """Return every device of each direction; see `listing`.

    Raises:
        EnvironmentProblem: The PortAudio library is missing, or the sound server hangs.
    """
    return [row for direction in _TITLES for row in listing(direction)]


def _line(row: dict[str, Any]) -> str:
    channels = f"{row['channels']} channel{'s' * (row['channels'] != 1)}"
    default = ", default" if row["default"] else ""
    name = "" if row["name"] == row["device"] else f"{on_one_line(row['name'])}, "
    return f"{_quoted(row['device']):<32} {name}{channels}, {row['sample_rate']} Hz{default}"


def _quoted(text: str) -> str:
    """Return a text as a pipeline file may hold it: no reference, nothing that cannot be seen."""
    text = re.sub(r"\$(?=[{$])", "$$", text)
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escaped(each) for each in shown)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
