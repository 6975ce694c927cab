"""Recording from a PulseAudio source by libpulse: its own channel map, and never another source.

PortAudio reaches PulseAudio by ALSA, which asks for ALSA's channel map, so that the server remixes
what has another, and which lets the server move the stream to another source.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int, c_size_t, c_void_p
from threading import Event, Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rtpipe import EnvironmentProblem
from rtpipe_plugins.soundcard.libpulse import (
    BufferAttr,
    ChannelMap,
    NoSoundServer,
    PulseContext,
    SampleSpec,
    libpulse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_plugins.soundcard.pulse import PulseDevice

_S16LE = 3
_READY, _FAILED = 2, 3
_FLAGS = 0x2 | 0x8 | 0x200 | 0x2000
"""Interpolated timing, automatic updates of it, don't move, adjust the latency."""
_HIGH_LATENCY_BLOCKS = 5


class PulseCapture:
    """An open recording stream; stands where one of sounddevice's `RawInputStream` does.

    Args:
        source: What to record.
        sample_rate: Hz.
        block_ms: How much a call of `callback` gets (ms).
        own_channels: Give the source's own channels as they are; otherwise mono, mixed by the
            server.
        latency: `low` or `high`.
        callback: Called as PortAudio calls: data (s16, interleaved), samples, time, status; in a
            thread of this stream.
        finished_callback: Called when the stream has ended, for whatever reason.

    Raises:
        EnvironmentProblem: The server is gone, hangs, refuses, or gives another source.
    """

    def __init__(
        self,
        source: PulseDevice,
        *,
        sample_rate: int,
        block_ms: int,
        own_channels: bool,
        latency: str,
        callback: Callable[[bytes, int, Any, Any], None],
        finished_callback: Callable[[], None],
    ) -> None:
        self._callback = callback
        self._finished = finished_callback
        self._rate = sample_rate
        self._block = sample_rate * block_ms // 1000
        self.channels = len(source.channel_map) if own_channels else 1
        """How many samples stand beside each other."""
        self.latency = block_ms / 1000
        """How late a sample comes, about (s)."""
        self._closing = Event()
        self._lib = libpulse()
        self._context = PulseContext()
        self._stream: Any = None
        fragment = self._block * (_HIGH_LATENCY_BLOCKS if latency == "high" else 1)
        try:
            self._connect(source, fragment, own_channels=own_channels)
        except BaseException:
            self._free()
            raise
        self._thread = Thread(target=self._run, name=f"pulse:{source.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; the loop in its thread never waits for the server."""
        self._closing.set()
        self._thread.join()

    def _connect(self, source: PulseDevice, fragment: int, *, own_channels: bool) -> None:
        lib = self._lib
        positions = source.channel_map if own_channels else (0,)
        layout = ChannelMap(len(positions), (c_int * 32)(*positions))
        spec = SampleSpec(_S16LE, self._rate, len(positions))
        self._stream = lib.pa_stream_new(
            self._context.pointer, b"rtpipe", byref(spec), byref(layout)
        )
        unset = 2**32 - 1
        attr = BufferAttr(unset, unset, unset, unset, fragment * 2 * len(positions))
        name = source.name.encode()
        if not self._stream or lib.pa_stream_connect_record(
            self._stream, name, byref(attr), _FLAGS
        ):
            raise _refusal(source, "the sound server does not take its format")
        try:
            self._context.turn_until(lambda: lib.pa_stream_get_state(self._stream), _READY, _FAILED)
        except NoSoundServer as error:
            raise _refusal(source, error.message) from None
        if lib.pa_stream_get_device_index(self._stream) != source.index:
            raise _refusal(source, "the sound server gives another source in its place")

    # -- in the stream's own thread ----------------------------------------------------------------

    def _run(self) -> None:
        heard, holes = bytearray(), 0
        size = self._block * 2 * self.channels
        try:
            while not self._closing.is_set():
                self._context.turn()
                if self._lib.pa_stream_get_state(self._stream) != _READY:
                    return
                late_s = self._latency_s() + len(heard) / size * self._block / self._rate
                holes += self._read(heard)
                while len(heard) >= size:
                    block = bytes(heard[:size])
                    del heard[:size]
                    at = SimpleNamespace(currentTime=late_s, inputBufferAdcTime=0.0)
                    self._callback(block, self._block, at, SimpleNamespace(input_overflow=holes))
                    late_s, holes = late_s - self._block / self._rate, 0
        finally:
            self._free()
            self._finished()

    def _latency_s(self) -> float:
        """Return how long ago the next sample to be read was heard; 0 if nobody knows."""
        late_us, negative = ctypes.c_uint64(), c_int()
        if self._lib.pa_stream_get_latency(self._stream, byref(late_us), byref(negative)) < 0:
            return 0.0
        return 0.0 if negative.value else late_us.value / 1e6

    def _read(self, heard: bytearray) -> int:
        """Append what has come; return how many holes were in it."""
        lib, holes = self._lib, 0
        data, size = c_void_p(), c_size_t()
        while lib.pa_stream_readable_size(self._stream) not in {0, c_size_t(-1).value}:
            if lib.pa_stream_peek(self._stream, byref(data), byref(size)) < 0 or not size.value:
                break
            if data.value is None:
                holes += 1
            else:
                heard += ctypes.string_at(data.value, size.value)
            lib.pa_stream_drop(self._stream)
        return holes

    def _free(self) -> None:
        lib = self._lib
        if self._stream:
            lib.pa_stream_disconnect(self._stream)
            lib.pa_stream_unref(self._stream)
        self._context.close()


def _refusal(source: PulseDevice, why: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"pulse:{source.name} does not open: {why}", help="`rtpipe devices` lists what there is"
    )
