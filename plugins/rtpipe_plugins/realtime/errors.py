"""What a server answers instead of a call."""

from __future__ import annotations

from rtpipe import EnvironmentProblem, ExitCode, StageError


class CallRefused(StageError):  # noqa: N818 - what happened; its base says that it is an error
    """The server will not have this call, however often it is asked; no fallback takes over.

    Attributes:
        status: HTTP status; None when the refusal came inside a call.
        code: OpenAI's error code, when it gave one.
    """

    exit_code = ExitCode.CONFIGURATION

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        help: str | None = None,
        exit_code: ExitCode | None = None,
    ) -> None:
        super().__init__(message, help=help, exit_code=exit_code)
        self.status = status
        self.code = code


class CallUnavailable(EnvironmentProblem):
    """The server cannot take the call now: 429, 5xx; the same call may succeed later.

    Attributes:
        status: HTTP status.
        code: OpenAI's error code, when it gave one.
    """

    exit_code = ExitCode.TEMPORARY

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.status = status
        self.code = code
