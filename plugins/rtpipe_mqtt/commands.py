"""Commands that come by MQTT: read, carried out, and what came of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import RtpipeError
from rtpipe_mqtt.state import mute_switch

if TYPE_CHECKING:
    from aiomqtt import Message

    from rtpipe import Pipeline

MOST_BYTES = 64 * 1024
"""Of a command's arguments."""
_ON, _OFF = ("ON", "on", "true", "1"), ("OFF", "off", "false", "0")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command.

    Attributes:
        action: `STAGE.ACTION`; or what the topic said, where that is none.
        result: What the action returned, as text; "" where nothing.
        error: Why it was not carried out; "" where it was.
        help: What would do.
    """

    action: str
    result: str = ""
    error: str = ""
    help: str = ""

    def as_json(self) -> bytes:
        """Return it as JSON, without what is empty."""
        told = {"action": self.action, "error": self.error, "help": self.help}
        told |= {"result": self.result} if not self.error else {}
        return json.dumps({key: value for key, value in told.items() if value}).encode()


class _RefusedError(Exception):
    def __init__(self, error: str, help: str = "") -> None:
        super().__init__(error)
        self.help = help


class Commands:
    """Carries out what comes under a topic.

    Args:
        pipeline: Whose stages do it.
        topic: What all stands under.
    """

    def __init__(self, pipeline: Pipeline, topic: str) -> None:
        self._pipeline = pipeline
        self._topic = topic
        self.topics = (f"{topic}/do/+/+", f"{topic}/mute/set")

    def carry_out(self, message: Message) -> Done:
        """Carry out a command; whatever it is, and whatever the action raises."""
        said = f"{message.topic}".removeprefix(f"{self._topic}/")
        name = said.removeprefix("do/").replace("/", ".", 1)[:_LONGEST_NAME]
        mask = self._pipeline.spec.masked
        try:
            payload = _payload(message)
            if said == "mute/set":
                stage, action = self._mute(payload)
                args, kwargs = _arguments("")
                name = f"{stage}.{action}"
            else:
                stage, action = said.removeprefix("do/").split("/", 1)
                args, kwargs = _arguments(payload)
            result = self._pipeline.perform(stage, action, *args, **kwargs)
        except _RefusedError as refused:
            return Done(mask(name), error=mask(f"{refused}"), help=refused.help)
        except RtpipeError as error:
            return Done(mask(name), error=mask(error.message), help=mask(error.help or ""))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's code may raise anything
            return Done(mask(name), error=mask(f"{type(error).__name__}: {error}"))
        return Done(mask(name), "" if result is None else mask(f"{result}"))

    def _mute(self, payload: str) -> tuple[str, str]:
        switch = mute_switch(self._pipeline)
        if switch is None:
            raise _RefusedError("nothing here can mute the visitor")
        if payload not in {*_ON, *_OFF}:
            raise _RefusedError("that is neither ON nor OFF", "publish ON or OFF")
        return switch.stage, switch.mute if payload in _ON else switch.unmute


def _payload(message: Message) -> str:
    if message.retain:
        raise _RefusedError(
            "a retained command is old: it was not meant for this moment",
            "publish commands without `retain`",
        )
    payload = message.payload
    if not isinstance(payload, bytes | bytearray):
        return "" if payload is None else f"{payload}"
    if len(payload) > MOST_BYTES:
        raise _RefusedError(f"{len(payload)} bytes are too many for a command")
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise _RefusedError("the payload is not UTF-8") from None


def _arguments(payload: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments in a payload: an object has names, a list places, a value is one."""
    if not payload:
        return [], {}
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        if payload[0] in '{["':
            raise _RefusedError(
                f"the payload is broken JSON: {error}", 'publish {"gain_db": -6}, [-6] or -6'
            ) from None
        return [payload], {}  # a text as a person writes it
    if isinstance(value, dict):
        return [], value
    return (value if isinstance(value, list) else [value]), {}
