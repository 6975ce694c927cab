"""What Home Assistant is told of a pipeline, so that it becomes a device.

The device discovery of its MQTT integration: one retained document under
`PREFIX/device/ID/config` with `device`, `origin` and `components`, each of which has a `platform`
and a `unique_id` (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import rtpipe

if TYPE_CHECKING:
    from rtpipe import Pipeline
    from rtpipe_homeassistant.section import HomeAssistantSection

_NO_ID = re.compile(r"[^A-Za-z0-9_-]+")


def announcement(pipeline: Pipeline, section: HomeAssistantSection) -> tuple[str, bytes]:
    """Return the topic and the document that make a pipeline a device.

    Args:
        pipeline: Which.
        section: Where it shows itself, and as what.
    """
    name = pipeline.spec.name
    topic = section.topic_for(name)
    id = _NO_ID.sub("_", topic)
    document = {
        "device": {
            "identifiers": [id],
            "name": section.device or name,
            "manufacturer": "rtpipe",
            "model": "audio pipeline",
            "sw_version": rtpipe.__version__,
        },
        "origin": {"name": "rtpipe", "sw_version": rtpipe.__version__},
        "components": {
            key: {"unique_id": f"{id}_{key}", **about}
            for key, about in _components(topic, section).items()
        },
        "availability_topic": f"{topic}/status",
        "state_topic": f"{topic}/state",
        "qos": 1,
    }
    return f"{section.prefix}/device/{id}/config", json.dumps(document).encode()


def _components(topic: str, section: HomeAssistantSection) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {
        "state": _sensor("State", "state", "mdi:play-circle-outline"),
        "call": _sensor("Call", "call", "mdi:phone"),
        "speaks": _sensor("Speaks", "speaks", "mdi:account-voice"),
        "trouble": {
            "platform": "binary_sensor",
            "name": "Trouble",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.trouble else 'OFF' }}",
        },
    }
    if section.commands:
        found["mute"] = {
            "platform": "switch",
            "name": "Mute",
            "icon": "mdi:microphone-off",
            "command_topic": f"{topic}/mute/set",
            "value_template": "{{ 'ON' if value_json.muted else 'OFF' }}",
        }
    if section.words:
        found["visitor"] = _sensor("Visitor said", "visitor", "mdi:account-voice")
        found["model"] = _sensor("Model said", "model", "mdi:robot-happy-outline")
    return found


def _sensor(name: str, key: str, icon: str) -> dict[str, Any]:
    template = f"{{{{ value_json.{key} }}}}"
    return {"platform": "sensor", "name": name, "icon": icon, "value_template": template}
