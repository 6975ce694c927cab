"""Traces of a pipeline's conversations, for OpenTelemetry: the section `otel:` and who it hangs on.

`tracing.traced` is the way in; here are the hook implementations, and nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rtpipe import hookimpl

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from rtpipe import Event, Pipeline
    from rtpipe_otel.section import OtelOptions


@hookimpl
def rtpipe_sections() -> dict[str, str]:
    """Return `otel:`."""
    return {"otel": "rtpipe_otel.section:OtelOptions"}


@hookimpl
def rtpipe_events() -> tuple[type[Event], ...]:
    """Return what is told of the sending."""
    from rtpipe_otel.events import EVENTS

    return EVENTS


@hookimpl
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Trace what happens in `pipeline`, if its file asks for it.

    On a virtual clock nothing is sent: there, sockets have no time.

    Raises:
        EnvironmentProblem: What a trace is written with is not installed.
    """
    options = cast("OtelOptions | None", pipeline.sections.get("otel"))
    if options is None or not options.address or pipeline.clock.virtual:
        return None
    from rtpipe_otel.tracing import traced

    return traced(pipeline, options)
