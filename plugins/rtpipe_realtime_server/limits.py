"""The bounds of a server: what it holds and waits for at most. A client may be anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from rtpipe import Options
from rtpipe_realtime_server.flags import read_flags

if TYPE_CHECKING:
    from collections.abc import Iterable

Count: TypeAlias = Annotated[int, Field(ge=1)]


class Limits(Options):
    """What is refused when it is too much. Each refusal names its limit."""

    connections: Count = 256
    """So many connections at a time. One more is answered 503, `too_many_connections`."""
    request_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds in which a connection's first request must have its header here, and each request its
    body. What is slower is answered 408, `request_timeout`."""
    sessions: Count = 64
    """So many sessions at a time, calls and WebSockets together. One more is answered 503,
    `session_limit_reached`."""
    client_secrets: Count = 1000
    """So many ephemeral keys that have not expired. One more is answered 429,
    `client_secret_limit_reached`."""
    session_items: Count = 2000
    """So many items in a conversation. One more is an error event, `conversation_limit_reached`."""
    session_mb: Annotated[float, Field(gt=0)] = 64.0
    """So many MB of items in a conversation: texts, pictures, audio whose words are not known. What
    does not fit is an error event, `conversation_limit_reached`. A client that leaves more than so
    much unread is cut off."""

    @property
    def session_bytes(self) -> int:
        """`session_mb` in bytes."""
        return int(self.session_mb * 1e6)


def limits_from_flags(flags: Iterable[str]) -> Limits:
    """Return what `--limit NAME=VALUE`, given several times, asks for.

    Raises:
        ConfigError: There is no such limit, or it does not take the value.
    """
    return read_flags(flags, Limits, name="limit")
