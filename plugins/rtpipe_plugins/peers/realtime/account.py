"""The account: whose server, with which key; and the redaction of keys in what people read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.peers.realtime.errors import CallRefused, NoKey
from rtpipe_plugins.peers.realtime.options import http_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

OPENAI = "https://api.openai.com/v1"

_VARIABLE = {"openai": "OPENAI_API_KEY", "azure": "AZURE_OPENAI_API_KEY"}
_KEY_LIKE = re.compile(r"\b([se]k)[-_][\w*.-]{6,}")


class Mask:
    """Redaction: replaces known secrets, and whatever looks like a key, in a text.

    A server echoes keys ("Incorrect API key provided: sk-…"), and its words reach logs, events and
    recordings.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Hiding every `x` would leave nothing to read; a key that short is none.
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "…")
        return _KEY_LIKE.sub(r"\1-…", text) if "k-" in text or "k_" in text else text


@dataclass(frozen=True, slots=True)
class Account:
    """Where calls are placed and on whose behalf.

    Attributes:
        provider: `openai`, `azure` or `embedded`.
        base_url: The API's root, without a slash at its end.
        key: An API key, or an ephemeral one (`ek_…`); empty for a server that may want none.
    """

    provider: str
    base_url: str
    key: SecretStr

    @property
    def host(self) -> str:
        """The server's host, with its port where the URL names one; fit for being shown."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        return f"{host}:{parts.port}" if parts.port else host

    @property
    def hostname(self) -> str:
        """The server's host alone."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def has_ephemeral_key(self) -> bool:
        """Whether the session was chosen by whoever made the key."""
        return self.key.get_secret_value().startswith("ek_")


def bearer(key: str) -> dict[str, str]:
    """Return the headers that show `key`; none for an empty one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def missing_key(provider: str, why: str = "") -> NoKey:
    """Return what is to be said where there is no key."""
    name = _VARIABLE[provider]
    return NoKey(
        f"no API key: {name} is not set{why}",
        help=f"export {name}=…, or `provider: embedded` for a server of your own, offline",
    )


def account_of(options: RealtimeOptions, environment: Mapping[str, str]) -> Account:
    """Return the account that `options` and the environment name.

    Raises:
        EnvironmentProblem: A key or an address is missing. A server of somebody else's may want no
            key: it is asked without.
        CallRefused: They are there but cannot be right.
    """
    name = _VARIABLE[options.provider]
    given = options.api_key.get_secret_value() if options.api_key else environment.get(name, "")
    key = given.strip()  # keys come out of files and shells with a newline at their end
    if not key and (options.provider == "azure" or _base_url(options, environment) == OPENAI):
        raise missing_key(options.provider)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise CallRefused(
            "the API key holds characters that no key has",
            help=f"copy it again into {name}",
            exit_code=ExitCode.NO_PERMISSION,
        )
    return Account(options.provider, _base_url(options, environment), SecretStr(key))


def _base_url(options: RealtimeOptions, environment: Mapping[str, str]) -> str:
    if options.base_url is not None:
        return options.base_url
    if options.provider == "azure":
        endpoint = environment.get("AZURE_OPENAI_ENDPOINT", "").strip().rstrip("/")
        if not endpoint:
            raise EnvironmentProblem(
                "no Azure resource: AZURE_OPENAI_ENDPOINT is not set",
                help="export AZURE_OPENAI_ENDPOINT=https://RESOURCE.openai.azure.com",
            )
        return _checked(f"{endpoint}/openai/v1", "AZURE_OPENAI_ENDPOINT")
    url = environment.get("OPENAI_BASE_URL", "").strip()
    return _checked(url, "OPENAI_BASE_URL") if url else OPENAI


def _checked(url: str, name: str) -> str:
    try:
        return http_root(url)
    except ValueError as error:
        raise CallRefused(f"{name} is not an address: it {error}") from None
