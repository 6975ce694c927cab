"""PortAudio by `sounddevice`: loading it, and finding the device a user means."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rtpipe import EnvironmentProblem, ExitCode, StageError
from rtpipe_plugins.soundcard import pulse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe_plugins.soundcard.pulse import PulseDevice

Direction = Literal["input", "output"]
T = TypeVar("T")

_PULSE = "pulse:"
_SERVER = "pulse"
"""PortAudio's name for PulseAudio as a whole."""
_INVALID_SAMPLE_RATE = -9997
_QUIET_S = 2.0
"""A call that takes longer hangs, and what the program itself has to say must be seen."""
_PULSE_VARIABLES = {"input": "PULSE_SOURCE", "output": "PULSE_SINK"}

turn = threading.Lock()
"""Held while a stage finds, opens or closes a device: PortAudio's list of devices, the process's
environment and its stderr are shared by all."""


@dataclass(frozen=True, slots=True)
class Device:
    """An audio device as PortAudio sees it.

    Attributes:
        index: PortAudio's number; it may change with the next start of the computer.
        name: What PortAudio calls it.
        channels: How many it has in the direction asked for.
        sample_rate: The one it prefers (Hz).
        is_default: Whether it is what `default` means.
        pulse: The name of a PulseAudio source or sink to be reached through this device.
        pulse_device: What PulseAudio knows of it, where it can be asked.
    """

    index: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool = False
    pulse: str | None = None
    pulse_device: PulseDevice | None = None

    def __str__(self) -> str:
        return self.name if self.pulse is None else f"{_PULSE}{self.pulse}"


def load() -> Any:
    """Return the `sounddevice` module, with a fresh list of devices if it had none.

    Raises:
        EnvironmentProblem: The PortAudio library is missing, or the sound server hangs.
    """
    fresh = "sounddevice" not in sys.modules
    pulse.require_answer()  # PortAudio would wait for it for ever
    try:
        with _quiet():
            import sounddevice
    except OSError:
        raise EnvironmentProblem(
            "the PortAudio library is not installed",
            help="sudo apt install libportaudio2  # Debian, Ubuntu, Raspberry Pi OS",
        ) from None
    if not fresh and not len(sounddevice.query_devices()):
        _look_again(sounddevice)
    return sounddevice


async def in_time(call: asyncio.Future[T], patience_s: float) -> T:
    """Return what a call of PortAudio's gives that is made in a thread which may be abandoned.

    Args:
        call: Of `OwnThread.start` or `in_daemon_thread`.
        patience_s: How long it may take (s).

    Raises:
        EnvironmentProblem: It has not returned.
    """
    try:
        async with asyncio.timeout(patience_s):
            return await call
    except TimeoutError:
        abandon()
        raise EnvironmentProblem(
            f"the sound system hangs: no answer in {patience_s:g} s",
            help="restart the sound server: `systemctl --user restart pipewire-pulse` "
            "or `pulseaudio -k`",
        ) from None


def abandon() -> None:
    """Let the process end without closing PortAudio: one of its calls hangs."""
    sounddevice = sys.modules.get("sounddevice")  # to import it waits for one that hangs
    if sounddevice is not None and hasattr(sounddevice, "_exit_handler"):
        atexit.unregister(sounddevice._exit_handler)  # noqa: SLF001 - it would wait for ever


def look_again() -> None:
    """Make a fresh list of devices: PortAudio looks only once, at its start.

    Only while no stream is open anywhere in the process: it would break.
    """
    _look_again(load())


def lists_none() -> bool:
    """Return whether the list has no device; `load` makes a fresh one then."""
    sounddevice = sys.modules.get("sounddevice")
    return sounddevice is None or not len(sounddevice.query_devices())


def _look_again(sounddevice: Any) -> None:
    with _quiet():
        sounddevice._terminate()  # noqa: SLF001 - the only way to look again
        sounddevice._initialize()  # noqa: SLF001 - as above


def list_devices(sounddevice: Any, direction: Direction) -> list[Device]:
    """Return the devices that have channels in a direction."""
    default = sounddevice.default.device[0 if direction == "input" else 1]
    return [
        Device(
            index,
            info["name"],
            info[f"max_{direction}_channels"],
            round(info["default_samplerate"]),
            is_default=index == default,
        )
        for index, info in enumerate(sounddevice.query_devices())
        if info[f"max_{direction}_channels"] > 0
    ]


def pasted(device: Device, devices: list[Device]) -> str:
    """Return the text that means `device` among `devices` and no other: its name, or its index."""
    name = device.name
    namesakes = [each for each in devices if each.name.casefold() == name.casefold()]
    means_more = name.isdecimal() or name.startswith(_PULSE) or not name
    means_more = means_more or (name == "default" and not device.is_default)
    unwritable = any("\ud800" <= character <= "\udfff" for character in name)
    return str(device.index) if means_more or unwritable or len(namesakes) > 1 else name


def find_device(sounddevice: Any, wanted: str, direction: Direction) -> Device:
    """Return the one device that `wanted` means.

    Args:
        sounddevice: What `load` returned.
        wanted: `default`, an index, a name or a part of one, or `pulse:NAME`; what PulseAudio calls
            a device or describes it as, where PortAudio knows none so named.
        direction: What it must be able to do.

    Raises:
        EnvironmentProblem: There is no such device.
        StageError: Several have that in their names.
    """
    devices = list_devices(sounddevice, direction)
    if wanted.startswith(_PULSE):
        device = _only(_matching(devices, _SERVER)[:1], wanted, devices, direction)
        return by_pulse(device, wanted.removeprefix(_PULSE), direction)
    if wanted == "default":
        found = [device for device in devices if device.is_default] or devices[:1]
    elif wanted.isdecimal():
        found = [device for device in devices if device.index == int(wanted)]
    else:
        found = _matching(devices, wanted)
        through = _matching(devices, _SERVER)
        if not found and through:
            named = _described(pulse.pulse_devices(direction) or [], wanted)
            if named:
                name = _only_described(named, wanted, direction).name
                return by_pulse(through[0], name, direction)
    return _only(found, wanted, devices, direction)


def _described(devices: list[PulseDevice], wanted: str) -> list[PulseDevice]:
    """Return the devices so named or described, or else those with that in it."""
    folded = wanted.casefold()
    words = {
        device.name: (device.name.casefold(), device.description.casefold())
        for device in devices
        if not device.is_monitor
    }
    exact = [device for device in devices if folded in words.get(device.name, ())]
    return exact or [
        device for device in devices if any(folded in each for each in words.get(device.name, ()))
    ]


def _only_described(found: list[PulseDevice], wanted: str, direction: Direction) -> PulseDevice:
    if len(found) == 1:
        return found[0]
    raise StageError(
        f"several {direction} devices match `{wanted}`: "
        + ", ".join(f"{device.description} (pulse:{device.name})" for device in found),
        help="name one: " + ", ".join(f"pulse:{device.name}" for device in found),
        exit_code=ExitCode.CONFIGURATION,
    )


def by_pulse(device: Device, name: str, direction: Direction) -> Device:
    """Return what PulseAudio calls `name`, reached through `device`.

    Raises:
        EnvironmentProblem: There is no such source or sink, or the server hangs.
        StageError: Several are described so.
    """
    known = pulse.find_pulse_device(name, direction)
    if known is None:  # PortAudio will find that there is no server
        return replace(device, pulse=name)
    return replace(
        device,
        channels=len(known.channel_map),
        sample_rate=known.sample_rate,
        pulse=known.name,
        pulse_device=known,
    )


@contextmanager
def opening(
    sounddevice: Any, device: Device, direction: Direction, sample_rate: int
) -> Iterator[None]:
    """Surround the opening of a stream: quietly, on the device that is meant, with clear errors.

    Raises:
        EnvironmentProblem: PortAudio refuses.
    """
    variable = _PULSE_VARIABLES[direction]
    before = os.environ.get(variable)
    if device.pulse is not None:
        os.environ[variable] = device.pulse  # PulseAudio's client library reads it now
    try:
        with _quiet():
            yield
    except sounddevice.PortAudioError as error:
        raise _refusal(device, sample_rate, error) from None
    finally:
        if before is not None:
            os.environ[variable] = before
        else:
            os.environ.pop(variable, None)


def fitting_channels(
    sounddevice: Any, device: Device, direction: Direction, sample_rate: int
) -> int:
    """Return 1, or how many channels a device has that knows no mono.

    Raises:
        EnvironmentProblem: It takes neither at that rate.
    """
    check = getattr(sounddevice, f"check_{direction}_settings")
    try:
        with opening(sounddevice, device, direction, sample_rate):
            check(device.index, channels=1, dtype="int16", samplerate=sample_rate)
    except EnvironmentProblem:
        with opening(sounddevice, device, direction, sample_rate):
            check(device.index, channels=device.channels, dtype="int16", samplerate=sample_rate)
        return device.channels
    return 1


def open_stream(
    sounddevice: Any,
    device: Device,
    direction: Direction,
    *,
    sample_rate: int,
    block_ms: int,
    **settings: Any,
) -> Any:
    """Return a stream of s16 blocks that has been opened and started.

    Args:
        sounddevice: What `load` returned.
        device: Which device.
        direction: Which way its audio goes.
        sample_rate: Hz.
        block_ms: How much it moves at once (ms).
        settings: What else `sounddevice` takes: channels, latency, callback, finished_callback.

    Raises:
        EnvironmentProblem: PortAudio refuses.
    """
    kind = sounddevice.RawInputStream if direction == "input" else sounddevice.RawOutputStream
    with opening(sounddevice, device, direction, sample_rate):
        stream = kind(
            device=device.index,
            samplerate=sample_rate,
            dtype="int16",
            blocksize=sample_rate * block_ms // 1000,
            **settings,
        )
        try:
            stream.start()
        except BaseException:
            stream.close()
            raise
    return stream


def _matching(devices: list[Device], wanted: str) -> list[Device]:
    """Return the devices of that very name or else those that have it in their names."""
    name = wanted.casefold()
    exact = [device for device in devices if device.name.casefold() == name]
    return exact or [device for device in devices if name in device.name.casefold()]


def _only(found: list[Device], wanted: str, devices: list[Device], direction: Direction) -> Device:
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{device.index}: {device.name}" for device in found or devices)
    if found:
        raise StageError(
            f"several {direction} devices match `{wanted}`: {known}",
            help="give more of the name; `rtpipe devices` prints what to paste",
            exit_code=ExitCode.CONFIGURATION,
        )
    if devices:
        raise EnvironmentProblem(
            f"no {direction} device matches `{wanted}`; there is {known}",
            help="`rtpipe devices` prints what to paste",
        )
    raise EnvironmentProblem(
        f"this computer has no audio {direction} device",
        help="plug one in, or start its sound server; `fallback:` can name a stage to use instead",
    )


def _refusal(device: Device, sample_rate: int, error: Exception) -> EnvironmentProblem:
    """Return PortAudio's refusal to open a stream as what a user can act on."""
    reason, code = (*error.args, None)[:2]
    if code == _INVALID_SAMPLE_RATE:
        return EnvironmentProblem(
            f"{device} does not take {sample_rate} Hz",
            help=f"set `sample_rate: {device.sample_rate}`, which it prefers",
        )
    return EnvironmentProblem(
        f"{device} does not open: {str(reason).rpartition(': ')[2]}",
        help="another program may hold it, or its sound server is gone; "
        "`rtpipe devices` lists what there is",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what ALSA's and PortAudio's C code prints about a failure off the user's screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    end = threading.Timer(_QUIET_S, os.dup2, (kept, 2))
    end.daemon = True
    try:
        os.dup2(nowhere, 2)
        end.start()
        yield
    finally:
        end.cancel()
        end.join()
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
