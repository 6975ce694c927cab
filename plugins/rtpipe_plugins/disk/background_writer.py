"""Writing files off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from rtpipe import StageError, reason_of
from rtpipe_plugins.child.thread import OwnThread
from rtpipe_plugins.media.encoding import write_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_plugins.media.encoding import Writer


_SHORT = 24_000
"""Samples; shorter pieces are joined, as a call of the encoder costs more than to copy them."""


class BackgroundWriter:
    """Writes in one thread, a batch at a time, so that a slow disk never holds the event loop.

    Args:
        path: For errors.
        open_writer: Opens the file; called in the thread, before the first batch.
        batch: How many samples make a batch.
    """

    def __init__(self, path: Path, open_writer: Callable[[], Writer], *, batch: int) -> None:
        self._path = path
        self._open_writer = open_writer
        self._batch = batch
        self._thread = OwnThread(path.name)
        self._writer: Writer | None = None
        self._pending: list[Sequence[NDArray[np.int16]]] = []
        self._pending_samples = 0
        self._job: asyncio.Future[None] | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether it was closed, or failed."""
        return self._ended

    async def write(self, *tracks: NDArray[np.int16]) -> None:
        """Take the same number of samples for every track; waits while the disk is behind.

        Raises:
            StageError: This or something before it could not be written.
        """
        if self._ended:
            raise StageError(f"{self._path} cannot be written any more")
        self._pending.append(tracks)
        self._pending_samples += len(tracks[0])
        if self._pending_samples >= self._batch:
            await self._settled()
            self._start()

    async def flush(self) -> None:
        """Return when everything that was taken has been written.

        Raises:
            StageError: It could not be.
        """
        await self._settled()
        self._start()
        await self._settled()

    async def close(self) -> None:
        """Write what is held and complete the file; an empty one, if nothing was written.

        Raises:
            StageError: It could not be completed.
        """
        try:
            if not self._ended:
                self._ended = True
                await self.flush()
                self._job = self._thread.start(self._complete)
                await self._settled()
        finally:
            await self._thread.end(self._abandon)

    def _start(self) -> None:
        """Hand what is pending to the thread."""
        batch, self._pending, self._pending_samples = self._pending, [], 0
        self._job = self._thread.start(self._write, batch)

    async def _settled(self) -> None:
        """Wait for what the thread is doing."""
        if self._job is None:
            return
        try:
            await asyncio.shield(self._job)  # cancelling whoever waits must not lose a batch
        except write_errors() as error:
            self._job = None
            self._ended = True
            raise StageError(f"cannot write {self._path}: {reason_of(error)}") from error
        self._job = None

    def _write(self, batch: list[Sequence[NDArray[np.int16]]]) -> None:
        import numpy as np

        if self._writer is None:
            self._writer = self._open_writer()
        if batch and len(batch[0][0]) < _SHORT:
            batch = [[np.concatenate(track) for track in zip(*batch, strict=True)]]
        for tracks in batch:
            self._writer.write(tracks)

    def _complete(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _abandon(self) -> None:
        """Close after an error, which has been told: a full disk makes closing fail, too."""
        with contextlib.suppress(*write_errors()):
            self._complete()
