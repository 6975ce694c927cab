"""Escaping control characters: what others wrote, made safe for a terminal or a log."""

from __future__ import annotations

import re

_RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u2028\u2029\u202a-\u202e\u2066-\u2069"  # line separators, bidi overrides and isolates
    "\ud800-\udfff]"  # half a surrogate pair: no encoding has it
)


def printable(text: str) -> str:
    r"""Return `text` with control characters as `\u001b`, which is what JSON and YAML write, too.

    C0, C1, DEL, bidi overrides and isolates, and halves of surrogate pairs; tabs and line feeds
    stay.
    """
    return _RAW.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def on_one_line(text: str, longest: int | None = None) -> str:
    """Return `text` printable, its white space joined, and cut after `longest` characters."""
    joined = printable(" ".join(text.split()))
    return joined if longest is None or len(joined) <= longest else joined[: longest - 1] + "…"
