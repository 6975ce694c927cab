"""Redaction: passwords, tokens and keys taken out of what people read."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Collection

MASK = "***"
_SHORTEST_SECRET = 4  # hiding every `1` would leave nothing to read
_SECRET_NAME = re.compile(
    r"(^|_)(key|pass|pwd|pin|auth|credentials?)(_|$)|apikey|token|secret|passw", re.IGNORECASE
)
_URL = re.compile(r"\s*[a-z][a-z0-9+.:-]*://(?=\S)", re.IGNORECASE)
_WORD = re.compile(r'(?:\\.|[^\s"\\])+')
_URL_USER = re.compile(r'://[^/?#@\s:"]*:')
# A password is whatever stands before the last @, even where its `/` should have been `%2F`; an @
# in a query ends one only if no other does.
_PASSWORD = re.compile(r"(?: (?:\\.|[^\\?#])+ | (?:\\.|[^\\])+ )  (?=@)", re.VERBOSE)
_URL_QUERY = re.compile(r'([?&;]([\w.%-]+)=)([^\s"&]+)')


def looks_secret(name: str) -> bool:
    """Return whether a variable of this name holds what must not be shown (`OPENAI_API_KEY`)."""
    return _SECRET_NAME.search(name) is not None


def url_secrets(text: str) -> set[str]:
    """Return the passwords and keys in `text`, if it is a URL as a whole.

    Where a password holds a `/`, `?`, `#` or `@` of its own, each way of reading it counts.
    """
    scheme = _URL.match(text)
    if scheme is None or "\n" in text.strip():
        return set()
    rest = text[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    found = {part.rpartition("@")[0].partition(":")[2] for part in (rest, authority)}
    queries = _URL_QUERY.findall(rest)
    return (found | {value for _, name, value in queries if looks_secret(name)}) - {""}


def mask(text: str, secrets: Collection[str], *, keep_length: bool = False) -> str:
    """Return `text` without any of `secrets`, the password of a URL, and the keys in its query.

    Args:
        text: What is to be shown.
        secrets: Values that must not be seen, however they are quoted.
        keep_length: Put as many asterisks as there were characters, so that carets still point.
    """

    def hidden(secret: str) -> str:
        return "*" * len(secret) if keep_length else MASK

    if text and text in secrets:
        return hidden(text)
    for form in _all_forms(frozenset(secrets)):
        if form in text:
            text = text.replace(form, hidden(form))

    def without_passwords(found: re.Match[str]) -> str:
        word, parts, end = found.group(), [], 0
        while (user := _URL_USER.search(word, end)) is not None:
            password = _PASSWORD.match(word, user.end())
            if password is None:
                break  # no @ follows, for none of the users behind this one either
            parts += [word[end : user.end()], hidden(password.group())]
            end = password.end()
        return "".join([*parts, word[end:]])

    def without_key(found: re.Match[str]) -> str:
        before, name, value = found.groups()
        return before + hidden(value) if looks_secret(name) else found.group()

    if "://" in text:
        text = _WORD.sub(without_passwords, text)
    return _URL_QUERY.sub(without_key, text)


@lru_cache(maxsize=16)
def _all_forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """Return every form of some secrets, the longest first."""
    return tuple(sorted({form for each in secrets for form in _forms(each)}, key=len)[::-1])


def _forms(secret: str) -> frozenset[str]:
    """Return `secret` as it may stand in a text: plain, in a URL, in quotes, in a pipeline file."""
    in_a_file = secret.replace("$", "$$")
    forms = {
        unquote(secret),
        quote(secret, safe="", errors="surrogatepass"),
        quote(secret, errors="surrogatepass"),
        repr(secret)[1:-1],
    }
    for plain in (secret, in_a_file):
        forms |= {
            plain,
            json.dumps(plain)[1:-1],
            json.dumps(plain, ensure_ascii=False)[1:-1],
            plain.replace("'", "''"),
        }
    return frozenset(form for form in forms if len(form) >= _SHORTEST_SECRET)
