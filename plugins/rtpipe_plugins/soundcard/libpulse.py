"""libpulse by ctypes: a connection whose every wait has an end, also where the server hangs."""

from __future__ import annotations

import ctypes
import time
from ctypes import POINTER, Structure, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from functools import cache
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_AUTOSPAWN = 1
_READY, _FAILED = 4, 5
_ANSWER_S = 2.5
"""A server that takes longer hangs."""
_TURN_US = 100_000


class SampleSpec(Structure):
    """Rate and layout of samples: `pa_sample_spec`."""

    _fields_ = (("format", c_int), ("rate", c_uint32), ("channels", c_uint8))


class ChannelMap(Structure):
    """What each channel is: `pa_channel_map`."""

    _fields_ = (("channels", c_uint8), ("map", c_int * 32))


class BufferAttr(Structure):
    """How much is held where: `pa_buffer_attr`."""

    _fields_ = tuple(
        (name, c_uint32) for name in ("maxlength", "tlength", "prebuf", "minreq", "fragsize")
    )


class NoSoundServer(EnvironmentProblem):
    """There is none, or it does not want us."""


class PulseContext:
    """A connection to the sound server; its loop turns in the thread that calls.

    Raises:
        NoSoundServer: There is none.
        EnvironmentProblem: It hangs.
        OSError: The client library is not installed.
    """

    def __init__(self) -> None:
        self._lib = lib = libpulse()
        self._loop = lib.pa_mainloop_new()
        self.pointer = lib.pa_context_new(lib.pa_mainloop_get_api(self._loop), b"rtpipe")
        """What libpulse calls the context."""
        try:
            lib.pa_context_connect(self.pointer, None, _NO_AUTOSPAWN, None)  # its state tells
            self.turn_until(lambda: lib.pa_context_get_state(self.pointer), _READY, _FAILED)
        except BaseException:
            self.close()
            raise

    def turn(self) -> None:
        """Do what is to be done, or wait for it a tenth of a second."""
        lib = self._lib
        if (
            lib.pa_mainloop_prepare(self._loop, _TURN_US) >= 0
            and lib.pa_mainloop_poll(self._loop) >= 0
        ):
            lib.pa_mainloop_dispatch(self._loop)

    def turn_until(self, state: Callable[[], int], ready: int, failed: int) -> None:
        """Turn until `state()` is `ready`.

        Raises:
            NoSoundServer: It is `failed` or beyond.
            EnvironmentProblem: The server hangs.
        """
        until = time.monotonic() + _ANSWER_S
        while (now := state()) != ready:
            if now >= failed:
                raise NoSoundServer("there is no sound server, or it refuses")
            if time.monotonic() >= until:
                raise EnvironmentProblem(
                    f"the sound server hangs: no answer in {_ANSWER_S:g} s",
                    help="restart it: `systemctl --user restart pipewire-pulse` "
                    "or `pulseaudio -k`; PULSE_SERVER may name another",
                )
            self.turn()

    def close(self) -> None:
        """Hang up; does not wait for the server."""
        self._lib.pa_context_disconnect(self.pointer)
        self._lib.pa_context_unref(self.pointer)
        self._lib.pa_mainloop_free(self._loop)


@cache
def libpulse() -> ctypes.CDLL:
    """Return the client library.

    Raises:
        OSError: It is not installed.
    """
    lib = ctypes.CDLL("libpulse.so.0")
    p, size = c_void_p, POINTER(c_size_t)
    for name, result, *arguments in (
        ("mainloop_new", p),
        ("mainloop_get_api", p, p),
        ("mainloop_prepare", c_int, p, c_int),
        ("mainloop_poll", c_int, p),
        ("mainloop_dispatch", c_int, p),
        ("mainloop_free", None, p),
        ("context_new", p, p, c_char_p),
        ("context_connect", c_int, p, c_char_p, c_int, p),
        ("context_get_state", c_int, p),
        ("context_disconnect", None, p),
        ("context_unref", None, p),
        ("stream_new", p, p, c_char_p, POINTER(SampleSpec), POINTER(ChannelMap)),
        ("stream_connect_record", c_int, p, c_char_p, POINTER(BufferAttr), c_int),
        ("stream_get_state", c_int, p),
        ("stream_get_device_index", c_uint32, p),
        ("stream_get_latency", c_int, p, POINTER(ctypes.c_uint64), POINTER(c_int)),
        ("stream_readable_size", c_size_t, p),
        ("stream_peek", c_int, p, POINTER(p), size),
        ("stream_drop", c_int, p),
        ("stream_disconnect", c_int, p),
        ("stream_unref", None, p),
    ):
        function = getattr(lib, f"pa_{name}")
        function.restype, function.argtypes = result, arguments
    return lib
