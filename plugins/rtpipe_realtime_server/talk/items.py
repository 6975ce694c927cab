"""Items that a client brings: `conversation.item.create` and a response's own input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.media.wire import decode, rate_of
from rtpipe_realtime_server.session.grammar import Rule, mapping, nullable, one_of, section, text
from rtpipe_realtime_server.session.rejection import (
    missing_parameter,
    unsupported_value,
    wrong_type,
)
from rtpipe_realtime_server.talk.conversation import ConversationItem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rtpipe_realtime_server.session.ids import NewId

_SOUND = {"type": "audio/pcm", "rate": 24000}
_TYPES = ("message", "function_call", "function_call_output")
_COMMON: dict[str, Rule] = {
    "id": nullable(text),
    "type": text,
    "object": one_of("realtime.item"),
    "status": one_of("completed", "incomplete", "in_progress"),
}
_MESSAGE = section({**_COMMON, "role": text, "content": lambda _c, given, _p: given})
_CALL = section(
    {**_COMMON, "name": text, "call_id": text, "arguments": text},
    required=("name", "call_id", "arguments"),
)
_CALL_OUTPUT = section({**_COMMON, "call_id": text, "output": text}, required=("call_id", "output"))
_PARTS = {
    "system": ("input_text",),
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text", "output_audio"),
}
_PART_RULES = {
    "input_text": section({"type": text, "text": text}, required=("text",)),
    "output_text": section({"type": text, "text": text}, required=("text",)),
    "input_audio": section(
        {"type": text, "audio": text, "transcript": nullable(text)}, required=("audio",)
    ),
    "output_audio": section({"type": text, "transcript": text}, required=("transcript",)),
    "input_image": section({"type": text, "image_url": text, "detail": nullable(text)}),
}


def make_item(given: Any, new_id: NewId, path: str = "item") -> ConversationItem:
    """Return the item that a client describes.

    Raises:
        Rejected: It is no item.
    """
    mapping(None, given, path)
    kind = given.get("type")
    if kind is None:
        raise missing_parameter(f"{path}.type")
    if kind not in _TYPES:
        raise unsupported_value(f"{path}.type", kind, _TYPES)
    item_id = given.get("id") or new_id("item")
    if kind == "message":
        return _message(_MESSAGE(None, given, path), item_id, path)
    if kind == "function_call":
        call = _CALL(None, given, path)
        body = {key: call[key] for key in ("name", "call_id", "arguments")}
        return ConversationItem(
            {"id": item_id, "type": kind, "status": "completed", **body}, words=""
        )
    output = _CALL_OUTPUT(None, given, path)
    body = {key: output[key] for key in ("call_id", "output")}
    return ConversationItem({"id": item_id, "type": kind, **body}, words="")


def _message(given: dict[str, Any], item_id: str, path: str) -> ConversationItem:
    role = given.get("role")
    if role is None:
        raise missing_parameter(f"{path}.role")
    if role not in _PARTS:
        raise unsupported_value(f"{path}.role", role, _PARTS)
    content = given.get("content")
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "an array", content)
    item = ConversationItem(
        {"id": item_id, "type": "message", "status": "completed", "role": role, "content": []}
    )
    words: list[str] = []
    sounds: list[NDArray[np.int16]] = []
    for index, given_part in enumerate(content):
        where = f"{path}.content[{index}]"
        part = _part(given_part, _PARTS[role], where)
        words.append(part.get("text") or part.get("transcript") or "")
        if part["type"] == "input_audio":
            samples = decode(part.pop("audio"), _SOUND, f"{where}.audio")
            sounds.append(Resampler(rate_of(_SOUND)).whole(samples))
            part.setdefault("transcript", None)
        item.body["content"].append(part)
    untranscribed = sounds and not any(words)
    item.words = None if untranscribed else " ".join(word for word in words if word)
    if sounds:
        item.record(np.concatenate(sounds))
    return item


def _part(given: Any, allowed: tuple[str, ...], path: str) -> dict[str, Any]:
    mapping(None, given, path)
    kind = given.get("type")
    if kind not in allowed:
        raise unsupported_value(f"{path}.type", kind, allowed)
    part: dict[str, Any] = _PART_RULES[kind](None, given, path)
    return part
