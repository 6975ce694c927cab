"""Where a checked pipeline writes: every output path of its stages, moved elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from rtpipe.catalogue.fields import annotation, inside, path_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe.language.spec import PipelineSpec, StageSpec

Model = TypeVar("Model", bound=BaseModel)


def redirect_outputs(spec: PipelineSpec, to: Callable[[Path], Path]) -> PipelineSpec:
    """Return the pipeline with every `OutputPath` of its stages and subscribers moved.

    Args:
        spec: The checked pipeline.
        to: Returns the new path of one; both may hold strftime fields.
    """
    routes = (
        replace(route, subscriber=route.subscriber and _stage(route.subscriber, to))
        for route in spec.routes
    )
    stages = (_stage(stage, to) for stage in spec.stages)
    return replace(spec, stages=tuple(stages), routes=tuple(routes))


def _stage(stage: StageSpec, to: Callable[[Path], Path]) -> StageSpec:
    fallback = stage.fallback and _stage(stage.fallback, to)
    return replace(stage, options=_model(stage.options, to), fallback=fallback)


def _model(model: Model, to: Callable[[Path], Path]) -> Model:
    fields = type(model).model_fields
    old = {name: getattr(model, name) for name in fields}
    new = {name: _value(old[name], annotation(field), to) for name, field in fields.items()}
    changed = {name: value for name, value in new.items() if value != old[name]}
    return model.model_copy(update=changed) if changed else model


def _value(value: Any, wanted: Any, to: Callable[[Path], Path]) -> Any:
    if isinstance(value, BaseModel):
        return _model(value, to)
    if isinstance(value, Mapping):
        return {key: _value(each, inside(wanted, str(key)), to) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        moved = [_value(each, inside(wanted, n), to) for n, each in enumerate(value)]
        return type(value)(moved)
    return to(value) if isinstance(value, Path) and path_role(wanted) == "output" else value
