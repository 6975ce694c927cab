"""What the body of an HTTP error says: every server words its refusals in a shape of its own."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any, NamedTuple

from rtpipe.errors import on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 300
_DEEPEST = 4
_READ = 4_000
"""Characters in which the words of a page are looked for."""
_CODE = re.compile(r"[\w.-]{1,64}", re.ASCII)
_WORDS = (
    "message",
    "detail",
    "error_description",
    "msg",
    "description",
    "title",
    "reason",
    "error",
)
"""Where an object has its words, the most telling first: OpenAI and most others, FastAPI, OAuth,
problem details (RFC 9457)."""
_PAGE = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml|[a-z][\w:-]*[\s>])", re.IGNORECASE)
_TITLE = re.compile(r"<(title|h1|message)\b[^>]*>(.*?)</\1", re.IGNORECASE | re.DOTALL)
_UNSEEN = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>")


class Said(NamedTuple):
    """What a body says; "" and None where it does not.

    Attributes:
        message: Its words, on one line, at most 300 characters.
        code: The code of the error, as `model_not_found`.
        type: Its kind, as `invalid_request_error`.
        param: What of the request the error is about, as `voice`.
    """

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None


def said_in(body: str) -> Said:
    """Return what `body` says: JSON of any shape, a page or plain text; never raises."""
    text = body.lstrip("\ufeff").strip()
    if text[:1] in {"{", "[", '"'}:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return Said(on_one_line(text[:_READ], _LONGEST))
        objects = list(_objects(value, _DEEPEST))
        return Said(
            on_one_line(_words(value, _DEEPEST)[:_READ], _LONGEST),
            *(_first(objects, key) for key in ("code", "type", "param")),
        )
    if _PAGE.match(text):
        text = _page(text[:_READ])
    return Said(on_one_line(text[:_READ], _LONGEST))


def _words(value: Any, depth: int) -> str:
    """Return the words in a JSON value; those of several errors one after the other."""
    if isinstance(value, str) or depth == 0:
        return value if isinstance(value, str) else ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(one, depth - 1) for one in value[:3])))
    if not isinstance(value, dict):
        return ""
    for key in _WORDS:
        if words := _words(value.get(key), depth - 1):
            return _place(value) + words
    return next(filter(None, (_words(one, depth - 1) for one in _nested(value))), "")


def _place(value: dict[str, Any]) -> str:
    """Return the field that an error of FastAPI's is about: `body.sdp: `."""
    place = value.get("loc")
    if not isinstance(place, list):
        return ""
    return ".".join(str(one) for one in place[:6] if isinstance(one, str | int)) + ": "


def _nested(value: dict[str, Any]) -> list[Any]:
    return [one for one in value.values() if isinstance(one, dict | list)]


def _objects(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the objects in a JSON value, the innermost error first."""
    if depth == 0:
        return
    if isinstance(value, dict):
        for one in _nested(value):
            yield from _objects(one, depth - 1)
        yield value
    elif isinstance(value, list):
        for one in value[:3]:
            yield from _objects(one, depth - 1)


def _first(objects: list[dict[str, Any]], key: str) -> str | None:
    values = (one.get(key) for one in objects)
    return next((v for v in values if isinstance(v, str) and _CODE.fullmatch(v)), None)


def _page(text: str) -> str:
    """Return the title of a page, or else its text."""
    titles = (unescape(_UNSEEN.sub(" ", found[2])).strip() for found in _TITLE.finditer(text))
    return next(filter(None, titles), "") or unescape(_UNSEEN.sub(" ", text))
