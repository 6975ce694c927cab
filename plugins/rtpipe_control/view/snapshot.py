"""The snapshot of a running pipeline: everything a page or a command needs to begin with."""

from __future__ import annotations

import dataclasses
import inspect
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import rtpipe
from rtpipe_control.view.condition import Condition, StageNow
from rtpipe_control.view.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe import Event, Pipeline
    from rtpipe.actions import ActionSpec
    from rtpipe_control.view.shown_event import ShownEvent

_STATES = {
    "pipeline.started": "running",
    "pipeline.stopping": "stopping",
    "pipeline.ended": "ended",
}
_COUNTS = (
    "depth_ms",
    "max_depth_ms",
    "frames_in",
    "frames_out",
    "dropped_ms",
    "trimmed_ms",
    "flushed_ms",
    "refused_ms",
)


class View:
    """What is shown of a pipeline; remembers what its events say.

    Args:
        pipeline: Whose.
        run: The run's name.
    """

    def __init__(self, pipeline: Pipeline, run: str) -> None:
        self._pipeline = pipeline
        self._run = run
        self._started_at = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        self._reasons: dict[str, str] = {}
        self._condition = Condition()
        self.condition_changed = False
        """Whether an event has come that may have changed the condition."""
        self._described: list[Any] | None = None
        self.recent = Recent()
        self.page = ""
        """Where the page is; "" where there is none."""
        self._graph = pipeline.graph
        self.state = "opening"
        """opening, running, stopping or ended."""

    def take(self, event: Event) -> ShownEvent:
        """Take note of `event`; returns it as it is shown."""
        if event.source == "pipeline" and event.type in _STATES:
            self.state = _STATES[event.type]
            self.condition_changed = True
        if event.type in {"stage.fell_back", "stage.still_away"}:
            self._reasons[event.source] = f"{event.payload()['reason']}"
        if event.type.startswith("stage."):
            self._described = None  # another may stand there now
        self.condition_changed = self._condition.take(event) or self.condition_changed
        return self.recent.take(event)

    def _about(self) -> list[Any]:
        """Return what the stages are, which is the same as long as nothing happens to one."""
        if self._described is None or self._graph is not self._pipeline.graph:  # it was reloaded
            self._described, self._graph = self._pipeline.describe(), self._pipeline.graph
        return self._described

    def condition(self) -> dict[str, Any]:
        """Return what it is doing, in a sentence, and what is wrong; see `Condition.show`."""
        states = {state.id: state for state in self._pipeline.state()}
        self.condition_changed = False
        stages = {
            about.id: StageNow(
                about.family,
                about.kind,
                states[about.id].status.value,
                states[about.id].opening,
                states[about.id].ended,
                about.options,
            )
            for about in self._about()
        }
        return self._condition.show(self.state, stages, self._pipeline.clock.now())

    def snapshot(self, *, recent: bool = True) -> dict[str, Any]:
        """Return everything, or all but what has happened lately."""
        spec = self._pipeline.spec
        changing = self.changing()
        now = changing.pop("stages")
        stages = []
        for about in self._about():
            why_not = now[about.id]["why_not"]
            actions = [_action(each, why_not) for each in about.actions.values()]
            stages.append(
                {
                    "id": about.id,
                    "family": about.family,
                    "summary": about.summary,
                    "inputs": about.inputs,
                    "options": about.options,
                    **now[about.id],
                    "actions": actions,
                }
            )
        return {
            "name": spec.name,
            "run": self._run,
            "pid": os.getpid(),
            "version": rtpipe.__version__,
            "file": str(spec.path),
            "description": spec.description,
            "page": self.page,
            "started_at": self._started_at,
            **changing,
            "stages": stages,
            "recent": self.recent.as_dict() if recent else {},
        }

    def changing(self) -> dict[str, Any]:
        """Return what changes while it runs: its state, its stages by id, its links."""
        wanted = {about.id: about.wanted for about in self._about()}
        refusals = self._pipeline.refusals()
        return {
            "state": self.state,
            "now": round(self._pipeline.clock.now(), 3),
            "condition": self.condition(),
            "stages": {
                state.id: {
                    "kind": state.kind,
                    "wanted": self._stood_in_for(state.id, wanted[state.id], state.away),
                    "status": state.status.value,
                    "detail": state.detail,
                    "opening": state.opening,
                    "ended": state.ended,
                    "gauge": state.gauge,
                    "lost_frames": state.lost_frames,
                    "why_not": refusals[state.id],
                }
                for state in self._pipeline.state()
            },
            "links": [_link(link) for link in self._pipeline.links()],
        }

    def _stood_in_for(self, id: str, wanted: str, away: str) -> dict[str, str] | None:
        reason = self._reasons.get(id, "")
        return {"stage": wanted, "reason": reason, "away": away} if wanted else None


def _action(action: ActionSpec, refusals: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": action.name,
        "summary": action.summary,
        "arguments": [_argument(each) for each in action.signature.parameters.values()],
        "why_not": refusals.get(action.name, ""),
    }


def _argument(parameter: inspect.Parameter) -> dict[str, Any]:
    needed = parameter.default is inspect.Parameter.empty
    many = parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    annotation = parameter.annotation
    return {
        "name": parameter.name,
        "type": getattr(annotation, "__name__", f"{annotation}"),
        "required": needed and not many,
        "default": None if needed else parameter.default,
    }


def _link(link: Any) -> dict[str, Any]:
    shown = {
        "from": link.feeder,
        "to": link.reader,
        "inlet": link.inlet,
        "queued": link.statistics is not None,
        "converts": link.converts,
    }
    if link.statistics is not None:
        counts = dataclasses.asdict(link.statistics)
        shown["max_ms"] = link.max_ms
        shown |= {name: round(counts[name], 1) for name in _COUNTS}
    return shown
