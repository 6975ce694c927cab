"""Refusals: what a server answers instead of a call."""

from __future__ import annotations

from rtpipe import EnvironmentProblem, ExitCode, StageError

FATAL_CODES = {
    "insufficient_quota": ExitCode.TEMPORARY,
    "billing_hard_limit_reached": ExitCode.TEMPORARY,
    "account_deactivated": ExitCode.NO_PERMISSION,
    "invalid_api_key": ExitCode.NO_PERMISSION,
}
"""What no further call can change, over HTTP or inside a call."""


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
        retry_after_s: How long the server asks not to be asked again, if it does.
    """

    exit_code = ExitCode.TEMPORARY

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None = None,
        help: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class BudgetSpent(StageError):  # noqa: N818 - what happened
    """The conversation has cost what it may cost: nobody but its owner should begin it anew."""

    exit_code = ExitCode.NO_PERMISSION


class AnswerGivenUp(StageError):  # noqa: N818 - what happened
    """The visitor's last turn was not answered, by a server that was there and said nothing."""

    exit_code = ExitCode.TEMPORARY


def worth_retrying(problem: EnvironmentProblem) -> bool:
    """Return whether the same call may succeed soon; an empty account stays empty."""
    return not (isinstance(problem, CallUnavailable) and problem.code in FATAL_CODES)


def wanted_pause_s(problem: EnvironmentProblem) -> float | None:
    """Return how long the server asks not to be asked again, if it does."""
    return problem.retry_after_s if isinstance(problem, CallUnavailable) else None
