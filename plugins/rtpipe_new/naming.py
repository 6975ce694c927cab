"""What a new stage is called: its kind, class, module, package and distribution."""

from __future__ import annotations

import keyword
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rtpipe import ExitCode, RtpipeError

if TYPE_CHECKING:
    from collections.abc import Container

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 40
_RESERVED = frozenset(
    [
        "id",
        "from",
        "queue",
        "enabled",
        "on_error",
        "fallback",
        "label",
        "match",
        "where",
        "do",
        "version",
        "name",
        "description",
        "include",
        "plugins",
        "vars",
        "fuse",
        "stages",
        "events",
        "profiles",
        "control",
        "log",
        "tests",
    ]
)
"""Words that stand beside a kind or at the top of a file."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one stage.

    Attributes:
        kind: In a pipeline file.
        module: Of its file.
        package: That is imported.
        distribution: That is installed, and the folder's.
        type: The class.
    """

    kind: str
    module: str
    package: str
    distribution: str
    type: str

    def values(self) -> dict[str, str]:
        """Return them for a template."""
        return asdict(self)


def names_of(name: str, taken: Container[str]) -> Names:
    """Return the names that come of `name`.

    Args:
        name: Small letters, digits, `_` and `-`; `rtpipe-` before it is left out.
        taken: Kinds that there are.

    Raises:
        RtpipeError: It cannot be a kind.
    """
    plain = name.removeprefix("rtpipe-").removeprefix("rtpipe_")
    if not _NAME.fullmatch(plain) or len(plain) > _LONGEST:
        raise RtpipeError(
            f"{name!r} cannot be a kind: small letters, digits and `_` or `-` between them, "
            f"{_LONGEST} at most",
            help="for example `tremolo` or `noise_gate`",
            exit_code=ExitCode.USAGE,
        )
    kind = plain.replace("-", "_")
    if kind in _RESERVED or keyword.iskeyword(kind):
        raise RtpipeError(
            f"`{kind}` means something else already: it cannot be a kind", exit_code=ExitCode.USAGE
        )
    if kind in taken:
        raise RtpipeError(
            f"there is a kind `{kind}` already",
            help=f"`rtpipe stages {kind}` describes it; choose another name",
            exit_code=ExitCode.USAGE,
        )
    type = "".join(part.capitalize() for part in kind.split("_"))
    return Names(kind, kind, f"rtpipe_{kind}", f"rtpipe-{kind.replace('_', '-')}", type)
