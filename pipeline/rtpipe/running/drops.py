"""What links do to audio, told: downmixes; losses, the first at once, then once a second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.events import LinkDownmixed, LinkDropped

if TYPE_CHECKING:
    from collections.abc import Callable

    from av import AudioLayout

    from rtpipe.clock import Clock
    from rtpipe.events import Event


class DropReporter:
    """Takes the milliseconds lost before stage `id`, and tells of them."""

    def __init__(self, id: str, clock: Clock, publish: Callable[[Event], None]) -> None:
        self._id = id
        self._clock = clock
        self._publish = publish
        self._total_ms = self._pending_ms = self._silent_until = 0.0

    def __call__(self, dropped_ms: float) -> None:
        """Count a loss; tell of it unless one was told of within the last second."""
        self._total_ms += dropped_ms
        self._pending_ms += dropped_ms
        if self._clock.now() >= self._silent_until:
            self.tell()

    def tell(self) -> None:
        """Tell of what was not told yet."""
        if not self._pending_ms:
            return
        now = self._clock.now()
        self._silent_until = now + 1.0
        dropped_ms, self._pending_ms = self._pending_ms, 0.0
        self._publish(
            LinkDropped(source=self._id, at=now, dropped_ms=dropped_ms, total_ms=self._total_ms)
        )


def downmix_reporter(
    id: str, clock: Clock, publish: Callable[[Event], None]
) -> Callable[[AudioLayout, AudioLayout], None]:
    """Return a function that takes two layouts, and tells that stage `id` gets one as the other."""

    def report(layout: AudioLayout, becomes: AudioLayout) -> None:
        publish(replace(LinkDownmixed.of(layout, becomes), source=id, at=clock.now()))

    return report
