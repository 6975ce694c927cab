"""Words as they come (interim transcript): gathered, so that what follows them is not flooded."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from rtpipe_plugins.peers.realtime.events import (
    AssistantDelta,
    AssistantTranscript,
    UserDelta,
    UserTranscript,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import Event
    from rtpipe_plugins.peers.realtime.words_heard import WordsHeard

Delta: TypeAlias = UserDelta | AssistantDelta

_PAUSE_S = 0.1


class TranscriptDeltas:
    """Passes the first words of a line on at once, and then what has come in 100 ms together.

    Args:
        publish: Takes what is passed on.
        words: Is told of an answer's words as they come.
    """

    def __init__(self, publish: Callable[[Event], None], words: WordsHeard) -> None:
        self._publish = publish
        self._words = words
        self._pauses: dict[str, asyncio.TimerHandle] = {}
        """By line, while nothing is passed on of it."""
        self._gathered: dict[str, Delta] = {}

    def publish(self, event: Event) -> None:
        """Pass an event on; further words when it is time, a whole line behind all its words."""
        match event:
            case AssistantDelta():
                self._words.take(event.response_id, event.delta, event.audio_ms)
                self._take(event)
            case UserDelta():
                self._take(event)
            case AssistantTranscript() | UserTranscript():
                self._complete(event.item_id)
                self._publish(event)
            case _:
                self._publish(event)

    def close(self) -> None:
        """Pass on what is left of every line."""
        for item_id in list(self._pauses):
            self._complete(item_id)

    def _take(self, delta: Delta) -> None:
        id = delta.item_id
        if id not in self._pauses:
            self._pass_on(delta)
        elif id in self._gathered:
            so_far = self._gathered[id]
            self._gathered[id] = replace(so_far, delta=so_far.delta + delta.delta)
        else:
            self._gathered[id] = delta

    def _complete(self, item_id: str) -> None:
        """Pass on what is left of a line: nothing more comes of it."""
        pause = self._pauses.pop(item_id, None)
        if pause is not None:
            pause.cancel()
        if item_id in self._gathered:
            self._publish(self._gathered.pop(item_id))

    def _pass_on(self, delta: Delta) -> None:
        loop = asyncio.get_running_loop()
        self._pauses[delta.item_id] = loop.call_later(_PAUSE_S, self._paused, delta.item_id)
        self._publish(delta)

    def _paused(self, item_id: str) -> None:
        del self._pauses[item_id]
        if item_id in self._gathered:
            self._pass_on(self._gathered.pop(item_id))
