"""`counting`: gives the signal at real-time speed, and notes how much of it, past a kill."""  # noqa: INP001 - plugins

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tools.reliability.signal_content import RATE, reference

from rtpipe import AudioFrame, Options, Source, audio, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOTE = struct.Struct("<qddd")
"""Samples given; monotonic time of the first frame (s); worst and last lateness (s)."""


class CountingOptions(Options):
    """A signal that counts."""

    note: Path
    """A file of `NOTE.size` bytes."""
    duration_s: float = 60.0
    overrun_s: float | None = None
    """As a sound card does it: what waited longer than that is gone. By default nothing is."""


class Counting(Source[CountingOptions]):
    """The signal of `tools.reliability.signal_content`."""

    kind = "counting"

    @classmethod
    def has_clock(cls, _: CountingOptions) -> bool:
        """Return that it is paced."""
        return True

    async def open(self) -> None:
        """Open the note."""
        with self.options.note.open("r+b") as file:
            self._note = mmap.mmap(file.fileno(), NOTE.size)

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the signal, s16 mono 48 kHz; note each frame before it is out of hand."""
        clock, size = self.ctx.clock, RATE * self.ctx.frame_ms // 1000
        signal = reference()[: round(self.options.duration_s * RATE)]
        overrun_s = self.options.overrun_s
        zero_s = clock.next_tick(self.ctx.frame_ms / 1000)
        began, worst, at = 0.0, 0.0, 0
        while at < len(signal):
            due_s = zero_s + at / RATE
            await clock.sleep_until(due_s)
            late = clock.now() - due_s
            worst = max(worst, late)
            began = began or time.monotonic()
            if overrun_s is not None and late > overrun_s:
                at += round((late - overrun_s) * RATE) // size * size
                continue
            frame = audio.from_pcm(signal[at : at + size, None], sample_rate=RATE, pts=at)
            audio.meta(frame).captured_at = due_s
            at += frame.samples
            NOTE.pack_into(self._note, 0, at, began, worst, late)
            yield frame


@hookimpl
def rtpipe_stages() -> list[type[Source]]:
    """Return the one."""
    return [Counting]
