"""`python`: events as calls of a function of yours."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr

from rtpipe import Event, Options, Specimen, Subscriber
from rtpipe_plugins.child.function import TargetName, function_at
from rtpipe_plugins.child.source import missing_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rtpipe import Finding


class PythonOptions(Options):
    """Call a function for each event."""

    main: ClassVar[str | None] = "target"

    target: TargetName
    """`module:function`; the module is installed, in a folder of PYTHONPATH or a file beside this
    one. It is given the event. A plain function is called in a thread, an `async def` on the event
    loop; one event at a time, in order."""
    _folder: Path | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Remember where the pipeline file lies."""
        self._folder = (context or {}).get("folder")

    @property
    def folder(self) -> Path | None:
        """Where the pipeline file lies."""
        return self._folder


class Python(Subscriber[PythonOptions]):
    """Calls a function; what it raises is published as `stage.failed`, and the next event comes.

    - match: transcript.user
      python: desk_rules:on_question
    """

    kind = "python"
    _call: Callable[[Event], Any]

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a function that takes anything."""
        yield Specimen({"target": "builtins:repr"})

    @classmethod
    def examine(cls, options: PythonOptions) -> Iterator[Finding]:
        """Look for the function without importing its module."""
        return missing_function(options.target, options.folder, "target", "event")

    async def open(self) -> None:
        """Import the function.

        Raises:
            PluginError: There is no such module, or no such function in it.
        """
        self._call = function_at(self.options.target, self.options.folder)

    async def on_event(self, event: Event) -> None:
        """Call the function and wait until it is done."""
        if inspect.iscoroutinefunction(self._call):
            await self._call(event)
        else:
            result = await asyncio.to_thread(self._call, event)
            if inspect.isawaitable(result):
                await result
