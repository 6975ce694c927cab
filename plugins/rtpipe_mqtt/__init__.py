"""A running pipeline at an MQTT broker: its state and its last will out, commands in.

A library beside that: `broker` is how anybody here reaches one. Nothing heavy in this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rtpipe import hookimpl

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from rtpipe import Event, Pipeline
    from rtpipe_mqtt.section import MqttSection


@hookimpl
def rtpipe_sections() -> dict[str, str]:
    """Return `mqtt:`."""
    return {"mqtt": "rtpipe_mqtt.section:MqttSection"}


@hookimpl
def rtpipe_events() -> tuple[type[Event], ...]:
    """Return what it tells on the bus."""
    from rtpipe_mqtt.events import EVENTS

    return EVENTS


@hookimpl
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Show `pipeline` at the broker that its file names; in virtual time there is none."""
    section = cast("MqttSection | None", pipeline.sections.get("mqtt"))
    if section is None or pipeline.clock.virtual:
        return None
    from rtpipe_mqtt.presence import shown

    return shown(pipeline, section)
