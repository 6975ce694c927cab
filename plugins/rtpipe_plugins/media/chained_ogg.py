"""A chained Ogg whose format changes: FFmpeg ends there, so each further link is opened anew."""

from __future__ import annotations

from pathlib import Path

_BLOCK = 1 << 20
_HEADER = 6
"""Bytes of a page up to its flags: `OggS`, the version, the flags."""
_BEGINS = 2
"""The flag of a page with which a logical stream begins."""


def next_link(path: str, after: int) -> tuple[str, int] | None:
    """Return the next link of a chained Ogg, as FFmpeg opens it, and where it begins (bytes).

    Args:
        path: A file; of anything else there is no next link.
        after: Byte from which to look.

    Raises:
        OSError: The file cannot be read.
    """
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        file.seek(after)
        at, held = after, b""
        while block := file.read(_BLOCK):
            held += block
            found = _beginning(held)
            if found is not None:
                start = at + found
                return f"subfile,,start,{start},end,0,,:{path}", start
            at += len(held) - _HEADER
            held = held[-_HEADER:]
    return None


def _beginning(data: bytes) -> int | None:
    at = data.find(b"OggS")
    while 0 <= at <= len(data) - _HEADER:
        if data[at + 4] == 0 and data[at + 5] & _BEGINS:
            return at
        at = data.find(b"OggS", at + 1)
    return None
