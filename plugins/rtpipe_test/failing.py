"""Stages that fail when a test says so: once, at their next frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rtpipe import Peer, Sink, Source, StageError, Transform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rtpipe import AudioFrame, Link, Send, Stage
    from rtpipe.stage import Processed

_WHY = "the test made it fail"


class Failure:
    """What a test tells a stage: to fail once."""

    def __init__(self) -> None:
        self._due = asyncio.Event()

    def ask(self) -> None:
        """Let the stage fail at its next frame."""
        self._due.set()

    def come(self) -> None:
        """Raise if it was asked for, and not again.

        Raises:
            StageError: It was.
        """
        if self._due.is_set():
            self._due.clear()
            raise StageError(_WHY)

    async def wait(self) -> None:
        """Wait until it is asked for, and raise then.

        Raises:
            StageError: It was.
        """
        await self._due.wait()
        self.come()


def failing(stage_type: type[Stage[Any]], failure: Failure) -> type[Stage[Any]]:
    """Return the stage with `failure` built in; a subscriber as it is."""
    for base, make in _MAKERS.items():
        if issubclass(stage_type, base):
            made: type[Stage[Any]] = make(stage_type, failure)
            return made
    return stage_type


def _source(stage_type: Any, failure: Failure) -> Any:
    class Failing(stage_type):  # type: ignore[misc]
        __doc__ = stage_type.__doc__

        async def frames(self) -> AsyncIterator[AudioFrame]:
            async for frame in super().frames():
                failure.come()
                yield frame

    return Failing


def _transform(stage_type: Any, failure: Failure) -> Any:
    class Failing(stage_type):  # type: ignore[misc]
        __doc__ = stage_type.__doc__

        def process(self, frame: AudioFrame) -> Processed:
            failure.come()
            made: Processed = super().process(frame)
            return made

        def process_at(self, frame: AudioFrame, inlet: int) -> Processed:
            failure.come()
            made: Processed = super().process_at(frame, inlet)
            return made

    return Failing


def _sink(stage_type: Any, failure: Failure) -> Any:
    class Failing(stage_type):  # type: ignore[misc]
        __doc__ = stage_type.__doc__

        async def consume_at(self, frame: AudioFrame, inlet: int) -> None:
            failure.come()
            await super().consume_at(frame, inlet)

    return Failing


def _peer(stage_type: Any, failure: Failure) -> Any:
    class Failing(stage_type):  # type: ignore[misc]
        __doc__ = stage_type.__doc__

        async def converse(self, inlet: Link, send: Send) -> None:
            talk = asyncio.ensure_future(super().converse(inlet, send))
            fails = asyncio.ensure_future(failure.wait())
            try:
                await asyncio.wait({talk, fails}, return_when=asyncio.FIRST_COMPLETED)
                if fails.done():
                    await fails
                await talk
            finally:
                for task in (talk, fails):
                    task.cancel()
                await asyncio.gather(talk, fails, return_exceptions=True)

    return Failing


_MAKERS: dict[type[Stage[Any]], Callable[[Any, Failure], Any]] = {
    Source: _source,
    Transform: _transform,
    Peer: _peer,
    Sink: _sink,
}
