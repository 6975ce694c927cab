"""What links do to audio, told: losses, the first at once and then once a second; downmixes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.events import LinkDownmixed, LinkDropped

if TYPE_CHECKING:
    from collections.abc import Callable

    from av import AudioLayout

    from rtpipe.clock import Clock
    from rtpipe.events import Event


def drop_reporter(
    id: str, clock: Clock, publish: Callable[[Event], None]
) -> Callable[[float], None]:
    """Return a function that takes the milliseconds lost before stage `id`, and tells of them."""
    total = pending = 0.0
    silent_until = 0.0

    def report(dropped_ms: float) -> None:
        nonlocal total, pending, silent_until
        total += dropped_ms
        pending += dropped_ms
        now = clock.now()
        if now >= silent_until:
            silent_until = now + 1.0
            publish(LinkDropped(source=id, at=now, dropped_ms=pending, total_ms=total))
            pending = 0.0

    return report


def downmix_reporter(
    id: str, clock: Clock, publish: Callable[[Event], None]
) -> Callable[[AudioLayout, AudioLayout], None]:
    """Return a function that takes two layouts, and tells that stage `id` gets one as the other."""

    def report(layout: AudioLayout, becomes: AudioLayout) -> None:
        publish(replace(LinkDownmixed.of(layout, becomes), source=id, at=clock.now()))

    return report
