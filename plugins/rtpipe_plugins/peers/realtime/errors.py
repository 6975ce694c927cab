"""Refusals: what a server answers instead of a call."""

from __future__ import annotations

import re

from rtpipe import EnvironmentProblem, ExitCode, StageError

MODEL_CODES = {"model_not_found", "invalid_model", "unsupported_model", "model_not_available"}
"""The key is right; the model is not there for it."""

FATAL_CODES = {
    "insufficient_quota": ExitCode.TEMPORARY,
    "billing_hard_limit_reached": ExitCode.TEMPORARY,
    "account_deactivated": ExitCode.NO_PERMISSION,
    "invalid_api_key": ExitCode.NO_PERMISSION,
    "missing_api_key": ExitCode.NO_PERMISSION,
    "unsupported_country_region_territory": ExitCode.NO_PERMISSION,
    "beta_api_shape_disabled": ExitCode.CONFIGURATION,
    **dict.fromkeys(MODEL_CODES, ExitCode.CONFIGURATION),
}
"""What no further call can change, over HTTP or inside a call."""

_FATAL_TYPES = {
    "authentication_error": ExitCode.NO_PERMISSION,
    "permission_error": ExitCode.NO_PERMISSION,
    "insufficient_quota": ExitCode.TEMPORARY,
}
_QUOTA = re.compile(r"\b(exceeded|insufficient|no|out of)\b.{0,20}\bquota\b", re.IGNORECASE)
_KEY = re.compile(
    r"\b(invalid|incorrect|missing|wrong|bad|no|unknown)\b.{0,20}"
    r"\b(api[ _-]?key|token|credentials?)\b"
    r"|\b(unauthori[sz]ed|unauthenticated|forbidden|access denied)\b"
    r"|\bauthenticat\w+ (failed|required)\b",
    re.IGNORECASE,
)
_MODEL = re.compile(
    r"\b(unknown|no such|invalid|unsupported)\b.{0,10}\bmodel\b"
    r"|\bmodel\b.{0,80}\b(not (found|exist|supported|available|loaded)|unknown|must be)\b",
    re.IGNORECASE,
)
_FATAL_WORDS = {
    _QUOTA: ExitCode.TEMPORARY,
    _KEY: ExitCode.NO_PERMISSION,
    _MODEL: ExitCode.CONFIGURATION,
}


def permanent(code: str | None, type: str | None, words: str = "") -> ExitCode | None:
    """Return what a refusal ends with that no further call can change; None for any other.

    Args:
        code: OpenAI's error code, if there is one.
        type: The error's kind, if there is one.
        words: What the server says, where it may be believed to be about the whole call.
    """
    if code in FATAL_CODES:
        return FATAL_CODES[code]
    if type in _FATAL_TYPES:
        return _FATAL_TYPES[type]
    return next((exit for said, exit in _FATAL_WORDS.items() if said.search(words)), None)


class CallRefused(StageError):  # noqa: N818 - what happened; its base says that it is an error
    """The server will not have this call, however often it is asked; no fallback takes over.

    Attributes:
        status: HTTP status; None when the refusal came inside a call.
        code: OpenAI's error code, when it gave one.
        param: What of our request the error is about, when it said so.
    """

    exit_code = ExitCode.CONFIGURATION

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        help: str | None = None,
        exit_code: ExitCode | None = None,
    ) -> None:
        super().__init__(message, help=help, exit_code=exit_code)
        self.status = status
        self.code = code
        self.param = param


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


class NoKey(EnvironmentProblem):
    """There is no key, and the server wants one; waiting brings none."""


class NoRoute(EnvironmentProblem):
    """The media of a call have no way between the server and here; waiting makes none."""


class BudgetSpent(StageError):  # noqa: N818 - what happened
    """The conversation has cost what it may cost: nobody but its owner should begin it anew."""

    exit_code = ExitCode.NO_PERMISSION


class AnswerGivenUp(StageError):  # noqa: N818 - what happened
    """The visitor's last turn was not answered, by a server that was there and said nothing."""

    exit_code = ExitCode.TEMPORARY


def worth_retrying(problem: EnvironmentProblem) -> bool:
    """Return whether the same call may succeed soon; no money stays none, and no key."""
    if isinstance(problem, CallUnavailable):
        return problem.code not in FATAL_CODES
    return not isinstance(problem, NoKey)


def wanted_pause_s(problem: EnvironmentProblem) -> float | None:
    """Return how long the server asks not to be asked again, if it does."""
    return problem.retry_after_s if isinstance(problem, CallUnavailable) else None
