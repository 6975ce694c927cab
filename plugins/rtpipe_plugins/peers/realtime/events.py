"""Events of the Realtime peer: what it says on the bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Event, Importance
from rtpipe.events import (
    TurnAnswerCut,
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnUserStarted,
    TurnUserStopped,
    plain_values,
)
from rtpipe_plugins.child.process import last_words
from rtpipe_webrtc.statistics import MediaStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class ServerEvent(Event):
    """An event of the server under its own name, its payload untouched.

    Attributes:
        data: The event's JSON object.
    """

    data: Mapping[str, Any]

    def payload(self) -> Mapping[str, Any]:
        """Return the server's JSON object."""
        return self.data


@dataclass(frozen=True, kw_only=True)
class ServerDetail(ServerEvent):
    """An event that comes many times a second, or is the bookkeeping of a session."""

    importance = Importance.DETAIL


@dataclass(frozen=True, kw_only=True)
class ServerFailure(ServerEvent):
    """An event that tells of a failure."""

    importance = Importance.ERROR

    def line(self) -> str:
        """See `Event.line`."""
        error = self.data.get("error")
        said = plain_values(error if isinstance(error, dict) else self.data)
        return f"the server reports {said}" if self.type == "error" else f"{self.type} {said}"


@dataclass(frozen=True, kw_only=True)
class RealtimeConnected(Event):
    """The call stands and the session is the one that was asked for.

    Attributes:
        call_id: The server's name for the call.
        provider: `openai`, `azure` or `embedded`.
        model: The model.
        host: The server.
        outage_s: For how long there was no call, when one was lost before.
        unsent_ms: How much of the visitor's audio was dropped meanwhile.
    """

    importance = Importance.NOTICE
    type: str = "realtime.connected"
    call_id: str | None
    provider: str
    model: str
    host: str
    outage_s: float = 0.0
    unsent_ms: float = 0.0

    def line(self) -> str:
        """See `Event.line`."""
        return f"connected to {self.model} ({self.provider})"


@dataclass(frozen=True, kw_only=True)
class RealtimeDisconnected(Event):
    """The call is over."""

    importance = Importance.NOTICE
    type: str = "realtime.disconnected"
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"disconnected: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class RealtimeLost(RealtimeDisconnected):
    """The call was lost: nobody hung up."""

    importance = Importance.WARNING


@dataclass(frozen=True, kw_only=True)
class RealtimeReconnecting(Event):
    """The call was lost and is about to be called again; the conversation goes on.

    Attributes:
        attempt: How often it will then have been tried; 1 after the loss.
        reason: Why there is no call: what ended it, or what the last attempt met.
        pause_s: How long until the attempt.
    """

    importance = Importance.WARNING
    type: str = "realtime.reconnecting"
    attempt: int
    reason: str
    pause_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"calling again ({self.attempt}): {self.reason}"


@dataclass(frozen=True, kw_only=True)
class RealtimeRolledOver(Event):
    """Another call has taken over, since the session of the one before was about to expire.

    Attributes:
        call_id: The server's name for the new call.
        items: How many items of the conversation it was told.
        forced: Whether somebody was speaking, or an answer was owed.
    """

    importance = Importance.NOTICE
    type: str = "realtime.rolled_over"
    call_id: str | None
    items: int
    forced: bool

    def line(self) -> str:
        """See `Event.line`."""
        return f"in a new session, which was told {self.items} items"


@dataclass(frozen=True, kw_only=True)
class RealtimeBudgetSpent(Event):
    """The conversation has cost what it may cost; the stage hangs up and fails with exit code 77.

    Attributes:
        reason: Which limit was reached.
    """

    importance = Importance.WARNING
    type: str = "realtime.budget_spent"
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"the budget is spent: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class RealtimeAnswerGivenUp(Event):
    """The input is over and its last answer did not come; the stage fails with exit code 75.

    Attributes:
        silent_s: For how long nothing had come of it.
    """

    importance = Importance.ERROR
    type: str = "realtime.answer_given_up"
    silent_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"gave up waiting for the last answer: nothing came of it for {self.silent_s:g} s"


@dataclass(frozen=True, kw_only=True)
class RealtimeMedia(MediaStatistics, Event):
    """How the sound of a WebRTC call fares; told every 5 s. Counts are since the call began.

    With aiortc's own jitter buffer, which tells nothing, only losses and the round trip are known.
    """

    type: str = "realtime.media_measured"


@dataclass(frozen=True, kw_only=True)
class RealtimeNoiseLimited(Event):
    """What comes from the server is noise near full scale, as no voice is; told once."""

    importance = Importance.WARNING
    type: str = "realtime.noise_limited"

    def line(self) -> str:
        """See `Event.line`."""
        return (
            "what comes from the server is noise at full scale, and is turned down: is it in the "
            "format that the server shows?"
        )


@dataclass(frozen=True, kw_only=True)
class UserTranscript(Event):
    """What the visitor said in one turn, or typed."""

    importance = Importance.NOTICE
    speaker = "visitor"
    type: str = "transcript.user"
    text: str
    item_id: str

    def line(self) -> str:
        """See `Event.line`."""
        return self.text


@dataclass(frozen=True, kw_only=True)
class AssistantTranscript(Event):
    """What the model said; published when its sound has been played or was cut off.

    Attributes:
        text: All that was generated, heard or not.
        interrupted: Whether it was cut off.
    """

    importance = Importance.NOTICE
    speaker = "model"
    type: str = "transcript.assistant"
    text: str
    item_id: str
    response_id: str
    interrupted: bool

    def line(self) -> str:
        """See `Event.line`."""
        return f"{self.text} (interrupted)" if self.interrupted else self.text


@dataclass(frozen=True, kw_only=True)
class ToolCalled(Event):
    """A function or a command runs, because the model asked for it.

    Attributes:
        arguments: An object; the text, where what the model wrote is none.
    """

    type: str = "tool.called"
    call_id: str
    name: str
    arguments: Any


@dataclass(frozen=True, kw_only=True)
class ToolReturned(Event):
    """It is done; `output` is what the model is told."""

    type: str = "tool.returned"
    call_id: str
    name: str
    duration_ms: float
    output: str


@dataclass(frozen=True, kw_only=True)
class ToolFailed(Event):
    """It failed, took too long or was broken off; the model is told why.

    Attributes:
        reason: What happened; the model is told no more.
        stderr: The end of what a command wrote to its standard error.
        withheld: Names of the environment variables that a command did not get; see `env`.
    """

    importance = Importance.ERROR
    type: str = "tool.failed"
    call_id: str
    name: str
    duration_ms: float
    reason: str
    stderr: str = ""
    withheld: tuple[str, ...] = ()

    def line(self) -> str:
        """See `Event.line`."""
        more = last_words(self.stderr, self.withheld)
        return f"the tool `{self.name}` failed: {self.reason}{more}"


OWN_EVENTS: tuple[type[Event], ...] = (
    RealtimeAnswerGivenUp,
    RealtimeConnected,
    RealtimeDisconnected,
    RealtimeLost,
    RealtimeMedia,
    RealtimeNoiseLimited,
    RealtimeReconnecting,
    RealtimeRolledOver,
    RealtimeBudgetSpent,
    TurnUserStarted,
    TurnUserStopped,
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnAnswerCut,
    UserTranscript,
    AssistantTranscript,
    ToolCalled,
    ToolReturned,
    ToolFailed,
)
"""What the peer says itself, beside what the server says."""
