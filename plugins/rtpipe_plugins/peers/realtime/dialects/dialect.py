"""The seam between the stage and what is spoken with the server.

OpenAI has more than one real-time protocol, and will have others. What is said is a `Conversation`,
which does no input or output of its own: text in, `Output`s out. How it travels is a `Transport`;
one that begins with an offer has a `Signaling` to place it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rtpipe import Event, RtpipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtpipe import AudioFrame


@dataclass(frozen=True, slots=True)
class Command:
    """An event for the server."""

    data: Mapping[str, Any]

    def text(self) -> str:
        """Return the event as it travels."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation cannot go on."""

    problem: RtpipeError


@dataclass(frozen=True, slots=True)
class Hushed:
    """What the model has said so far and nobody has heard yet is to be thrown away."""


@dataclass(frozen=True, slots=True)
class UserSpeaks:
    """The visitor's turn has begun or ended, by the server's turn detection or by a key.

    Attributes:
        speaking: Whether it has begun.
        item_id: The server's name for what is said; "" where it has none.
    """

    speaking: bool
    item_id: str = ""


@dataclass(frozen=True, slots=True)
class AnswerBegins:
    """The server begins to send the sound of an answer."""

    response_id: str


@dataclass(frozen=True, slots=True)
class AnswerEnds:
    """The server has sent all of an answer's sound, or will send no more of it.

    Attributes:
        response_id: The answer.
        cut: Whether it was cut off.
        told: Whether the server says what it plays. If not, this is only that the answer has been
            generated: it is over when it has been silent for a while.
    """

    response_id: str
    cut: bool = False
    told: bool = True


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a function that is run here; `Conversation.answer` takes its output.

    Attributes:
        call_id: Which call.
        name: The function's.
        arguments: JSON, as the model wrote it: it need not be right.
    """

    call_id: str
    name: str
    arguments: str


TurnMark: TypeAlias = UserSpeaks | AnswerBegins | AnswerEnds
"""Who speaks, as far as the server tells."""

Happening: TypeAlias = Event | Hushed | ToolCall | TurnMark
"""What matters beyond the call: a fact for the bus, an interruption, a function call, a turn."""

Output: TypeAlias = Happening | Command | Ended
"""What is to be done: outside, by the server, or no more."""


class Conversation(Protocol):
    """The state of one conversation; every method returns what is to be done now, in order."""

    @property
    def announced(self) -> bool:
        """Whether the server has shown its session."""
        ...

    @property
    def established(self) -> bool:
        """Whether the session is the one that was asked for, so that the visitor may be heard."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nobody speaks, nothing is being generated and no answer is owed."""
        ...

    @property
    def transcribing(self) -> bool:
        """Whether the words of a finished turn of the visitor's are still to come."""
        ...

    @property
    def hangover_s(self) -> float:
        """How long a silence must last before the server takes it for the end of a turn (s)."""
        ...

    def receive(self, message: str | bytes) -> list[Output]:
        """Take what the server sent, whatever it is; never raises."""
        ...

    def give_up_waiting(self) -> list[Output]:
        """Go on without the server's word that the session is as asked for."""
        ...

    def say(self, text: str) -> list[Output]:
        """Have the model speak `text`."""
        ...

    def text(self, text: str) -> list[Output]:
        """Put `text` to the model as if the visitor had typed it, and have it answered."""
        ...

    def respond(self, response: Mapping[str, Any]) -> list[Output]:
        """Have the model take its turn; `response` overrides the session for this once."""
        ...

    def image(self, url: str, text: str) -> list[Output]:
        """Show the model a picture (a data URL); if there is a `text`, have that answered."""
        ...

    def interrupt(self) -> list[Output]:
        """Silence the model if it has the word: the visitor speaks."""
        ...

    def cancel(self) -> list[Output]:
        """Silence the model and forget what it was still to say."""
        ...

    def press(self) -> list[Output]:
        """Begin the visitor's turn: the model falls silent."""
        ...

    def release(self) -> list[Output]:
        """End the turn that `press` began and have it answered, unless it was too short."""
        ...

    def answer(self, call_id: str, output: str) -> list[Output]:
        """Give the model what a function has returned; it goes on when it has all it called."""
        ...

    def elapsed(self, ms: float) -> list[Output]:
        """So much of the model's audio has come, audible or not."""
        ...

    def listen(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return what may be heard now that `frame` has come: nothing of a broken-off answer."""
        ...

    def clear(self) -> list[Output]:
        """Forget what the visitor has said in this turn so far."""
        ...

    def commit(self) -> list[Output]:
        """End the visitor's turn."""
        ...

    def update(self, session: Mapping[str, Any]) -> list[Output]:
        """Change the session."""
        ...

    def unsent(self, commands: Sequence[Command]) -> None:
        """Take back commands that could not be sent: nobody will answer them."""
        ...

    def close(self) -> list[Output]:
        """Account for what was going on when the call ended."""
        ...


@dataclass(frozen=True, slots=True)
class SdpAnswer:
    """What a server says to an offer.

    Attributes:
        sdp: Its half of the connection.
        call_id: Its name for the call, if it gave one.
        server_time_s: Its own clock when it answered (Unix seconds), if it told.
    """

    sdp: str
    call_id: str | None
    server_time_s: float | None = None


class Signaling(Protocol):
    """How a call is placed and ended, outside the call itself."""

    async def place(self, offer: str) -> SdpAnswer:
        """Send the SDP `offer`.

        Raises:
            CallRefused: The server will not.
            EnvironmentProblem: The server cannot, or cannot be reached.
        """
        ...

    async def hang_up(self, call_id: str) -> None:
        """Tell the server that the call is over; failure is logged."""
        ...
