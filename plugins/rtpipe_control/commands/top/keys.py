"""The keys: what each does now, and why one does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtpipe_control.commands.top.state import State


@dataclass(frozen=True, slots=True)
class Key:
    """A key.

    Attributes:
        key: As it is written on the last line.
        label: What it does, in a word or two.
        about: What it does, in a sentence.
        stage: Whose action it calls; "" where it calls none.
        action: Which.
        why_not: Why it does nothing now; "" where it does.
    """

    key: str
    label: str
    about: str
    stage: str = ""
    action: str = ""
    why_not: str = ""


def keys(state: State, selected: str, *, talking: bool, listener: str) -> dict[str, Key]:
    """Return the keys by name.

    Args:
        state: Of the run.
        selected: The stage that is chosen; "" for none.
        talking: Whether the talk key was pressed and not yet pressed again.
        listener: Which program plays what is listened to; "" where there is none.
    """
    found = [
        _mute(state, selected),
        _talk(state, talking=talking),
        _one(state, "x", "stop", "Stop the answer that is being spoken.", "cancel", "peer"),
        _one(state, "s", "say", "Have the model speak a line.", "say", "peer"),
        Key("↑↓", "stage", "Choose a stage: its actions, options and events are shown."),
        _listen(state, selected, listener),
        _device(state, selected),
        _volume(state),
        Key("/", "match", "Show only events whose type or source matches."),
        Key("p", "pause", "Hold the events still."),
        Key("w", "warnings", "Show all warnings."),
        Key("?", "keys", "Show the keys, and why one does nothing."),
        Key("q", "quit", "Leave; the pipeline goes on."),
    ]
    if state.gone or state.ended:
        why = "it is over" if state.ended else "there is no connection"
        found = [
            Key(key.key, key.label, key.about, key.stage, key.action, why) if key.action else key
            for key in found
        ]
    return {key.key: key for key in found}


def action_of(stage: dict[str, Any], name: str) -> str | None:
    """Return why a stage's action cannot be done now, "" if it can; None where it has none."""
    if all(action["name"] != name for action in stage["actions"]):
        return None
    return f"{stage['why_not'].get(name, '')}"


def _with(state: State, *actions: str) -> list[dict[str, Any]]:
    return [
        stage
        for stage in state.stages.values()
        if all(action_of(stage, action) is not None for action in actions)
    ]


def _one(state: State, key: str, label: str, about: str, action: str, family: str) -> Key:
    found = [stage for stage in _with(state, action) if stage["family"] == family]
    if not found:
        return Key(key, label, about, why_not="nobody speaks in this pipeline")
    why = action_of(found[0], action) or ""
    return Key(key, label, about, found[0]["id"], action, why)


def _mute(state: State, selected: str) -> Key:
    """Mute the chosen stage, else the first that can be: what the visitor says."""
    found = _with(state, "mute", "unmute")
    chosen = [stage for stage in found if stage["id"] == selected]
    before = [stage for stage in found if stage["family"] != "sink"]
    stage = next(iter([*chosen, *before]), None)
    if stage is None:
        why = "no stage before the model can be muted"
        return Key("m", "mute", "Mute the microphone, or the chosen stage.", why_not=why)
    muted = bool(action_of(stage, "mute")) and not action_of(stage, "unmute")
    word = "unmute" if muted else "mute"
    return Key("m", word, f"{word.capitalize()} `{stage['id']}`.", stage["id"], word)


def _talk(state: State, *, talking: bool) -> Key:
    label = "stop talking" if talking else "talk"
    about = (
        "Talk; press it again when you are done. (To be held it would need key releases, "
        "which terminals do not tell.)"
    )
    gates = _with(state, "talk", "release")
    why = ""
    for stage in gates:
        why = action_of(stage, "talk") or ""
        if not why or talking:
            return Key("space", label, about, stage["id"], "release" if talking else "talk")
    for stage in _with(state, "press", "release"):
        if stage["options"].get("turn_detection") is None and not gates:
            action = "release" if talking else "press"
            return Key("space", label, about, stage["id"], action)
    why = f"`{gates[0]['id']}`: {why}" if why else "no stage is in mode push_to_talk"
    return Key("space", label, about, why_not=why)


def _listen(state: State, selected: str, listener: str) -> Key:
    about = "Hear what the chosen stage gives out."
    if not listener:
        why = "there is no paplay, aplay or ffplay here"
    elif not selected:
        why = "choose a stage first, with ↑ or ↓"
    elif state.stages[selected]["family"] == "sink":
        why = f"`{selected}` gives nothing out"
    else:
        why = ""
    return Key("l", "listen", about, selected, "listen", why)


def _device(state: State, selected: str) -> Key:
    found = _with(state, "use", "devices")
    chosen = [stage for stage in found if stage["id"] == selected]
    lost = {alert["stage"] for alert in state.condition.get("alerts", ()) if alert["choice"]}
    ill = [stage for stage in found if stage["id"] in lost]
    about = "Choose another device."
    stage = next(iter([*chosen, *ill, *found]), None)
    if stage is None:
        return Key("d", "device", about, why_not="no stage here has a device")
    return Key("d", "device", about, stage["id"], "use", action_of(stage, "use") or "")


def _volume(state: State) -> Key:
    found = _with(state, "volume")
    about = "Turn the loudspeaker up or down."
    if not found:
        return Key("+−", "volume", about, why_not="no loudspeaker here")
    return Key("+−", "volume", about, found[0]["id"], "volume", action_of(found[0], "volume") or "")
