"""A pipeline kept to itself: it reaches no device, no server, no program and nobody's files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe.language.outputs import redirect_outputs
from rtpipe.stage import Sink

if TYPE_CHECKING:
    from pathlib import Path

    from rtpipe.language.spec import PipelineSpec


def swallowed(spec: PipelineSpec) -> list[str]:
    """Return the `--set`s that let a `blackhole` take what external sinks would."""
    return [
        f"{stage.id}={{blackhole: {{}}}}"
        for stage in spec.stages
        if stage.stage_type.external and issubclass(stage.stage_type, Sink)
    ]


def isolated(spec: PipelineSpec, home: Path, folder: Path) -> PipelineSpec:
    """Return a pipeline without subscribers that reach out, which writes into one folder alone.

    Args:
        spec: The pipeline.
        home: The folder of its file: what it writes there stands in `folder` at the same place.
        folder: Where everything is written.
    """
    routes = tuple(
        route
        for route in spec.routes
        if route.subscriber is None or not route.subscriber.stage_type.external
    )
    return redirect_outputs(replace(spec, routes=routes), lambda path: moved(path, home, folder))


def moved(path: Path, home: Path, folder: Path) -> Path:
    """Return where in `folder` an isolated pipeline writes `path`."""
    path = path.absolute()
    if path.is_relative_to(folder):
        return path
    if path.is_relative_to(home):
        return folder / path.relative_to(home)
    return folder / "elsewhere" / path.relative_to(path.anchor)
