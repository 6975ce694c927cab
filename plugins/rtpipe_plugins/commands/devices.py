"""`rtpipe devices`: the audio devices of this computer, each with the string to paste."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import click

from rtpipe.errors import on_one_line, printable
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.soundcard import portaudio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe_plugins.soundcard.portaudio import Device, Direction

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
    return await portaudio.in_time(in_daemon_thread("sound", listing), _LIST_S)


def listing() -> list[dict[str, Any]]:
    """Return every device: direction, device (to paste), name, channels, sample_rate, default.

    Raises:
        EnvironmentProblem: The PortAudio library is missing, or the sound server hangs.
    """
    sounddevice = portaudio.load()
    found: list[dict[str, Any]] = []
    for direction in _TITLES:
        listed = portaudio.list_devices(sounddevice, direction)
        found += [_described(device, listed, direction) for device in listed]
        if any(device.name == "pulse" for device in listed):
            found += _pulse_devices(direction)
    return found


def _described(device: Device, all_devices: list[Device], direction: Direction) -> dict[str, Any]:
    return {
        "direction": direction,
        "device": portaudio.pasted(device, all_devices),
        "name": device.name,
        "channels": device.channels,
        "sample_rate": device.sample_rate,
        "default": device.is_default,
    }


def _pulse_devices(direction: Direction) -> Iterator[dict[str, Any]]:
    """Yield PulseAudio's (or PipeWire's) own devices, which PortAudio shows as one."""
    pactl = shutil.which("pactl")
    if pactl is None:
        return
    kind = "sources" if direction == "input" else "sinks"
    try:
        answer = subprocess.run(  # noqa: S603 - fixed words
            [pactl, "--format=json", "list", kind],
            capture_output=True,
            check=True,
            timeout=5,
        )
        devices = json.loads(answer.stdout)
    except (subprocess.SubprocessError, ValueError):
        return  # the sound server has just gone: then it has no devices
    for device in devices:
        if device["name"].endswith(".monitor"):
            continue  # what an output plays, which nobody means by "input device"
        channels, rate = re.findall(r"(\d+)ch (\d+)Hz", device["sample_specification"])[0]
        yield {
            "direction": direction,
            "device": f"pulse:{device['name']}",
            "name": device.get("description") or device["name"],
            "channels": int(channels),
            "sample_rate": int(rate),
            "default": False,
        }


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
