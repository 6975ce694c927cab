"""What a stage with a device is told while it runs: whether it is muted, and by other options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from rtpipe import StageContext
    from rtpipe.field_types import Place


class Muting:
    """A mute that lasts as long as the stage's place in the pipeline.

    Who muted a microphone must not be heard because the stage has failed and was opened again.

    Args:
        ctx: The stage's; all that take its place share `ctx.place`.
        at_first: Whether the file wants it muted.
    """

    _muted: ClassVar[WeakKeyDictionary[Place, bool]] = WeakKeyDictionary()

    def __init__(self, ctx: StageContext, *, at_first: bool) -> None:
        self._place = ctx.place
        self._muted.setdefault(self._place, at_first)

    def __bool__(self) -> bool:
        """Return whether it is muted."""
        return self._muted[self._place]

    def set(self, *, muted: bool) -> bool:
        """Mute, or no longer; returns whether that is new."""
        new = muted != bool(self)
        self._muted[self._place] = muted
        return new

    def why_not(self, action: str) -> str:
        """Return why `mute` or `unmute` is of no use now; "": it is, or it is another action."""
        if action == "mute" and self:
            return "it is muted already"
        return "it is not muted" if action == "unmute" and not self else ""


def act_on(stage: Any, before: Any, options: Any) -> None:
    """Do what the actions of a stage with a device do, where its options are others now."""
    if options.device != before.device:
        stage.use(options.device)
    if options.mute != before.mute:
        (stage.mute if options.mute else stage.unmute)()
