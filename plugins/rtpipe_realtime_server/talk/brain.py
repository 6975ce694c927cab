"""What the embedded server needs of a brain: to listen, to answer, to speak."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of one of the client's functions."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    """Sent as JSON; text is sent as it is, so that a test can send what is no JSON."""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What the client's function returned."""

    name: str
    """The function's, "" when the call is not in the conversation."""
    arguments: str
    """JSON, as it was sent."""
    output: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a brain is asked: everything since the last answer."""

    heard: str
    """The visitor's words, "" when none were understood."""
    instructions: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    """The functions that may be called, as the client declared them."""
    outputs: tuple[ToolOutput, ...] = ()
    """What the calls made for this question returned, oldest first."""
    must_call: bool = False
    """The client demands a call: its `tool_choice` is `required`, or names a function."""

    def may_call(self, name: str) -> bool:
        """Whether the client declared a function of this name."""
        return any(tool["name"] == name for tool in self.tools)


@dataclass(frozen=True, slots=True)
class ResponseEnding:
    """How a response ends that does not complete."""

    status: Literal["failed", "incomplete"]
    reason: str
    """The code of the error, or why the rest is missing (`max_output_tokens`)."""

    def details(self) -> dict[str, Any]:
        """Return the `status_details` of the response."""
        if self.status == "incomplete":
            return {"type": "incomplete", "reason": self.reason}
        message = "The response could not be generated."
        error = {"type": "server_error", "code": self.reason, "message": message}
        return {"type": "failed", "error": error}


@dataclass(frozen=True, slots=True)
class BrainAnswer:
    """What a brain answers: words, function calls, or words and then calls."""

    words: str = ""
    calls: tuple[FunctionCall, ...] = ()
    ending: ResponseEnding | None = None
    """How the response ends after that, if it does not complete."""
    sound: NDArray[np.int16] | None = field(default=None, compare=False)
    """The sound of the words (mono, 48 kHz) if it is known; else `speak` is asked for it."""


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

    async def reply(self, question: Question) -> BrainAnswer:
        """Return the answer, which has words or calls; what calls return is asked about again."""
        raise NotImplementedError

    async def speak(self, text: str, voice: str) -> Utterance:
        """Return `text` spoken."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of models and threads."""
        raise NotImplementedError
