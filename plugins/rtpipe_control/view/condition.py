"""The condition: what a pipeline is doing, in one sentence, and what is wrong with it.

Computed here once, for the page, the terminal view and whoever else wants to say it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from rtpipe_control.view.alerts import Alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rtpipe import Event

Tone = Literal["", "visitor", "model", "ink", "fault"]
"""Whose colour the sentence has; ink: what a person has done; fault: nothing goes on."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What goes on now.

    Attributes:
        text: The sentence: subject, verb, full stop.
        why: The reason, or what comes next; "" where there is nothing to say.
        tone: See `Tone`.
        sign: The picture beside it: speaker, mic, muted, think, call, lost, end, record, flow.
        since: The pipeline second at which it began.
    """

    text: str
    why: str = ""
    tone: Tone = ""
    sign: str = "flow"
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class StageNow:
    """What the condition needs to know of a stage.

    Attributes:
        family: source, transform, peer or sink.
        kind: What stands there now.
        status: Its status.
        opening: Whether it is being opened.
        ended: Whether its stream has ended.
        options: Its options.
    """

    family: str
    kind: str
    status: str
    opening: bool
    ended: bool
    options: Mapping[str, Any]


@dataclass(slots=True)
class _Facts:
    """What events have said, each with the pipeline second since when."""

    user: float | None = None
    answer: float | None = None
    thinking: float | None = None
    calling: tuple[float, float] | None = None
    calls_again: tuple[float, int] | None = None
    spoken: bool = False
    muted: dict[str, float] = field(default_factory=dict)
    paused: dict[str, float] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)


def _user_started(facts: _Facts, event: Event) -> None:
    facts.user, facts.thinking, facts.spoken = event.at, None, True


def _user_stopped(facts: _Facts, event: Event) -> None:
    facts.user, facts.thinking = None, event.at


def _answer_started(facts: _Facts, event: Event) -> None:
    facts.answer, facts.thinking, facts.spoken = event.at, None, True


def _answer_stopped(facts: _Facts, _: Event) -> None:
    facts.answer = None


def _calling(facts: _Facts, event: Event) -> None:
    facts.calling = (event.at, float(event.payload().get("timeout_s") or 0.0))


def _calling_again(facts: _Facts, event: Event) -> None:
    facts.calls_again = (event.at, int(event.payload()["attempt"]))
    _silent(facts, event)


def _connected(facts: _Facts, _: Event) -> None:
    facts.calling = facts.calls_again = None


def _silent(facts: _Facts, _: Event) -> None:
    facts.user = facts.answer = facts.thinking = None


def _closed(facts: _Facts, event: Event) -> None:
    facts.closed.add(event.source)


def _opened(facts: _Facts, event: Event) -> None:
    facts.closed.discard(event.source)


def _muted(facts: _Facts, event: Event) -> None:
    facts.muted.setdefault(event.source, event.at)


def _unmuted(facts: _Facts, event: Event) -> None:
    facts.muted.pop(event.source, None)


def _paused(facts: _Facts, event: Event) -> None:
    facts.paused.setdefault(event.source, event.at)


def _recording(facts: _Facts, event: Event) -> None:
    facts.paused.pop(event.source, None)


_TOLD: dict[str, Callable[[_Facts, Event], None]] = {
    "turn.user_started": _user_started,
    "turn.user_stopped": _user_stopped,
    "turn.answer_started": _answer_started,
    "turn.answer_stopped": _answer_stopped,
    "realtime.calling": _calling,
    "realtime.reconnecting": _calling_again,
    "realtime.connected": _connected,
    "realtime.disconnected": _silent,
    "mute_gate.closed": _closed,
    "mute_gate.opened": _opened,
    "mic.muted": _muted,
    "mic.unmuted": _unmuted,
    "recorder.paused": _paused,
    "recorder.resumed": _recording,
    "recorder.started": _recording,
    "recorder.stopped": _recording,
}


class Condition:
    """Follows a pipeline's events."""

    def __init__(self) -> None:
        self._facts = _Facts()
        self._alerts = Alerts()
        self._said = Sentence("Starting.", sign="call")

    def take(self, event: Event) -> bool:
        """Take note of an event; returns whether it may have changed what is said."""
        told = _TOLD.get(event.type)
        if told is not None:
            told(self._facts, event)
        return self._alerts.take(event) or told is not None

    def show(self, state: str, stages: Mapping[str, StageNow], now: float) -> dict[str, Any]:
        """Return the sentence and the alerts.

        Args:
            state: Of the pipeline: opening, running, stopping or ended.
            stages: The stages by id, as they are.
            now: Pipeline seconds.
        """
        said = self._sentence(state, stages, now)
        if (said.text, said.tone) != (self._said.text, self._said.tone) and not said.since:
            said = replace(said, since=now)
        elif not said.since:
            said = replace(said, since=self._said.since)
        self._said = said
        shown = asdict(said)
        shown["since"] = round(said.since, 2)
        return {**shown, "alerts": self._alerts.show()}

    def _sentence(self, state: str, stages: Mapping[str, StageNow], now: float) -> Sentence:
        facts = self._facts
        if state != "running":
            return self._at_the_ends(state, stages, now)
        lost = self._alerts.lost(stages)
        if lost is not None:
            return Sentence(**lost)
        if facts.calls_again is not None:
            since, attempt = facts.calls_again
            return Sentence(
                "Calling the model again…",
                f"For {now - since:.0f} s, attempt {attempt}. The model hears nothing meanwhile.",
                sign="call",
                since=since,
            )
        if facts.muted:
            since = min(facts.muted.values())
            return Sentence(
                "The microphone is muted.",
                "Nobody is heard until somebody unmutes it.",
                "ink",
                "muted",
                since,
            )
        return self._in_conversation(stages, now) or self._without_words(stages)

    def _at_the_ends(self, state: str, stages: Mapping[str, StageNow], now: float) -> Sentence:
        facts = self._facts
        if state == "ended":
            return Sentence("The pipeline has ended.", sign="end")
        if state == "stopping":
            return Sentence("Stopping.", "What is queued plays to its end.", sign="end")
        opening = next((id for id, stage in stages.items() if stage.opening), None)
        if facts.calling is not None:
            since, patience_s = facts.calling
            most = f"; it may take {patience_s:.0f}" if patience_s else ""
            why = f"For {now - since:.1f} s{most}. The microphone opens when the call stands."
            return Sentence("Calling the model…", why, sign="call", since=since)
        return Sentence(
            "Starting.", f"`{opening}` is being opened." if opening else "", sign="call"
        )

    def _in_conversation(self, stages: Mapping[str, StageNow], now: float) -> Sentence | None:
        """Return who speaks, or that nobody does; None where there is nobody to talk to."""
        if not any(stage.family == "peer" for stage in stages.values()):
            return None
        facts = self._facts
        if facts.answer is not None:
            why = self._gate(stages) or "The microphone is open."
            return Sentence("The desk is speaking.", why, "model", "speaker", facts.answer)
        if facts.user is not None:
            return Sentence(
                "The visitor is speaking.", "The desk listens.", "visitor", "mic", facts.user
            )
        if facts.thinking is not None:
            why = f"For {now - facts.thinking:.1f} s."
            return Sentence("The desk is thinking.", why, "", "think", facts.thinking)
        sources = [stage for stage in stages.values() if stage.family == "source"]
        if sources and all(stage.ended for stage in sources):
            return Sentence(
                "Nobody speaks any more.", "What was to be heard has ended.", sign="end"
            )
        shut = [id for id in facts.closed if id in stages]
        if shut:
            return Sentence(
                "The microphone is closed.",
                f"`{shut[0]}` lets nothing through; open it, or hold Talk.",
                "ink",
                "muted",
            )
        silent = "" if facts.spoken else " Nobody has spoken yet."
        return Sentence(f"Ready.{silent}", "The microphone is open.", sign="mic")

    def _gate(self, stages: Mapping[str, StageNow]) -> str:
        """Return for how long a gate keeps the microphone closed; "" where none does."""
        for id in self._facts.closed:
            stage = stages.get(id)
            if stage is not None and stage.options.get("mode") == "half_duplex":
                tail_s = float(stage.options.get("tail_ms") or 0.0) / 1000
                return (
                    f"The microphone is closed until {tail_s:g} s after the last word; "
                    "then the desk listens again."
                )
            if stage is not None:
                return "The microphone is closed."
        return ""

    def _without_words(self, stages: Mapping[str, StageNow]) -> Sentence:
        if self._facts.paused:
            since = min(self._facts.paused.values())
            return Sentence("The recording is paused.", "Nothing is kept.", "ink", "muted", since)
        recorders = [id for id, stage in stages.items() if stage.kind == "recorder"]
        if recorders:
            return Sentence("Recording.", _listed(recorders), sign="record")
        ends = [id for id, stage in stages.items() if stage.family == "sink"]
        return Sentence("Running.", f"Audio goes to {_listed(ends)}." if ends else "", sign="flow")


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(f"`{id}`" for id in ids)
