"""Reloads of a command's run: when a file is saved, and when SIGHUP comes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from rtpipe.errors import ConfigError, RtpipeError
from rtpipe.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from rtpipe.language.loading import Loaded
    from rtpipe.running.runtime import Pipeline
    from rtpipe.wording.diagnostics import Diagnostic

_LOOK_S = 0.5
"""How often files are looked at; a change is taken when it has stood for as long."""

_Stamp = tuple[int, int, int] | None


class Screen(Protocol):
    """Where a person reads what is wrong."""

    def tell_diagnostics(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Show them."""


class Reloads:
    """Lets running pipelines reload, and tells what is wrong with their files.

    An extension of a running pipeline, which watches its files where that is asked for.

    Args:
        screen: Shows what is wrong.
        watch: Whether the files are watched.
    """

    def __init__(self, screen: Screen, *, watch: bool) -> None:
        self._screen = screen
        self._watch = watch
        self._files: dict[Pipeline, frozenset[Path]] = {}
        self._at_work: set[asyncio.Task[None]] = set()

    def add(self, pipeline: Pipeline, loaded: Loaded, loader: Callable[[], Loaded] | None) -> None:
        """Let `pipeline`, made of `loaded`, be loaded again by `loader`."""
        self._files[pipeline] = loaded.files
        if loader is not None:
            pipeline.loader = lambda: self._noted(pipeline, loader)

    def ask(self, pipelines: Iterable[Pipeline]) -> None:
        """Let pipelines reload, each in its time."""
        for pipeline in pipelines:
            task = asyncio.ensure_future(self._reload(pipeline))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    @hookimpl
    def rtpipe_running(self, pipeline: Pipeline) -> object:
        """Watch the files of `pipeline` until it has ended, if that was asked for."""
        return self._watching(pipeline) if self._watch and pipeline in self._files else None

    @asynccontextmanager
    async def _watching(self, pipeline: Pipeline) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._look(pipeline))
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _look(self, pipeline: Pipeline) -> None:
        before = seen = await self._stamps(pipeline)
        while True:
            await asyncio.sleep(_LOOK_S)
            now = await self._stamps(pipeline)
            if now != before and now == seen:  # an editor may write more than once
                await self._reload(pipeline)
                after = await self._stamps(pipeline)  # of other files, perhaps
                # What was saved while they were read is seen next time.
                before = {file: now.get(file, stamp) for file, stamp in after.items()}
            seen = now

    async def _stamps(self, pipeline: Pipeline) -> Mapping[Path, _Stamp]:
        return await asyncio.to_thread(lambda: {f: _stamp(f) for f in self._files[pipeline]})

    async def _reload(self, pipeline: Pipeline) -> None:
        try:
            await pipeline.reload()
        except ConfigError as error:
            self._screen.tell_diagnostics(error.diagnostics)
        except RtpipeError:
            pass  # its event says so

    def _noted(self, pipeline: Pipeline, loader: Callable[[], Loaded]) -> Loaded:
        """Load, and remember what was read, so that the repair of what is wrong is seen."""
        try:
            loaded = loader()
        except ConfigError as error:
            self._files[pipeline] |= error.files
            raise
        self._files[pipeline] = loaded.files
        return loaded


def hangs_up() -> bool:
    """Return whether SIGHUP means that the terminal is gone, and not that files have changed."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False


def _stamp(path: Path) -> _Stamp:
    """Return what differs when a file was written or replaced; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
