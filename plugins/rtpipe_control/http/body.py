"""What a request carries: JSON, bounded in size, depth and time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NoReturn

from aiohttp import web

from rtpipe_control.http.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 64 * 1024
_PATIENCE_S = 10.0
_DEEPEST = 20


async def body_of(request: web.Request) -> Any:
    """Return the JSON that a POST carries; None where it carries nothing.

    Raises:
        Refused: It is no JSON, or does not say that it is: then it may be another site's form.
    """
    if request.content_type != "application/json":
        raise Refused(415, "a POST carries JSON", "send `Content-Type: application/json`")
    try:
        async with asyncio.timeout(_PATIENCE_S):
            data = await request.read()
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_PATIENCE_S:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise Refused(
            413, f"the body is larger than {MOST_BYTES // 1024} kB", "an action's arguments are few"
        ) from None
    except Exception as error:  # a wrong length or encoding, in one of aiohttp's many classes
        raise Refused(400, f"the body cannot be read: {type(error).__name__}") from error
    try:
        found = json.loads(data or b"null", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}", 'send {"gain_db": -6}') from error
    if _is_deeper(found, _DEEPEST):
        raise Refused(400, f"the body is nested more than {_DEEPEST} deep")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"`{text}` is no number there")


def _is_deeper(value: Any, levels: int) -> bool:
    inner: Callable[[], Any] | None = None
    if isinstance(value, dict):
        inner = value.values
    elif isinstance(value, list):
        inner = value.__iter__
    if inner is None:
        return False
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner())
