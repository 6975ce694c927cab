"""Function calling: which calls the model asks for, and their outputs in order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Recent
from rtpipe_plugins.peers.realtime.dialects.openai.messages import objects_of, text_of
from rtpipe_plugins.peers.realtime.tools.declarations import ToolCall

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_REMEMBERED = 256  # calls


@dataclass(slots=True)
class _Batch:
    """The calls of one response."""

    waiting: deque[str]
    continues: bool


class FunctionCalls:
    """The calls that have no output yet.

    Args:
        names: The functions that are answered here. One that the session declares beside them is
            somebody else's business; one that nobody declared is answered here, with an error.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)
        self._others: set[str] = set()
        self._batches: list[_Batch] = []
        self._outputs: dict[str, str] = {}
        self._seen: Recent[str, None] = Recent(_REMEMBERED)

    @property
    def pending(self) -> bool:
        """Whether the model waits for an output."""
        return bool(self._batches)

    def declared(self, session: Mapping[str, Any]) -> None:
        """Take the tools of a session, or of one response, as far as they are functions."""
        for tool in objects_of(session, "tools"):
            if (name := text_of(tool, "name")) and name not in self._names:
                self._others.add(name)

    def asked(self, response: Mapping[str, Any], *, interrupted: bool) -> list[ToolCall]:
        """Return what a completed response asks for; after an `interrupted` one nobody goes on.

        Only now: an answer that is cut off ends its calls too, with half of their arguments.
        """
        calls = [
            ToolCall(text_of(item, "call_id"), text_of(item, "name"), text_of(item, "arguments"))
            for item in objects_of(response, "output")
            if item.get("type") == "function_call" and text_of(item, "name") not in self._others
        ]
        # One whose function cannot be read is told as an event that could not be used, no more.
        readable = (call for call in calls if call.call_id and call.name)
        fresh = [call for call in readable if self._is_news(call.call_id)]
        if fresh:
            waiting = deque(call.call_id for call in fresh)
            self._batches.append(_Batch(waiting, continues=not interrupted))
        return fresh

    def interrupted(self) -> None:
        """The visitor has the word: the outputs are for the answer to what comes now."""
        for batch in self._batches:
            batch.continues = False

    def answered(self, call_id: str, output: str) -> tuple[list[tuple[str, str]], bool]:
        """Take an output; return the (call_id, output) pairs whose turn has come.

        Also returns whether the model is to go on: a response has all its outputs.
        """
        self._outputs[call_id] = output
        due: list[tuple[str, str]] = []
        goes_on = False
        for batch in list(self._batches):
            while batch.waiting and batch.waiting[0] in self._outputs:
                id = batch.waiting.popleft()
                due.append((id, self._outputs.pop(id)))
            if not batch.waiting:
                self._batches.remove(batch)
                goes_on = goes_on or batch.continues
        return due, goes_on

    def _is_news(self, call_id: str) -> bool:
        if call_id in self._seen:
            return False
        self._seen[call_id] = None
        return True
