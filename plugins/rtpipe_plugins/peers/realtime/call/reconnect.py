"""When to try again: exponential back-off with full jitter, so that clients spread out."""

from __future__ import annotations

from pydantic import Field

from rtpipe import Backoff, Options

_PATIENCE_S = 300.0
"""However long a server says that it wants to be left alone."""


class Reconnect(Options):
    """How a lost call is called again, while the pipeline goes on."""

    initial_s: float = Field(default=0.5, gt=0)
    """The first pause is chance between none and this; each further one may be twice as long."""
    max_s: float = Field(default=15.0, gt=0)
    """No pause is longer, except where the server asks for it."""
    give_up_s: float | None = Field(default=None, gt=0)
    """End the stage when there has been no call for so long. `null`: never."""

    @property
    def backoff(self) -> Backoff:
        """The pauses: full jitter, so that the clients of a server that was away spread out."""
        return Backoff(self.initial_s, self.max_s, jitter=1.0, patience_s=_PATIENCE_S)
