"""The section `mqtt:` of a pipeline file."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from rtpipe_mqtt.broker import BrokerOptions

_NOT_IN_A_TOPIC = re.compile("[+#/\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def as_topic(text: str) -> str:
    """Return a topic that things may stand under.

    Raises:
        ValueError: It is none.
    """
    if not text or set(text) & set("+#\0") or text.startswith(("/", "$")) or text.endswith("/"):
        raise ValueError(
            "a topic to stand under holds no + or #, and has a name on either side of /"
        )
    return text


class PresenceOptions(BrokerOptions):
    """How a pipeline shows itself at a broker."""

    topic: Annotated[str, AfterValidator(as_topic)] = "rtpipe/{name}"
    """What all stands under; `{name}` is the pipeline's. Each run at one broker needs its own."""
    commands: bool = False
    """Whether who may publish at the broker may steer the pipeline."""
    words: bool = True
    """Whether the state has what was said last."""

    def topic_for(self, name: str) -> str:
        """Return the topic for a pipeline of that name."""
        return self.topic.replace("{name}", _NOT_IN_A_TOPIC.sub("_", name))


class MqttSection(PresenceOptions):
    """Shows the running pipeline at an MQTT broker: state and last will out, commands in.

    `TOPIC/status` is `online`, and `offline` once it is over or gone; `TOPIC/state` is its state as
    JSON. Both are retained. With `commands`, `TOPIC/do/STAGE/ACTION` carries out an action, its
    arguments as JSON, and `TOPIC/done` says what came of it; `TOPIC/mute/set` takes ON and OFF.
    """

    main: ClassVar[str | None] = "host"
