"""Addresses on the network, user and password in them: what may be printed, what went wrong."""

from __future__ import annotations

import re
from typing import Annotated, Self, TypeAlias
from urllib.parse import quote

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, model_validator

from rtpipe import EnvironmentProblem, ExitCode, Options, reason_of

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"(\[[^]]*]|[^:]*)(:\d*)?")
_END = re.compile(r"[/?#]")
"""What ends user, password, host and port."""


def shown(url: str) -> str:
    """Return `url` without user, password and query: what may be printed.

    Whatever stands before the last `@` could belong to a password that is not %-encoded.
    """
    scheme, rest = _cut(url)
    secret, _, public = rest.rpartition("@")
    if re.search(r"[?#]", secret):
        return f"{scheme}***"  # what follows the @ could belong to the query
    masked = "***@" if secret else ""
    public, mark, _ = re.sub("#.*", "", public, flags=re.DOTALL).partition("?")
    return f"{scheme}{masked}{public}{mark and '?***'}"


def _cut(url: str) -> tuple[str, str]:
    """Return the scheme with its `://`, and the rest; the scheme is "" where there is none."""
    scheme, mark, rest = url.partition("://")
    return (f"{scheme}{mark}", rest) if mark and _SCHEME.fullmatch(scheme) else ("", url)


def _authority(rest: str) -> str:
    return _END.split(rest, maxsplit=1)[0]


def _late_at(rest: str) -> bool:
    """Return whether an `@` stands where it does not end the password."""
    return "@" in rest[len(_authority(rest)) :]


def _encoded(url: str) -> str:
    """Refuse a password that FFmpeg would take for a host and its port."""
    _, rest = _cut(url)
    host = _authority(rest).rpartition("@")[2]
    if _late_at(rest) and not _HOST.fullmatch(host):
        raise ValueError(
            "a `/`, `?` or `#` in its user or password must be %-encoded: `%2F`, `%3F`, `%23`; "
            "written as `user` and `password` they may stand as they are"
        )
    return url


Address: TypeAlias = Annotated[
    str, AfterValidator(_encoded), PlainSerializer(shown), Field(repr=False)
]
"""The type of an option that holds an address, perhaps with a password in it."""


class AddressOptions(Options):
    """Where a connection goes, and as whom."""

    url: Address
    """The address; user and password may stand in it, %-encoded, and are never shown."""
    user: str | None = None
    """Instead of one in the address; written as it is, whatever characters it holds."""
    password: SecretStr | None = None
    """For `user`, as it is; it is not shown."""

    @model_validator(mode="after")
    def _one_user(self) -> Self:
        if self.user is None and self.password is not None:
            raise ValueError("a password needs a user")
        if self.user is not None and "@" in _authority(_cut(self.url)[1]):
            raise ValueError("the address and `user` both say who we are: leave one out")
        return self

    @property
    def address(self) -> str:
        """The address with user and password in it."""
        if self.user is None:
            return self.url
        scheme, rest = _cut(self.url)
        password = self.password
        secret = "" if password is None else f":{quote(password.get_secret_value(), safe='')}"
        return f"{scheme}{quote(self.user, safe='')}{secret}@{rest}"


def problem(error: Exception, timeout_s: float) -> str:
    """Return what went wrong; never the text of the error, which names the whole address."""
    from av.error import ExitError

    if isinstance(error, (ExitError, TimeoutError)):
        return f"nothing moved for {timeout_s:g} s"
    return reason_of(error, own_text=False)


def unreachable(url: str, error: Exception, timeout_s: float) -> EnvironmentProblem:
    """Return what to raise when an address cannot be opened."""
    from av.error import HTTPForbiddenError, HTTPUnauthorizedError

    scheme, rest = _cut(url)
    written = (
        "write them as `user` and `password`, or into the address with what is special %-encoded: "
        f"{scheme}user:p%40ssword@host/path"
    )
    if isinstance(error, (HTTPUnauthorizedError, HTTPForbiddenError)):
        return EnvironmentProblem(
            f"{shown(url)} refuses the user or the password",
            help=written,
            exit_code=ExitCode.NO_PERMISSION,
        )
    return EnvironmentProblem(
        f"cannot reach {shown(url)}: {problem(error, timeout_s)}",
        help=f"are there user and password in it? {written}" if _late_at(rest) else None,
    )
