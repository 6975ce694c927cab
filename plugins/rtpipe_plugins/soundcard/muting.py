"""Whether a stage with a device is muted, also after what `on_error: restart` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from rtpipe import StageContext


class Muting:
    """A mute that lasts as long as the stage's place in the pipeline.

    Who muted a microphone must not be heard because the stage has failed and was opened again.

    Args:
        ctx: The stage's; all that take its place get the same.
        at_first: Whether the file wants it muted.
    """

    _muted: ClassVar[WeakKeyDictionary[StageContext, bool]] = WeakKeyDictionary()

    def __init__(self, ctx: StageContext, *, at_first: bool) -> None:
        self._ctx = ctx
        self._muted.setdefault(ctx, at_first)

    def __bool__(self) -> bool:
        """Return whether it is muted."""
        return self._muted[self._ctx]

    def set(self, *, muted: bool) -> bool:
        """Mute, or no longer; returns whether that is new."""
        new = muted != bool(self)
        self._muted[self._ctx] = muted
        return new

    def why_not(self, action: str) -> str:
        """Return why `mute` or `unmute` is of no use now; "": it is, or it is another action."""
        if action == "mute" and self:
            return "it is muted already"
        return "it is not muted" if action == "unmute" and not self else ""
