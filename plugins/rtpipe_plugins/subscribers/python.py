"""`python`: events as calls of a function of yours."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from rtpipe import Event, Options, PluginError, Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable


class PythonOptions(Options):
    """Call a function for each event."""

    main: ClassVar[str | None] = "target"

    target: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
    """`module:function`. It is given the event. A plain function is called in a thread, an
    `async def` on the event loop; one event at a time, in order."""


class Python(Subscriber[PythonOptions]):
    """Calls a function; what it raises is published as `stage.failed`, and the next event comes.

    - match: transcript.user
      python: desk_rules:on_question
    """

    kind = "python"
    _call: Callable[[Event], Any]

    async def open(self) -> None:
        """Import the function.

        Raises:
            PluginError: There is no such module, or no such function in it.
        """
        module, _, name = self.options.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception as error:  # importing runs code that may raise anything
            raise PluginError(
                f"cannot import {self.options.target}: {type(error).__name__}: {error}",
                help="the module must be installed, or lie in a folder of PYTHONPATH",
            ) from error
        if not callable(found):
            raise PluginError(f"{self.options.target} is not a function")
        self._call = found

    async def on_event(self, event: Event) -> None:
        """Call the function and wait until it is done."""
        if inspect.iscoroutinefunction(self._call):
            await self._call(event)
        else:
            result = await asyncio.to_thread(self._call, event)
            if inspect.isawaitable(result):
                await result
