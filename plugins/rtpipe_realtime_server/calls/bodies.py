"""What requests carry: JSON, an SDP offer, an offer with its session. All raise `Rejected`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader
from aiohttp.http_exceptions import HttpProcessingError

from rtpipe_realtime_server.session import strict_json
from rtpipe_realtime_server.session.rejection import Rejected, missing_parameter, wrong_type

if TYPE_CHECKING:
    from aiohttp import web

_LEAST_TTL_S = 10
_MOST_TTL_S = 7200
_TTL_S = 600


def ttl_seconds(given: Any) -> int:
    """Return the life time that `expires_after` asks for."""
    if given is None:
        return _TTL_S
    if not isinstance(given, dict):
        raise wrong_type("expires_after", "an object", given)
    if given.get("anchor", "created_at") != "created_at":
        raise Rejected("Invalid value. Supported values are: 'created_at'.",
                       param="expires_after.anchor")  # fmt: skip
    seconds = given.get("seconds", _TTL_S)
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise wrong_type("expires_after.seconds", "an integer", seconds)
    if not _LEAST_TTL_S <= seconds <= _MOST_TTL_S:
        raise Rejected(
            f"Invalid value: {seconds}. Expected {_LEAST_TTL_S} to {_MOST_TTL_S} seconds.",
            param="expires_after.seconds",
        )
    return seconds


async def json_body(request: web.Request) -> dict[str, Any]:
    """Return a request's JSON object; an empty body is an empty one."""
    raw = await request.read()
    try:
        body = strict_json.loads(raw or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Rejected("The request's body is not a JSON object.", code="invalid_json")
    return body


async def offer_and_session(request: web.Request) -> tuple[str, dict[str, Any] | None]:
    """Return a call's SDP offer and the session that came with it, if any."""
    if request.content_type == "application/sdp":
        return _text(await request.read()), None
    if request.content_type != "multipart/form-data":
        raise Rejected(
            f"Unsupported content type '{request.content_type}': send 'application/sdp', or "
            "'multipart/form-data' with the parts 'sdp' and 'session'.",
            code="unsupported_content_type",
        )
    parts: dict[str, str] = {}
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name in ("sdp", "session"):
                parts[part.name] = _text(await part.read(decode=True))
    except (ValueError, RuntimeError, HttpProcessingError) as error:  # an unknown encoding: Runtime
        raise Rejected("The multipart body could not be read.", code="invalid_body") from error
    if "sdp" not in parts:
        raise missing_parameter("sdp")
    if "session" not in parts:
        return parts["sdp"], None
    try:
        session = strict_json.loads(parts["session"])
    except ValueError as error:
        raise Rejected("The part 'session' is not JSON.", param="session") from error
    if not isinstance(session, dict):
        raise wrong_type("session", "an object", session)
    return parts["sdp"], session


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # what is no UTF-8 is no SDP and no JSON either
