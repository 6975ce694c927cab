"""Lenient decoding: JSON from any server, as values that can be shown and written down."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from rtpipe import Recent
from rtpipe_plugins.peers.realtime.dialects.openai.messages import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_NESTED = 64  # levels: no event comes near it, and whoever reads one may recurse
_MOST_DIGITS = 20
_AROUND = "\ufeff\0 \t\r\n"
_HALF = re.compile("[\ud800-\udfff]")
_FIRST_HALF = re.compile("[\ud800-\udbff]$")
_SECOND_HALF = re.compile("[\udc00-\udfff]")
_LOST = "\ufffd"
_REMEMBERED = 64  # texts that stopped within a character


def decoded(message: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in `message`, encodable as UTF-8; None where there is none."""
    event = loaded(message)
    return None if event is None else encodable(event)


def loaded(message: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in `message` as it is; None where there is none.

    Numbers that are none (NaN) or that nobody can compute with are null.
    """
    text = message if isinstance(message, str) else message.decode(errors="replace")
    try:
        event = json.loads(
            text.strip(_AROUND),
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
            strict=False,
        )
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def encodable(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return `event` with U+FFFD for each half of a surrogate pair; None if nested too deeply."""
    try:
        made: dict[str, Any] = _encodable(event, _MOST_NESTED)
    except RecursionError:
        return None
    return made


def encodable_text(text: str) -> str:
    """Return `text` with U+FFFD for each half of a surrogate pair."""
    return text if text.isascii() else _HALF.sub(_LOST, text)


class SplitCharacters:
    """Joins what a server cut within a character: half in one delta, half in the next."""

    def __init__(self) -> None:
        self._halves: Recent[tuple[Any, ...], str] = Recent(_REMEMBERED)

    def join(self, event: dict[str, Any]) -> None:
        """Give the `delta` of `event` the half that the one before it left, and keep its own."""
        delta = event.get("delta")
        if not isinstance(delta, str):
            return
        place = _place(event)
        if delta and (half := self._halves.pop(place, "")):
            whole = _SECOND_HALF.match(delta) is not None
            delta = _character(half, delta[0]) + delta[1:] if whole else _LOST + delta
        if _FIRST_HALF.search(delta):
            self._halves[place] = delta[-1]
            delta = delta[:-1]
        event["delta"] = delta


def _character(half: str, other: str) -> str:
    return (half + other).encode("utf-16", "surrogatepass").decode("utf-16")


def _place(event: Mapping[str, Any]) -> tuple[Any, ...]:
    index = event.get("content_index")
    return (
        *(text_of(event, key) for key in ("type", "response_id", "item_id")),
        index if isinstance(index, int) else 0,
    )


def _encodable(value: Any, levels: int) -> Any:
    if isinstance(value, str):
        return encodable_text(value)
    if not levels:
        if isinstance(value, dict | list):
            raise RecursionError
        return value
    if isinstance(value, dict):
        return {encodable_text(k): _encodable(inner, levels - 1) for k, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner, levels - 1) for inner in value]
    return value


def _no_number(_name: str) -> None:
    """NaN and the infinities are not JSON."""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _whole(text: str) -> int | None:
    return int(text) if len(text) <= _MOST_DIGITS else None
