"""Actions from outside: found, carried out, and what came of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtpipe import RtpipeError
from rtpipe.errors import ActionError
from rtpipe_control.events import ControlUsed
from rtpipe_control.http.answers import Refused
from rtpipe_control.view.shown_event import shown

if TYPE_CHECKING:
    from rtpipe import Event, Pipeline

OUTCOME_S = 2.0
"""How long an action's outcome is waited for, where an event tells it."""


def arguments(body: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments in a body: `{"args": […], "kwargs": {…}}`, or those with names alone.

    Raises:
        Refused: It is none of these.
    """
    if body is None:
        return [], {}
    if isinstance(body, list):
        return body, {}
    if not isinstance(body, dict):
        raise Refused(400, "the body is no JSON object", 'send {"gain_db": -6}, or {"args": [-6]}')
    if not body.keys() & {"args", "kwargs"}:
        return [], body
    args, kwargs = body.get("args", []), body.get("kwargs", {})
    if (
        not isinstance(args, list)
        or not isinstance(kwargs, dict)
        or body.keys() - {"args", "kwargs"}
    ):
        raise Refused(
            400,
            "`args` is a list, `kwargs` an object, and nothing stands beside them",
            'send {"gain_db": -6}, or {"args": [-6]}',
        )
    return args, kwargs


class Actions:
    """Carries out actions of a pipeline's stages.

    Args:
        pipeline: Whose.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def perform(self, stage: str, action: str, body: Any) -> dict[str, Any]:
        """Carry out an action; returns what it returned, and the event that tells its outcome.

        Beside them stand the types of the events that may: none came yet if `event` is None.

        Raises:
            Refused: It cannot be carried out; nothing has happened then.
        """
        args, kwargs = arguments(body)
        outcome = self._outcome(stage, action)
        waiting: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def hear(event: Event) -> None:
            if event.source == stage and not waiting.done():
                waiting.set_result(event)

        unsubscribe = self._pipeline.bus.subscribe(outcome, hear) if outcome else None
        try:
            result = self._carried_out(stage, action, args, kwargs)
            told = None
            if unsubscribe is not None:
                await asyncio.wait([waiting], timeout=OUTCOME_S)
                told = shown(waiting.result()) if waiting.done() else None
        finally:
            if unsubscribe is not None:
                unsubscribe()
        return {"result": result, "event": told, "outcome": list(outcome)}

    def stop(self) -> None:
        """Stop the pipeline; once it stops, another asking changes nothing."""
        self._tell("stop")
        self._pipeline.stop("asked from outside")

    def _outcome(self, stage: str, action: str) -> tuple[str, ...]:
        """Return the events that tell the outcome of an action.

        Raises:
            Refused: There is no such stage or action.
        """
        stages = {about.id: about for about in self._pipeline.describe()}
        about = stages.get(stage)
        if about is None:
            raise Refused(404, f"there is no stage `{stage}`", f"the stages are {_listed(stages)}")
        spec = about.actions.get(action)
        if spec is None:
            offered = [f"{stage}.{name}" for name in about.actions]
            raise Refused(404, f"`{stage}` has no action `{action}`", f"it has {_listed(offered)}")
        return spec.outcome

    def _carried_out(
        self, stage: str, action: str, args: list[Any], kwargs: dict[str, Any]
    ) -> object:
        called = f"{stage}.{action}"
        try:
            result = self._pipeline.perform(stage, action, *args, **kwargs)
        except RtpipeError as error:
            self._tell(called, error.message)
            status = 400 if isinstance(error, ActionError) else 409
            raise Refused(status, error.message, error.help or "") from error
        except (Exception, SystemExit) as error:  # a plugin's code may raise anything
            text = f"{type(error).__name__}: {error}"
            self._tell(called, text)
            raise Refused(500, f"{called} failed: {text}") from error
        self._tell(called)
        return result

    def _tell(self, action: str, error: str = "") -> None:
        masked = self._pipeline.spec.masked(error)
        event = ControlUsed(source="control", action=action, error=masked)
        self._pipeline.bus.publish(replace(event, at=self._pipeline.clock.now()))


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)
