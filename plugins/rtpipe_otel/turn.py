"""One turn: from the visitor's first word to the answer's last, as spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_otel import conventions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe import Event
    from rtpipe_otel.spans import Attributes, Span

_MOST_PARTS = 64
"""Answers and functions of one turn that are traced, each: a model may call for ever."""


class Turn:
    """Follows a turn by its events. Times are pipeline seconds.

    Args:
        span: The turn's own.
        connected: The `realtime.connected` of the call.
        words: Whether what is said may be told.
    """

    def __init__(self, span: Span, connected: Mapping[str, Any], *, words: bool) -> None:
        self.span = span
        self._connected = connected
        self._words = words
        self._asked_at = span.start
        self._sounding: str | None = None
        self._answers: dict[str, Span] = {}
        self._tools: dict[str, Span] = {}
        self._running: set[str] = set()
        self._latency: list[Span] = []
        self._visitor = self._model = ""
        self._answered = self._speaking = False
        self.last_at = span.start

    def has(self, response_id: str) -> bool:
        """Return whether an answer is this turn's."""
        return response_id in self._answers or response_id == self._sounding

    @property
    def over(self) -> bool:
        """Whether the visitor has been answered, and nothing goes on."""
        return self._answered and self._sounding is None and not self._running

    @property
    def idle(self) -> bool:
        """Whether nobody speaks and nothing runs."""
        return not self._speaking and self._sounding is None and not self._running

    def take(self, event: Event) -> None:
        """Take an event of this turn."""
        self.last_at = event.at
        said = event.payload()
        match event.type:
            case "turn.user_started":
                self._speaking = True
            case "turn.user_stopped":
                self._speaking = False
                self._asked_at = event.at
                self._until(event.at)
            case "turn.answer_started":
                self._sounding = str(said.get("response_id", ""))
                self._answer(self._sounding, event.at)
                self._until(event.at)
            case "turn.answer_cut":
                self.span.attributes["rtpipe.turn.end_reason"] = "interrupted"
                self.span.attributes["rtpipe.turn.heard_ms"] = float(said.get("heard_ms", 0.0))
            case "turn.answer_stopped":
                self._sounding, self._answered = None, True
                self._until(event.at - float(said.get("quiet_s", 0.0)))
            case "latency.turn_measured":
                self._measured(said)
            case _:
                self._take_part(event, said)

    def finish(self) -> list[Span]:
        """Return the turn's spans, its own first."""
        self.span.attributes.setdefault(
            "rtpipe.turn.end_reason", "completed" if self._answered else "unanswered"
        )
        if self._words:
            reason = "stop"
            self.span.attributes |= conventions.said(self._visitor, self._model, reason)
        for name in self._running:
            self._tools[name].error = "unfinished"
        return [self.span, *self._latency, *self._answers.values(), *self._tools.values()]

    def _until(self, at: float) -> None:
        self.span.end = max(self.span.end, at)

    def _answer(self, response_id: str, at: float) -> Span | None:
        """Return the span of an answer, which lasts at least until `at`."""
        span = self._answers.get(response_id)
        if span is None:
            if len(self._answers) >= _MOST_PARTS:
                return None
            model = str(self._connected.get("model") or "")
            name, attributes = conventions.answer(model, response_id)
            span = self.span.part(name, min(self._asked_at, at), at, client=True)
            span.attributes = {
                **attributes,
                **conventions.model_of(self._connected),
                **conventions.server_of(self._connected),
            }
            self._answers[response_id] = span
        span.end = max(span.end, at)
        return span

    def _take_part(self, event: Event, said: Mapping[str, Any]) -> None:
        """Take what tells of a part of the turn: words, a function, an answer."""
        if event.type == "transcript.user":
            self._visitor = f"{self._visitor} {said.get('text', '')}".strip()
        elif event.type == "transcript.assistant":
            self._model = f"{self._model} {said.get('text', '')}".strip()
        elif event.type.startswith("tool."):
            self._take_tool(event, said)
        elif "response_id" in said:
            self._take_response(event, said)

    def _take_response(self, event: Event, said: Mapping[str, Any]) -> None:
        span = self._answer(str(said["response_id"]), event.at)
        if span is None:
            return
        match event.type:
            case "realtime.tokens_used":
                span.attributes |= {**conventions.finished("stop"), **conventions.usage(said)}
            case "realtime.response_incomplete":
                span.attributes |= conventions.finished(str(said.get("reason") or "incomplete"))
            case "realtime.response_cancelled":
                span.attributes |= conventions.finished("cancelled")
                span.attributes["rtpipe.answer.cancelled_by"] = str(said.get("reason") or "")
            case "realtime.response_failed":
                span.attributes |= conventions.finished("error")
                span.error = self.span.error = str(said.get("code") or "response_failed")
        self._until(event.at)

    def _take_tool(self, event: Event, said: Mapping[str, Any]) -> None:
        call_id, name = str(said.get("call_id", "")), str(said.get("name", ""))
        if event.type == "tool.called":
            if len(self._tools) >= _MOST_PARTS:
                return
            title, attributes = conventions.tool(name, call_id)
            if self._words:
                attributes |= conventions.given(said.get("arguments"))
            self._tools[call_id] = span = self.span.part(title, event.at, event.at)
            span.attributes = attributes
            self._running.add(call_id)
            for answer in list(self._answers.values())[-1:]:
                answer.attributes |= conventions.finished("tool_call")
            return
        called = self._tools.get(call_id)
        if called is None:
            return
        self._running.discard(call_id)
        called.end = self._asked_at = event.at
        self._until(event.at)
        if event.type == "tool.failed":
            called.error = "tool_failed"
        elif self._words:
            called.attributes |= conventions.returned(said.get("output"))

    def _measured(self, said: Mapping[str, Any]) -> None:
        """Take what the visitor waited for: a span, and one for each part that took time.

        The parts stand in a row. The way to the server and back is one part, drawn before the
        model's, though half of it comes after.
        """
        parts: Attributes = {
            f"rtpipe.latency.{name}": float(value)
            for name, value in said.items()
            if name.endswith("_ms")
        }
        self.span.attributes |= parts
        begun, total_ms = float(said.get("spoken_at", 0.0)), float(said.get("total_ms", 0.0))
        whole = self.span.part("wait for the answer", begun, begun + total_ms / 1000)
        whole.attributes = {**parts, "rtpipe.latency.played": bool(said.get("played"))}
        self._latency = [whole]
        at = begun
        for name, value in said.items():
            if name.endswith("_ms") and name != "total_ms" and value:
                until = at + float(value) / 1000
                self._latency.append(whole.part(name.removesuffix("_ms"), at, until))
                at = until
