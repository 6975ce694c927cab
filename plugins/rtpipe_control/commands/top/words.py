"""What a stage does now and why, in a few words."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from rtpipe_control.commands.top.cells import clean, cut

if TYPE_CHECKING:
    from rtpipe_control.commands.top.state import State

_CAUSES_LOSS = ("device ", "stage ", "recorder ", "call ")


def alert_of(state: State, id: str) -> dict[str, Any] | None:
    """Return what is wrong with a stage, if anything."""
    alerts = state.condition.get("alerts", ())
    return next((alert for alert in alerts if alert["stage"] == id), None)


def mark(state: State, id: str) -> str:
    """Return `✕` for what is lost, `!` for what may be wrong, `~` for a stand-in."""
    stage = state.stages[id]
    alert = alert_of(state, id)
    if stage["status"] in {"failed", "recovering"}:
        return "✕"
    if alert is not None:
        return "✕" if alert["id"].startswith(_CAUSES_LOSS) else "!"
    return "~" if stage["wanted"] else " "


def now(state: State, id: str, width: int) -> str:
    """Return what a stage does now, in `width` cells at most."""
    stage = state.stages[id]
    lost = state.facts.get((id, "lost"))
    if lost is not None:
        since = f"gone {max(0.0, state.now - lost['at']):.0f} s"
        room = width - cell_len(since) - 2
        return f"{cut(clean(lost['device']), room)}, {since}" if room >= 3 else cut(since, width)
    return cut(_well(state, stage), width)


def _well(state: State, stage: dict[str, Any]) -> str:
    if stage["opening"]:
        return "opening"
    if stage["status"] not in {"ok", "stopped", "stopping"}:
        return clean(", ".join(filter(None, (stage["status"], stage["detail"]))))
    words = clean(_by_kind(state, stage))
    return words or (stage["kind"] if stage["kind"] != stage["id"] else "")


def warning(state: State, event: dict[str, Any]) -> str:
    """Return what a warning says; of a stand-in its name, as the table has it."""
    stage = state.stages.get(event["source"])
    if event["type"] == "stage.fell_back" and stage is not None and stage["wanted"]:
        name = clean(_by_kind(state, stage)) or stage["kind"]
        return f"{_reason(event['reason'])}; {name} takes over"
    return clean(event["line"])


def _by_kind(state: State, stage: dict[str, Any]) -> str:
    id, options, gauge = stage["id"], stage["options"], f"{stage['gauge']}"
    match stage["kind"]:
        case "mute_gate":
            closed = state.facts.get((id, "closed"))
            return "" if closed is None else "┤ ├ closed" if closed else "─── open"
        case "vad":
            return "speech" if state.facts.get((id, "speech")) else "silence"
        case "realtime":
            model = options.get("model") or ""
            return "embedded peer" if options.get("provider") == "embedded" else f"{model}"
        case "gain":
            return gauge.replace("-", "−") or _decibels(options.get("gain_db"))
        case "file" | "file_sink":
            return gauge or PurePath(f"{options.get('path') or ''}").name
        case "mic" | "speaker":
            device = options.get("device")
            return gauge or ("" if device is None else f"{device}")
        case "resample":
            rate = options.get("sample_rate")
            return gauge or ("" if rate is None else f"{rate} Hz")
    return gauge


def why(state: State, id: str) -> str:
    """Return why a stage is as it is, or how it goes about it."""
    stage = state.stages[id]
    if stage["wanted"]:
        return _reason(stage["wanted"]["reason"])
    if stage["detail"]:
        return clean(stage["detail"])
    if stage["kind"] == "mute_gate":
        tail = stage["options"].get("tail_ms")
        mode = clean(stage["options"].get("mode", ""))
        return f"{mode}, +{tail:g} ms" if tail and mode == "half_duplex" else mode
    path = state.facts.get((id, "path"))
    return clean(PurePath(path).name) if path else ""


def remedy(state: State, id: str, *, key: bool) -> str:
    """Return what to do about what is wrong with a stage; "" where nothing is known.

    Args:
        state: Of the run.
        id: The stage's.
        key: Whether a key chooses another device.
    """
    alert = alert_of(state, id)
    if alert is None:
        return ""
    steps = [clean(step).rstrip(".") for step in alert["steps"]]
    if key and alert["choice"]:
        steps[-1:] = ["d another one"]
    return " · ".join(steps)


def clock(seconds: float) -> str:
    """Return a pipeline second as `00:05.8`; from an hour on without tenths."""
    minutes, rest = divmod(max(0.0, seconds), 60)
    if minutes < 60:
        return f"{int(minutes):02d}:{int(rest * 10) / 10:04.1f}"
    return f"{int(minutes // 60)}:{int(minutes % 60):02d}:{int(rest):02d}"


def duration(seconds: float) -> str:
    """Return how long something runs: `00:00:21`, `3 d 04:12`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (
        f"{days} d {hours:02d}:{minutes:02d}" if days else f"{hours:02d}:{minutes:02d}:{rest:02d}"
    )


def _reason(text: str) -> str:
    return clean(text).removeprefix("this computer has ")


def _decibels(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:+g} dB".replace("-", "−") if value else "0 dB"
