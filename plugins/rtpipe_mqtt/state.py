"""What is shown of a pipeline at a broker: what a person beside it would want to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpipe import Event, Pipeline

WORDS = 255
"""So many characters of what was said; a state in Home Assistant holds no more."""
_MUTES = (("mute", "unmute"), ("close", "open"))
_SPEAKS = {
    "turn.user_started": "visitor",
    "turn.user_stopped": "",
    "turn.answer_started": "model",
    "turn.answer_stopped": "",
    "realtime.disconnected": "",
}
_CALLS = {
    "realtime.calling": "calling",
    "realtime.reconnecting": "calling",
    "realtime.connected": "connected",
    "realtime.disconnected": "ended",
}
_RUNS = {
    "pipeline.started": "running",
    "pipeline.stopping": "stopping",
    "pipeline.ended": "ended",
}
_SAID = {"transcript.user": "visitor", "transcript.assistant": "model"}


@dataclass(frozen=True, slots=True)
class MuteSwitch:
    """The two actions that silence the visitor, and let him be heard again.

    Attributes:
        stage: Whose they are.
        mute: The one.
        unmute: The other.
    """

    stage: str
    mute: str
    unmute: str


def mute_switch(pipeline: Pipeline) -> MuteSwitch | None:
    """Return what mutes the visitor now; None: nothing does."""
    found = [
        (kind, order, MuteSwitch(stage.id, mute, unmute))
        for order, stage in enumerate(pipeline.describe())
        for kind, (mute, unmute) in enumerate(_MUTES)
        if stage.family in {"source", "transform"} and {mute, unmute} <= stage.actions.keys()
    ]
    return min(found, key=lambda each: each[:2])[2] if found else None


class Watch:
    """Follows a pipeline, and says how it is.

    Args:
        pipeline: Which.
        words: Whether what was said is part of it.
    """

    def __init__(self, pipeline: Pipeline, *, words: bool) -> None:
        self._pipeline = pipeline
        self._words: dict[str, str] = {"visitor": "", "model": ""} if words else {}
        self._state, self._call, self._speaks = "starting", "", ""

    def take(self, event: Event) -> None:
        """Take note of what happened."""
        told = event.type
        self._state = _RUNS.get(told, self._state)
        self._call = _CALLS.get(told, self._call)
        self._speaks = _SPEAKS.get(told, self._speaks)
        if told in _SAID and self._words:
            said = self._pipeline.spec.masked(f"{event.payload().get('text') or ''}").strip()
            short = said if len(said) <= WORDS else said[: WORDS - 1] + "…"
            self._words[_SAID[told]] = short

    def state(self) -> dict[str, Any]:
        """Return how it is, JSON-ready.

        `state`: starting, running, stopping or ended. `call`: calling, connected or ended; "" where
        there is none. `speaks`: visitor, model or "". `muted`: whether the visitor is; null where
        nothing could mute him. `stages`: the status of each. `trouble`: what the first that is not
        well says. `visitor`, `model`: what was said last.
        """
        states = self._pipeline.state()
        ill = [each for each in states if each.status.value in {"recovering", "failed"}]
        trouble = f"{ill[0].id}: {ill[0].detail or ill[0].status.value}" if ill else ""
        return {
            "state": self._state,
            "call": self._call,
            "speaks": self._speaks,
            "muted": self._muted(),
            "trouble": self._pipeline.spec.masked(trouble)[:WORDS],
            "stages": {each.id: each.status.value for each in states},
            **self._words,
        }

    def _muted(self) -> bool | None:
        switch = mute_switch(self._pipeline)
        if switch is None:
            return None
        return switch.unmute not in self._pipeline.refusals()[switch.stage]
