"""What keys are read from, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe import Finding


class Stroke(NamedTuple):
    """A key that went down or up."""

    key: str
    down: bool


class Keyboard(Protocol):
    """A device that can be opened again once it is closed.

    Attributes:
        down: The keys that are held, as far as it tells.
    """

    down: set[str]

    def look(self) -> Iterator[Finding]:
        """Yield what keeps it from being opened, as far as can be told without opening it."""
        ...

    def open(self) -> int:
        """Open it; returns the file descriptor that is readable when there is something to read.

        Raises:
            EnvironmentProblem: It is not there, or may not be read.
        """
        ...

    def read(self) -> list[Stroke]:
        """Return what has happened.

        Raises:
            OSError: It is gone.
        """
        ...

    def keep(self) -> None:
        """Set right what others have changed of it; called now and then.

        Raises:
            OSError: It is gone.
        """
        ...

    def close(self) -> None:
        """Let go of it; nothing where it is not open."""
