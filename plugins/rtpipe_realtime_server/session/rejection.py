"""A request that is refused: over HTTP as an error body, in a call as an `error` event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

INVALID_REQUEST = "invalid_request_error"
RATE_LIMIT = "rate_limit_error"
SERVER_ERROR = "server_error"
RETRY_AFTER_S = 5
"""When a client that was refused for want of room is to ask again."""


class Rejected(Exception):  # noqa: N818 - what happened to the request, not an error of ours
    """A request that the server does not carry out.

    Args:
        message: One or two sentences for the client's author.
        code: OpenAI's error code, None where OpenAI sends none.
        param: Dotted path of the offending parameter.
        status: HTTP status when it answers an HTTP request.
        kind: OpenAI's type of the error.
        retry_after_s: When to ask again; told over HTTP.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = "invalid_value",
        param: str | None = None,
        status: int = 400,
        kind: str = INVALID_REQUEST,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """Return the error object without the client's event id."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
        }


def unknown_parameter(path: str) -> Rejected:
    """`path` is no parameter."""
    return Rejected(f"Unknown parameter: '{path}'.", code="unknown_parameter", param=path)


def missing_parameter(path: str) -> Rejected:
    """`path` has to be given."""
    return Rejected(
        f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path
    )


def unsupported_value(path: str, value: object, supported: Iterable[str]) -> Rejected:
    """`value` is none of the `supported` ones."""
    choices = ", ".join(f"'{choice}'" for choice in supported)
    return Rejected(f"Invalid value: '{value}'. Supported values are: {choices}.", param=path)


def wrong_type(path: str, expected: str, value: object) -> Rejected:
    """`value` is not what JSON calls `expected`."""
    names = {
        type(None): "null",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "an array",
    }
    given = names.get(type(value), "an object")
    return Rejected(f"Invalid type for '{path}': expected {expected}, got {given}.", param=path)
