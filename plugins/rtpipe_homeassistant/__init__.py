"""A running pipeline as a device of Home Assistant, by way of an MQTT broker.

Here are the hook implementations, and nothing heavy.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from rtpipe import hookimpl

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from rtpipe import Pipeline
    from rtpipe_homeassistant.section import HomeAssistantSection


@hookimpl
def rtpipe_sections() -> dict[str, str]:
    """Return `homeassistant:`; nothing where the MQTT library is missing."""
    if find_spec("rtpipe_mqtt") is None:
        return {}
    return {"homeassistant": "rtpipe_homeassistant.section:HomeAssistantSection"}


@hookimpl
def rtpipe_running(pipeline: Pipeline) -> AbstractAsyncContextManager[object] | None:
    """Announce `pipeline` where its file says so; in virtual time there is no broker."""
    section = cast("HomeAssistantSection | None", pipeline.sections.get("homeassistant"))
    if section is None or pipeline.clock.virtual:
        return None
    from rtpipe_homeassistant.discovery import announcement
    from rtpipe_mqtt.presence import shown

    documents = dict([announcement(pipeline, section)])
    return shown(pipeline, section, documents, source="homeassistant")
