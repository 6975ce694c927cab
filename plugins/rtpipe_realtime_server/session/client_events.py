"""What a client may send: every event with its fields."""

from __future__ import annotations

from typing import Any

from rtpipe_realtime_server.session import strict_json
from rtpipe_realtime_server.session.grammar import text
from rtpipe_realtime_server.session.rejection import (
    Rejected,
    missing_parameter,
    unknown_parameter,
    unsupported_value,
)

_CLIENT_EVENTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    kind: (frozenset(required.split()), frozenset(optional.split()))
    for kind, required, optional in (
        ("session.update", "session", ""),
        ("input_audio_buffer.append", "audio", ""),
        ("input_audio_buffer.commit", "", ""),
        ("input_audio_buffer.clear", "", ""),
        ("conversation.item.create", "item", "previous_item_id"),
        ("conversation.item.retrieve", "item_id", ""),
        ("conversation.item.truncate", "item_id content_index audio_end_ms", ""),
        ("conversation.item.delete", "item_id", ""),
        ("response.create", "", "response"),
        ("response.cancel", "", "response_id"),
        ("output_audio_buffer.clear", "", ""),
    )
}
"""Every client event with its required and its optional fields, beside `type` and `event_id`."""


def parse(message: str | bytes) -> dict[str, Any]:
    """Return the JSON object of a message.

    Raises:
        Rejected: It holds none.
    """
    try:
        event = strict_json.loads(message)
    except ValueError as error:
        raise Rejected("The event could not be parsed as JSON.", code="invalid_event") from error
    if not isinstance(event, dict):
        raise Rejected("The event is not a JSON object.", code="invalid_event")
    return event


def check(event: dict[str, Any]) -> dict[str, Any]:
    """Return `event`, which is one of the client events and has all of its fields and no other.

    Raises:
        Rejected: It is not.
    """
    kind = event.get("type")
    if kind is None:
        raise Rejected("The 'type' field is missing.", code="invalid_event")
    if not isinstance(kind, str) or kind not in _CLIENT_EVENTS:
        raise unsupported_value("type", kind, _CLIENT_EVENTS)
    required, optional = _CLIENT_EVENTS[kind]
    for name in sorted(required - event.keys()):
        raise missing_parameter(name)
    for name in sorted(event.keys() - required - optional - {"type", "event_id"}):
        raise unknown_parameter(name)
    for name in ("event_id", "item_id", "previous_item_id", "response_id"):
        if event.get(name) is not None or (name == "item_id" and name in event):
            text(None, event[name], name)
    return event
