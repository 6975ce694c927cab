"""Alerts: each cause of trouble with what goes on all the same, and what to do about it.

One for each cause; it goes when the cause goes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe import Event
    from rtpipe_control.view.condition import StageNow


@dataclass(frozen=True, slots=True)
class Choice:
    """What may be taken instead.

    Attributes:
        action: The action that takes it, `mic.use`.
        values: What to give it.
    """

    action: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """One cause of trouble.

    Attributes:
        id: What it is known by while it lasts.
        stage: Where it is.
        text: What is wrong, in a sentence.
        since: The pipeline second at which it began.
        goes_on: What goes on all the same; "" where nothing is known.
        steps: What to do, in order.
        choice: What may be taken instead, if anything.
    """

    id: str
    stage: str
    text: str
    since: float
    goes_on: str = ""
    steps: tuple[str, ...] = ()
    choice: Choice | None = None


class Alerts:
    """Follows a pipeline's events."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}

    def take(self, event: Event) -> bool:
        """Take note of an event; returns whether that changed anything."""
        before = len(self._alerts)
        ended = [f"{cause} {event.source}" for cause in _ENDS.get(event.type, ())]
        if event.type == "stage.status_changed" and event.payload()["status"] == "ok":
            # It is open: that it was slow to open is over. Audio that does not come is told later.
            ended += [f"stage {event.source}", f"waiting {event.source}"]
        for id in ended:
            self._alerts.pop(id, None)
        begin = _BEGINS.get(event.type)
        alert = None if begin is None else begin(event)
        if alert is not None:
            self._alerts.setdefault(alert.id, alert)
        return len(self._alerts) != before

    def show(self) -> list[dict[str, Any]]:
        """Return those that last, the oldest first."""
        return [asdict(alert) for alert in self._alerts.values()]

    def lost(self, stages: Mapping[str, StageNow]) -> dict[str, Any] | None:
        """Return the sentence about what keeps all from being heard, or from hearing, if any.

        While another source gives audio, or another loudspeaker plays it, an alert says it all.
        """
        down = {a.stage: a for a in self._alerts.values() if a.id.startswith(("device ", "stage "))}
        sources = [id for id, stage in stages.items() if stage.family == "source"]
        speakers = [id for id, stage in stages.items() if stage.kind == "speaker"]
        for ids, text in ((sources, "Nobody can be heard."), (speakers, "Nothing can be heard.")):
            if ids and down.keys() >= set(ids):
                first = min((down[id] for id in ids), key=lambda alert: alert.since)
                what = _WHAT.get(stages[first.stage].kind, f"`{first.stage}`")
                return {
                    "text": text,
                    "why": f"{what} is gone; rtpipe waits for it.",
                    "tone": "fault",
                    "sign": "lost",
                    "since": first.since,
                }
        return None


_WHAT = {"mic": "The microphone", "rtsp": "The camera", "speaker": "The loudspeaker"}


def _device_lost(event: Event) -> Alert:
    told = event.payload()
    others = tuple(f"{name}" for name in told.get("others") or ())
    what = "microphone" if told["direction"] == "input" else "loudspeaker"
    steps = ["Plug it in again: it is taken back by itself."]
    if others:
        steps.append("Or take another one.")
    choice = Choice(f"{event.source}.use", others) if others else None
    return Alert(
        f"device {event.source}",
        event.source,
        f'The {what} "{told["device"]}" {told["reason"]}.',
        event.at,
        "Everything else goes on: in its place there is silence.",
        tuple(steps),
        choice,
    )


def _device_muted(event: Event) -> Alert:
    return Alert(
        f"muted {event.source}",
        event.source,
        f'"{event.payload()["device"]}" is muted at the sound server.',
        event.at,
        "Everything goes on; it is silent.",
        ("Unmute it there: `pavucontrol`, or `pactl`.",),
    )


def _unwell(event: Event) -> Alert | None:
    told = event.payload()
    if told["status"] not in {"recovering", "failed"}:
        return None
    again = told["status"] == "recovering"
    detail = f": {told['detail']}" if told["detail"] else ""
    return Alert(
        f"stage {event.source}",
        event.source,
        f"`{event.source}` {'is down' if again else 'has failed'}{detail}.",
        event.at,
        "" if not again else "Everything else goes on.",
        ("It is opened again by itself.",) if again else ("Look at the events before it.",),
    )


def _waits(event: Event) -> Alert:
    told = event.payload()
    return Alert(
        f"waiting {event.source}",
        event.source,
        f"`{event.source}` {event.line()}.",
        event.at - float(told["waited_s"]),
    )


def _recorder_failed(event: Event) -> Alert:
    return Alert(
        f"recorder {event.source}",
        event.source,
        f"Nothing is recorded: {event.line()}.",
        event.at,
        "Everything else goes on.",
        ("Make room on the disk, or mend its folder: it is tried again until it can.",),
    )


def _call_lost(event: Event) -> Alert:
    return Alert(
        f"call {event.source}",
        event.source,
        f"There is no call: {event.payload()['reason']}.",
        event.at,
        "Everything else goes on; the model hears nothing.",
        ("It is called again by itself.",),
    )


def _budget_spent(event: Event) -> Alert:
    return Alert(
        f"budget {event.source}",
        event.source,
        "The conversation has cost what it may cost.",
        event.at,
        "",
        ("Raise `budget` in the file, and run it again.",),
    )


_BEGINS: dict[str, Callable[[Event], Alert | None]] = {
    "device.lost": _device_lost,
    "device.muted": _device_muted,
    "stage.status_changed": _unwell,
    "stage.waiting": _waits,
    "recorder.failed": _recorder_failed,
    "realtime.reconnecting": _call_lost,
    "realtime.budget_spent": _budget_spent,
}
_ENDS: dict[str, tuple[str, ...]] = {
    "device.returned": ("device",),
    "device.changed": ("device", "muted"),
    "device.unmuted": ("muted",),
    "stage.restarted": ("stage",),
    "stage.fell_back": ("stage", "device", "muted"),
    "stage.returned": ("stage", "device", "muted"),
    "stage.audio_started": ("waiting",),
    "recorder.recovered": ("recorder",),
    "recorder.started": ("recorder",),
    "recorder.stopped": ("recorder",),
    "realtime.connected": ("call",),
}
