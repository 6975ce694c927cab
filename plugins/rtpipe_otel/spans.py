"""Spans: what a trace consists of, before it is written down for anybody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = str | bool | int | float | tuple[str, ...]
Attributes: TypeAlias = dict[str, Value]


@dataclass(slots=True)
class Moment:
    """Something that happened during a span.

    Attributes:
        name: What.
        at: When (pipeline seconds).
        attributes: What is known of it.
    """

    name: str
    at: float
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """A part of a trace, from `start` to `end`.

    Attributes:
        name: What was done; one of few.
        trace_id: 16 bytes that all spans of a trace share.
        epoch_s: What is added to pipeline seconds to have Unix time; one for a trace, so that no
            clock that is set meanwhile tears it.
        start: Pipeline seconds.
        end: Pipeline seconds.
        parent_id: `span_id` of the span that this is a part of; empty for the root.
        client: Whether it was done by a server.
        error: What class of error it ended with; "" where none.
        span_id: 8 bytes of its own.
        attributes: What is known of it.
        moments: What happened meanwhile.
    """

    name: str
    trace_id: bytes
    epoch_s: float
    start: float
    end: float
    parent_id: bytes = b""
    client: bool = False
    error: str = ""
    span_id: bytes = field(default_factory=lambda: secrets.token_bytes(8))
    attributes: Attributes = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)

    def part(self, name: str, start: float, end: float, *, client: bool = False) -> Span:
        """Return a span within this one."""
        return Span(
            name,
            self.trace_id,
            self.epoch_s,
            start,
            max(start, end),
            parent_id=self.span_id,
            client=client,
        )
