"""Probing of a sound device: PortAudio, permissions, the device itself and its sample rate."""

from __future__ import annotations

import grp
import os
import sys
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from rtpipe import Finding, MachineLook, RtpipeError
from rtpipe_plugins.child.thread import in_daemon_thread
from rtpipe_plugins.soundcard import portaudio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from rtpipe_plugins.soundcard.options import DeviceOptions
    from rtpipe_plugins.soundcard.portaudio import Direction

_LOOK_S = 6.0
_NAMES = {"input": "microphone", "output": "loudspeaker"}


async def probe_device(options: DeviceOptions, direction: Direction) -> AsyncIterator[Finding]:
    """Yield what there is of all that a stage with a device needs."""
    library = await _seen("PortAudio", port_audio)
    yield library
    yield audio_group()
    if library.status == "ok":
        yield await _seen(_NAMES[direction], device, options, direction)


async def _seen(name: str, look: Callable[..., Finding], *args: object) -> Finding:
    try:
        return await portaudio.in_time(in_daemon_thread("sound", look, *args), _LOOK_S)
    except RtpipeError as error:
        return Finding("missing", error.message, help=error.help, name=name)


def device_look(options: DeviceOptions, direction: Direction) -> MachineLook:
    """Return a look for the device that a stage names; nothing but `validate` waits for it."""
    seen: SimpleQueue[Finding | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            seen.put(device(options, direction))
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            seen.put(error)

    def look() -> Iterator[Finding]:
        Thread(target=ask, name="sound", daemon=True).start()
        try:
            found = seen.get(timeout=_LOOK_S)
        except Empty:
            portaudio.abandon()
            found = Finding("missing", f"the sound system hangs: no answer in {_LOOK_S:g} s")
        if isinstance(found, Exception):
            raise found
        yield found

    return MachineLook(look)


def port_audio() -> Finding:
    """Look whether PortAudio can be loaded."""
    try:
        sounddevice = portaudio.load()
    except RtpipeError as error:
        return Finding("missing", error.message, help=error.help, name="PortAudio")
    text = str(getattr(sounddevice, "get_portaudio_version", lambda: (0, "loaded"))()[1])
    return Finding("ok", text, name="PortAudio")


def audio_group() -> Finding:
    """Look whether the user may open the sound cards; a sound server may open them for him."""
    name = "audio group"
    cards = Path("/dev/snd")
    if not sys.platform.startswith("linux") or not cards.is_dir():
        return Finding("unknown", "there is no /dev/snd: no ALSA sound card", name=name)
    closed = [card.name for card in cards.glob("pcm*") if not os.access(card, os.R_OK | os.W_OK)]
    if not closed:
        return Finding("ok", "the sound cards may be opened", name=name)
    groups = sorted(grp.getgrgid(id).gr_name for id in {*os.getgroups(), os.getegid()})
    seen = f"may not open {', '.join(closed)}; member of {', '.join(groups)}"
    remedy = "sudo usermod -aG audio $USER, then log in again"
    return Finding("missing", seen, help=remedy, name=name, needed=False)


def device(options: DeviceOptions, direction: Direction) -> Finding:
    """Look for the device that a stage names, and whether it takes its sample rate."""
    name, sample_rate = _NAMES[direction], options.sample_rate
    try:
        sounddevice = portaudio.load()
        found = portaudio.find_device(sounddevice, options.device, direction)
        portaudio.fitting_channels(sounddevice, found, direction, sample_rate)
    except RtpipeError as error:
        return Finding("missing", error.message, "device", error.help, name)
    own = f"prefers {found.sample_rate} Hz, takes {sample_rate} Hz"
    return Finding("ok", f"{found} ({found.channels} channels, {own})", "device", name=name)
