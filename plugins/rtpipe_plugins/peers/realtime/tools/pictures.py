"""Image input: a file becomes a data URL that fits into one event."""

from __future__ import annotations

import base64
from pathlib import Path

from rtpipe import StageError, reason_of

_MOST_BYTES = 190_000
"""A data channel takes 256 KiB in one piece, and base64 makes 4 bytes out of 3."""
_FORMATS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_HELP = "PNG or JPEG; 1024 pixels are enough for a model to see what there is"


def data_url(source: str) -> str:
    """Return the picture in the file `source` as a data URL; one that is a data URL as it is.

    Raises:
        StageError: It cannot be read, is neither PNG nor JPEG, or is larger than 190 kB.
    """
    if source.startswith("data:image/"):
        if len(source) > _MOST_BYTES * 4 // 3:
            raise _too_large("the picture", len(source) * 3 // 4)
        return source
    try:
        path = Path(source).expanduser()
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise _too_large(source, size)
        data = path.read_bytes()
    except OSError as error:
        raise StageError(f"cannot read {source}: {reason_of(error)}") from error
    for beginning, format in _FORMATS.items():
        if data.startswith(beginning):
            return f"data:{format};base64,{base64.b64encode(data).decode()}"
    raise StageError(f"{source} is no picture that a model takes", help=_HELP)


def _too_large(source: str, size: int) -> StageError:
    return StageError(
        f"{source} has {size // 1000} kB: at most {_MOST_BYTES // 1000} kB fit into one event",
        help=_HELP,
    )
