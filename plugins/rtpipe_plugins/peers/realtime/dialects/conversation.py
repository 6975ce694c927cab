"""A conversation as a state machine without input or output (sans-I/O): text in, `Output`s out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from rtpipe import Event, RtpipeError
from rtpipe_plugins.peers.realtime.tools.declarations import ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtpipe import AudioFrame

    Item: TypeAlias = Mapping[str, Any]
    """Something that was said, in the words of the dialect: nobody else looks inside."""


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
class Interrupted:
    """Barge-in: what the model has said and nobody has heard yet is to be thrown away."""


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


TurnMark: TypeAlias = UserSpeaks | AnswerBegins | AnswerEnds
"""Who speaks, as far as the server tells."""

Happening: TypeAlias = Event | Interrupted | ToolCall | TurnMark
"""What matters beyond the call: facts, an interruption, a function to run, a turn."""

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
    def expires_at(self) -> float | None:
        """When the server will end the session (Unix seconds of its own clock), if it told."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nobody speaks, nothing is being generated and no answer is owed."""
        ...

    @property
    def answering(self) -> bool:
        """Whether the server has shown that it works on an answer: it has the question, or more."""
        ...

    @property
    def awaits_us(self) -> bool:
        """Whether an answer waits for something that is done here: a function that runs."""
        ...

    @property
    def pressed(self) -> bool:
        """Whether `press` has begun a turn that `release` can end."""
        ...

    @property
    def awaits_decision(self) -> bool:
        """Whether a request for approval waits for `decide`."""
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

    def create_item(self, item: Mapping[str, Any], previous_item_id: str) -> list[Output]:
        """Put any item into the conversation, behind another one; "": at its end."""
        ...

    def decide(self, *, approve: bool, name: str, request_id: str, reason: str) -> list[Output]:
        """Answer the oldest request for approval that waits.

        Args:
            approve: Whether the tool may run.
            name: The tool's name; "": any.
            request_id: The server's name for the request; "": any.
            reason: Why, for the model; "": not told.

        Raises:
            StageError: No such request waits.
        """
        ...

    def elapsed(self, ms: float) -> list[Output]:
        """So much of the model's audio has come, audible or not."""
        ...

    def fell_silent(self, response_id: str) -> list[Output]:
        """Nothing is heard any more of an answer that was generated; see `AnswerEnds.told`."""
        ...

    def listen(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return what may be heard now that `frame` has come: nothing of a broken-off answer.

        A frame says whose it is, where that is known: `response_id` in its meta's `extra`.
        """
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

    def replay(self, items: Sequence[Item]) -> list[Output]:
        """Tell the server what was said in other calls; that it repeats it is nobody's news."""
        ...

    def create(self, items: Sequence[Item]) -> list[Output]:
        """Put items into the conversation that no server has had for certain."""
        ...

    @property
    def invalid_events(self) -> int:
        """How many of the server's events could not be used, or only in part."""
        ...

    @property
    def unconfirmed(self) -> Sequence[Item]:
        """Items of ours that the server may never have had: it has not repeated them yet."""
        ...

    def sent(self, command: Command) -> None:
        """Take note that a command has left."""
        ...

    def unsent(self, commands: Sequence[Command]) -> None:
        """Take back commands that could not be sent: nobody will answer them."""
        ...

    def close(self) -> list[Output]:
        """Account for what was going on when the call ended."""
        ...


class History(Protocol):
    """What was said in the calls so far, in a form that the next session can be given."""

    @property
    def answer_owed(self) -> bool:
        """Whether the visitor has the last word."""
        ...

    def take(self, event: Mapping[str, Any], now: float) -> None:
        """Take an event of the server's.

        Args:
            event: Its JSON object.
            now: When it came (s).
        """
        ...

    def break_off(self, now: float) -> None:
        """The call has ended: what was being played was heard up to now (s)."""
        ...

    def replay(self) -> list[Item]:
        """Return the items that another session is to be given, in their order."""
        ...
