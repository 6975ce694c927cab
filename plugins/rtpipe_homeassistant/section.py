"""The section `homeassistant:` of a pipeline file."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator

from rtpipe_mqtt.section import PresenceOptions, as_topic


class HomeAssistantSection(PresenceOptions):
    """Makes the running pipeline a device of Home Assistant, through the MQTT broker both use.

    It has a switch that mutes the visitor, what the pipeline and its call do, what was said last,
    and whether something is wrong. A device of the same `topic` is the same device.
    """

    main: ClassVar[str | None] = "host"

    topic: Annotated[str, AfterValidator(as_topic)] = "rtpipe/{name}/homeassistant"
    """What all stands under; `{name}` is the pipeline's. Each kiosk at one broker needs its own."""
    commands: bool = True
    """Whether Home Assistant, and who else may publish at the broker, may steer the pipeline."""
    prefix: Annotated[str, AfterValidator(as_topic)] = "homeassistant"
    """Where Home Assistant looks for devices: its `discovery_prefix`."""
    device: str | None = None
    """What the device is called. Default: the pipeline's name."""
