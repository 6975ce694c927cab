"""`python`: events as calls of a function of yours."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe import Event, Options, Subscriber
from rtpipe_plugins.child.function import TargetName, function_at

if TYPE_CHECKING:
    from collections.abc import Callable


class PythonOptions(Options):
    """Call a function for each event."""

    main: ClassVar[str | None] = "target"

    target: TargetName
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
        self._call = function_at(self.options.target)

    async def on_event(self, event: Event) -> None:
        """Call the function and wait until it is done."""
        if inspect.iscoroutinefunction(self._call):
            await self._call(event)
        else:
            result = await asyncio.to_thread(self._call, event)
            if inspect.isawaitable(result):
                await result
