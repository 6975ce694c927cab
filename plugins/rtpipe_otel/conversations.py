"""Conversations: which turns belong to one trace, and when it is complete."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from rtpipe import Importance
from rtpipe_otel import conventions
from rtpipe_otel.spans import Moment, Span
from rtpipe_otel.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe import Event

MATCH = (
    "latency.turn_measured",
    "realtime.connected",
    "realtime.disconnected",
    "realtime.reconnecting",
    "realtime.response_*",
    "realtime.rolled_over",
    "realtime.tokens_used",
    "tool.*",
    "transcript.*",
    "turn.answer_cut",
    "turn.answer_started",
    "turn.answer_stopped",
    "turn.user_*",
)
"""Events that tell of a conversation, whatever the dialect."""
SETTLED_S = 2.0
"""How long after an answer what belongs to it may still come: its words, its latency."""
_MOST_MOMENTS = 64


class Conversation:
    """The conversation of one peer: a trace until it is over, then another.

    Args:
        stage: The peer's id.
        agent: What the pipeline is called.
        send: Takes each span once it is complete.
        epoch: Returns what is added to pipeline seconds to have Unix time.
        words: Whether what is said may be told.
    """

    def __init__(
        self,
        stage: str,
        agent: str,
        send: Callable[[Span], None],
        epoch: Callable[[], float],
        *,
        words: bool,
    ) -> None:
        self._stage, self._agent, self._words = stage, agent, words
        self._send, self._epoch = send, epoch
        self._connected: Mapping[str, Any] = {}
        self._session = self._traced_session = ""
        self._root: Span | None = None
        self._turns: list[Turn] = []
        """The one that is held, behind one whose answer is just being cut off."""
        self._numbers = 0
        self._last_at = 0.0

    def take(self, event: Event) -> None:
        """Take one of the events of `MATCH`."""
        said = event.payload()
        match event.type:
            case "realtime.connected" | "realtime.rolled_over":
                if event.type == "realtime.connected":
                    self._connected = dict(said)
                self._session = str(said.get("session_id") or "")
                self._happened(event)
            case "realtime.disconnected" | "realtime.reconnecting":
                self._happened(event)
                if event.type == "realtime.disconnected" and not _lost(event):
                    self.end()
            case "turn.user_started":
                self._begin(event)
            case _:
                self._belongs(event)

    def look(self, now: float, idle_s: float) -> None:
        """Send what is complete by now."""
        for turn in list(self._turns):
            if turn.over and now - turn.last_at >= SETTLED_S:
                self._finish(turn)
        idle = all(turn.idle for turn in self._turns)
        if self._root is not None and idle and now - self._last_at >= idle_s:
            self.end()

    def end(self) -> None:
        """The conversation is over: send all that there is of it."""
        for turn in list(self._turns):
            self._finish(turn)
        root, self._root = self._root, None
        if root is not None:
            root.attributes["rtpipe.turns"] = self._numbers
            self._send(root)

    def _belongs(self, event: Event) -> None:
        """Give an event to the turn that it tells of."""
        response_id = event.payload().get("response_id")
        known = [turn for turn in self._turns if response_id and turn.has(str(response_id))]
        if known:
            turn = known[0]
        elif event.type == "turn.answer_started" and not self._turns:
            turn = self._begin(event)  # a greeting, or `say`
        elif self._turns:
            turn = self._turns[-1]
        else:
            return  # late news of a turn that was sent
        turn.take(event)
        self._heard(event.at)
        if turn is not self._turns[-1] and turn.over:
            self._finish(turn)

    def _begin(self, event: Event) -> Turn:
        """Begin a turn, and a conversation where none is held."""
        for turn in self._turns[:-1]:
            self._finish(turn)
        if self._turns and self._turns[-1].idle:
            self._finish(self._turns[-1])
        if self._root is not None and self._session != self._traced_session:
            self.end()
        if self._root is None:
            self._trace(event.at)
        assert self._root is not None
        self._numbers += 1
        name, attributes = conventions.turn(self._agent)
        span = self._root.part(name, event.at, event.at)
        span.attributes = {
            **attributes,
            **conventions.model_of(self._connected),
            **conventions.conversation(self._session),
            "rtpipe.turn.number": self._numbers,
        }
        turn = Turn(span, self._connected, words=self._words)
        self._turns.append(turn)
        if event.type == "turn.user_started":
            turn.take(event)
        self._heard(event.at)
        return turn

    def _trace(self, at: float) -> None:
        self._numbers, self._traced_session = 0, self._session
        self._root = Span("conversation", secrets.token_bytes(16), self._epoch(), at, at)
        self._root.attributes = {
            **conventions.conversation(self._session),
            **conventions.model_of(self._connected),
            **conventions.server_of(self._connected),
            "rtpipe.pipeline": self._agent,
            "rtpipe.stage": self._stage,
        }

    def _finish(self, turn: Turn) -> None:
        self._turns.remove(turn)
        for span in turn.finish():
            self._heard(span.end, span.end)
            self._send(span)

    def _heard(self, at: float, until: float = 0.0) -> None:
        self._last_at = max(self._last_at, at)
        if self._root is not None:
            self._root.end = max(self._root.end, until)

    def _happened(self, event: Event) -> None:
        """Note what happened to the call."""
        if self._root is not None and len(self._root.moments) < _MOST_MOMENTS:
            said = {
                f"rtpipe.{name}": value
                for name, value in event.payload().items()
                if name in {"outage_s", "attempt", "forced", "items"}
            }
            self._root.moments.append(Moment(event.type, event.at, said))
            self._root.end = max(self._root.end, event.at)


def _lost(event: Event) -> bool:
    """Return whether a call was lost, and the conversation may go on in another."""
    return type(event).importance >= Importance.WARNING
