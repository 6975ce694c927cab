"""What the embedded server needs of a brain: to listen, to answer, to speak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the brain says: the words and their sound."""

    text: str
    pcm: NDArray[np.int16]
    """Mono, 48 kHz, shape (samples,)."""


class Brain(Protocol):
    """The listening and speaking half of the server.

    Everything slow runs off the event loop.
    """

    @property
    def name(self) -> str:
        """`speech` or `tones`, shown at start-up."""
        raise NotImplementedError

    @property
    def notice(self) -> str | None:
        """One sentence for the user when this brain is a makeshift, else None."""
        raise NotImplementedError

    async def load(self) -> None:
        """Make the models ready; may be called again."""
        raise NotImplementedError

    async def transcribe(self, pcm: NDArray[np.int16]) -> str:
        """Return the words in `pcm` (mono, 16 kHz), or "" when none were understood."""
        raise NotImplementedError

    async def reply(self, heard: str, instructions: str) -> str:
        """Return the answer to `heard`; never empty."""
        raise NotImplementedError

    async def speak(self, text: str, voice: str) -> Utterance:
        """Return `text` spoken."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of models and threads."""
        raise NotImplementedError
