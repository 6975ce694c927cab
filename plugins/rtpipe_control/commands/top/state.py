"""What is known of a run: its snapshot, brought up to date by each message of its surface."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtpipe_control.commands.top.cells import clean

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("device", "dsp", "queue", "hangover", "network", "model", "jitter", "playout")
"""Of a wait, in the order in which they pass."""
HISTORY_S = 20.0
_MOST_EVENTS = 400
_MOST_SAID = 200
_MOST_WARNINGS = 50
_STEP_S = 0.2
_FRESH_S = 0.5


@dataclass(slots=True)
class Said:
    """A line of the conversation, which may still grow.

    Attributes:
        id: The item's.
        speaker: visitor or desk.
        at: When it began (pipeline s).
        text: As far as it is known.
        response: The answer it belongs to, if any.
        whole: Whether nothing more comes.
        cut: Whether it was interrupted.
    """

    id: str
    speaker: str
    at: float
    text: str = ""
    response: str = ""
    whole: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """How long an answer was waited for.

    Attributes:
        at: When the visitor had stopped (pipeline s).
        total_ms: From there to the first sound.
        parts: What passed, by `PARTS` (ms).
    """

    at: float
    total_ms: float
    parts: dict[str, float]


@dataclass(slots=True)
class State:
    """A run as it is known; `take` brings it up to date.

    Attributes:
        about: The last snapshot without what changes.
        stages: What changes of each, by id, with `id`, `family`, `inputs`, `options`, `actions`.
        asked: When the visitor last stopped speaking.
        answers: By answer, what `asked` was, and when it began.
        quiet_s: For how long nothing has come; set by who has a clock.
        gone: Why there is no connection; "" while there is one.
        ended: Whether it has said that it is over.
    """

    about: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: list[dict[str, Any]] = field(default_factory=list)
    condition: dict[str, Any] = field(default_factory=dict)
    state: str = ""
    now: float = 0.0
    levels: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    history: deque[tuple[float, dict[str, float]]] = field(default_factory=deque)
    gates: deque[tuple[float, str, bool]] = field(default_factory=lambda: deque(maxlen=200))
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))
    count: int = 0
    warnings: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST_WARNINGS))
    said: dict[str, Said] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    waits: list[Wait] = field(default_factory=list)
    facts: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What an event has said of a stage that its gauge does not, by stage and word."""
    quiet_s: float = 0.0
    gone: str = ""
    ended: bool = False
    asked: float | None = None
    answers: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str, data: Any) -> None:
        """Take note of a message of the surface."""
        match name:
            case "snapshot":
                self._begin(data)
            case "renewed":
                self.stages = {each["id"]: each for each in data["stages"]}
            case "event":
                self._hear(data)
            case "levels":
                self._measure(data["at"], data["levels"])
            case "state":
                self._change(data)
            case "condition":
                self.condition = data
            case "end":
                self.ended = True
            case "gone":
                self.gone = clean(data["reason"])

    @property
    def peer(self) -> dict[str, Any] | None:
        """The first stage that converses, if there is one."""
        return next((each for each in self.stages.values() if each["family"] == "peer"), None)

    def level(self, id: str) -> tuple[float, float] | None:
        """Return RMS and peak (dBFS) of what a stage gives out; None where nothing comes."""
        found = self.levels.get(id)
        return None if found is None or self.now - found[2] > _FRESH_S else found[:2]

    def unheard(self, said: Said) -> int:
        """Return how many of the last characters of a line have not sounded yet."""
        heard = self.heard.get(said.response) if said.response else None
        if heard is None:
            return 0
        for line in self.said.values():
            if line is said:
                break
            if line.response == said.response:
                heard -= len(line.text)
        return max(0, len(said.text) - max(0, heard))

    # -- messages ----------------------------------------------------------------------------------

    def _begin(self, snapshot: dict[str, Any]) -> None:
        """Begin anew with a snapshot: what was known is in it too."""
        fresh = State()
        recent = snapshot.pop("recent")
        stages = {each["id"]: each for each in snapshot.pop("stages")}
        fresh.about = snapshot
        fresh.stages = stages
        fresh._change({**snapshot, "stages": {}})
        for at, levels in recent.get("levels", ()):
            fresh.history.append((at, levels))
        told = [*recent["last"], *recent["conversation"]]
        for event in sorted(told, key=lambda event: float(event["at"])):
            fresh._learn(event)
        for event in recent["events"]:
            fresh._note(event)
        fresh.warnings.extend(recent["warnings"])
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def _change(self, data: dict[str, Any]) -> None:
        self.state, self.now, self.links = data["state"], data["now"], data["links"]
        self.condition = data["condition"]
        for id, changed in data["stages"].items():
            if id in self.stages:
                self.stages[id].update(changed)

    def _measure(self, at: float, levels: dict[str, list[float]]) -> None:
        self.now = max(self.now, at)
        for id, (rms, peak) in levels.items():
            self.levels[id] = (rms, peak, at)
        if not self.history or at - self.history[-1][0] >= _STEP_S - 0.01:
            self.history.append((at, {id: level[0] for id, level in levels.items()}))
        while at - self.history[0][0] > HISTORY_S + 1:
            self.history.popleft()

    def _hear(self, event: dict[str, Any]) -> None:
        self._learn(event)
        self._note(event)
        if event["importance"] in {"warning", "error"}:
            self.warnings.append(event)

    def _note(self, event: dict[str, Any]) -> None:
        """Add an event to the list; of a detail that repeats, only the newest."""
        self.count += event.get("count", 1)
        last = self.events[-1] if self.events else None
        like = last is not None and all(last[each] == event[each] for each in ("type", "source"))
        if last is not None and like and event["importance"] == "detail":
            self.events[-1] = {**event, "count": last.get("count", 1) + event.get("count", 1)}
        else:
            self.events.append(event)

    # -- what events say ---------------------------------------------------------------------------

    def _learn(self, event: dict[str, Any]) -> None:
        learn = _LEARNS.get(event["type"])
        if learn is not None:
            learn(self, event)

    def line_of(self, event: dict[str, Any], speaker: str) -> Said:
        """Return the line that an event is about; a new one where there is none."""
        id = f"{event.get('item_id') or event['at']}"
        if id not in self.said:
            response = f"{event.get('response_id') or ''}"
            at = self.answers.get(response, (0.0, event["at"]))[1]
            self.said[id] = Said(id, speaker, at, response=response)
            if len(self.said) > _MOST_SAID:
                del self.said[next(iter(self.said))]
        return self.said[id]


def _piece(state: State, event: dict[str, Any]) -> None:
    speaker = "desk" if event["type"].endswith("assistant") else "visitor"
    line = state.line_of(event, speaker)
    if not line.whole:
        line.text += f"{event['delta']}"


def _text(state: State, event: dict[str, Any]) -> None:
    speaker = "desk" if event["type"].endswith("assistant") else "visitor"
    line = state.line_of(event, speaker)
    line.text, line.whole = f"{event['text']}", True
    line.cut = bool(event.get("interrupted"))


def _user_stopped(state: State, event: dict[str, Any]) -> None:
    state.asked = event["at"]


def _answer_started(state: State, event: dict[str, Any]) -> None:
    asked = event["at"] if state.asked is None else state.asked
    state.answers[event["response_id"]] = (asked, event["at"])


def _heard(state: State, event: dict[str, Any]) -> None:
    if "heard_chars" in event:
        state.heard[event["response_id"]] = event["heard_chars"]


def _waited(state: State, event: dict[str, Any]) -> None:
    at, _ = state.answers.get(event["response_id"], (event["at"], 0.0))
    parts = {part: float(event.get(f"{part}_ms") or 0.0) for part in PARTS}
    state.waits.append(Wait(at, float(event["total_ms"]), parts))
    del state.waits[:-_MOST_SAID]


def _fact(word: str, value: Any) -> Callable[[State, dict[str, Any]], None]:
    def learn(state: State, event: dict[str, Any]) -> None:
        state.facts[event["source"], word] = value(event) if callable(value) else value

    return learn


def _gate(state: State, event: dict[str, Any]) -> None:
    closed = event["type"] == "mute_gate.closed"
    state.facts[event["source"], "closed"] = closed
    state.gates.append((event["at"], event["source"], closed))


_LEARNS: dict[str, Callable[[State, dict[str, Any]], None]] = {
    "transcript_delta.user": _piece,
    "transcript_delta.assistant": _piece,
    "transcript.user": _text,
    "transcript.assistant": _text,
    "turn.user_stopped": _user_stopped,
    "turn.answer_started": _answer_started,
    "turn.answer_heard": _heard,
    "turn.answer_cut": _heard,
    "latency.turn_measured": _waited,
    "mute_gate.closed": _gate,
    "mute_gate.opened": _gate,
    "vad.speech_started": _fact("speech", value=True),
    "vad.speech_stopped": _fact("speech", value=False),
    "recorder.started": _fact("path", lambda event: event.get("path", "")),
    "realtime.media_measured": _fact("media", lambda event: event),
    "realtime.connected": _fact("call", lambda event: event["at"]),
    "realtime.disconnected": _fact("call", value=None),
    "device.lost": _fact("lost", lambda event: event),
    "device.returned": _fact("lost", value=None),
    "device.changed": _fact("lost", value=None),
    "stage.fell_back": _fact("lost", value=None),
    "stage.returned": _fact("lost", value=None),
}
