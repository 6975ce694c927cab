"""When nobody speaks: neither a visitor, nor a peer, nor a loudspeaker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from rtpipe.bus import Bus
    from rtpipe.events import Event

PAUSE_S = 0.5
"""How long it must be silent: an answer begins a moment after the question."""

_BEGINS = {
    "turn.user_started": "user",
    "turn.answer_started": "answer",
    "playback.started": "playback",
    "vad.speech_started": "speech",
}
_ENDS = {
    "turn.user_stopped": ("user",),
    "turn.answer_stopped": ("answer",),
    "playback.stopped": ("playback",),
    "vad.speech_stopped": ("speech",),
    "realtime.disconnected": ("user", "answer"),
}
_REPLACED = ("stage.fell_back", "stage.returned")
"""Who has said that somebody speaks will not say when that ends."""


class Pauses:
    """Follows who speaks.

    Args:
        bus: Where the turns come by.
    """

    def __init__(self, bus: Bus) -> None:
        self._speaking: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()
        bus.subscribe((*_BEGINS, *_ENDS, *_REPLACED), self._hear)

    async def wait(self, quiet_s: float = PAUSE_S) -> None:
        """Return when nobody has spoken for `quiet_s`."""
        while True:
            while self._speaking:
                self._changed.clear()
                await self._changed.wait()
            self._changed.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self._changed.wait()
            except TimeoutError:
                return

    def forget(self, ids: Container[str]) -> None:
        """Take it that nobody speaks, as far as these stages have told: they are gone."""
        self._speaking = {each for each in self._speaking if each[0] not in ids}
        self._changed.set()

    def _hear(self, event: Event) -> None:
        if event.type in _REPLACED:
            self.forget({event.source})
        if event.type in _BEGINS:
            self._speaking.add((event.source, _BEGINS[event.type]))
        for what in _ENDS.get(event.type, ()):
            self._speaking.discard((event.source, what))
        self._changed.set()
