"""Events of the Realtime peer: what it says on the bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Event, Importance
from rtpipe.events import (
    TurnAnswerCut,
    TurnAnswerHeard,
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnUserStarted,
    TurnUserStopped,
    plain_values,
)
from rtpipe_plugins.peers.realtime.response_events import RESPONSE_EVENTS
from rtpipe_plugins.peers.realtime.tool_events import TOOL_EVENTS
from rtpipe_webrtc.statistics import MediaStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class ServerEvent(Event):
    """An event of the server under its own name, its payload as it came.

    Attributes:
        data: The event's JSON object.
        usable: The same without what is of the wrong type, where a dialect has looked.
    """

    data: Mapping[str, Any]
    usable: Mapping[str, Any] | None = None

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
class RealtimeCalling(Event):
    """A call is being placed.

    Attributes:
        attempt: How often it will then have been tried: 1 for the first call, or after a loss.
        timeout_s: How long that may take.
        host: The server.
    """

    type: str = "realtime.calling"
    attempt: int
    timeout_s: float
    host: str

    def line(self) -> str:
        """See `Event.line`."""
        which = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"calling {self.host}{which}, for at most {self.timeout_s:.3g} s"


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
        session_id: What this conversation is called in all that is written of it (`rtpipe forget`);
            one that goes on after an outage keeps its name.
    """

    importance = Importance.NOTICE
    type: str = "realtime.connected"
    call_id: str | None
    provider: str
    model: str
    host: str
    outage_s: float = 0.0
    unsent_ms: float = 0.0
    session_id: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        return f"connected to {self.model} ({self.provider})"


@dataclass(frozen=True, kw_only=True)
class RealtimeDisconnected(Event):
    """The call is over.

    Attributes:
        reason: What ended it.
        invalid_events: How many of the server's events could not be used, or only in part.
    """

    importance = Importance.NOTICE
    type: str = "realtime.disconnected"
    reason: str
    invalid_events: int = 0

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
        session_id: What the conversation is called from now on; as before, where it was forced.
    """

    importance = Importance.NOTICE
    type: str = "realtime.rolled_over"
    call_id: str | None
    items: int
    forced: bool
    session_id: str = ""

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
class RealtimeEventInvalid(Event):
    """The server sent what could not be used; told the 1st, 10th, 100th time of each kind.

    Attributes:
        event: The event's name; "" where it has none.
        problem: What is wrong with it.
        ignored: Whether nothing of it could be used.
        count: How often that has come in this call.
    """

    importance = Importance.WARNING
    type: str = "realtime.event_invalid"
    event: str
    problem: str
    ignored: bool
    count: int

    def line(self) -> str:
        """See `Event.line`."""
        what = f"`{self.event}`" if self.event else "something"
        how = "was ignored" if self.ignored else "was used in part"
        again = f" ({self.count} times)" if self.count > 1 else ""
        return f"the server sent {what} that {how}: {self.problem}{again}"


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
class UserDelta(Event):
    """Further words of what the visitor says, as they become known; not every server tells them.

    Those of one `item_id`, joined, are the text so far; at most ten come a second. The whole comes
    as `transcript.user`, after which there are none, and counts where it differs.
    """

    importance = Importance.DETAIL
    speaker = "visitor"
    type: str = "transcript_delta.user"
    delta: str
    item_id: str

    def line(self) -> str:
        """See `Event.line`."""
        return self.delta


@dataclass(frozen=True, kw_only=True)
class AssistantDelta(Event):
    """Further words of an answer, as they are generated: before they are heard.

    Those of one `item_id`, joined, are the text so far; at most ten come a second. The whole comes
    as `transcript.assistant`, after which there are none, and counts where it differs.

    Attributes:
        delta: The words.
        item_id: The line that they belong to.
        response_id: The answer that it belongs to.
        audio_ms: How much of the answer's sound had come before them; None where the server does
            not tell, as over WebRTC.
    """

    importance = Importance.DETAIL
    speaker = "model"
    type: str = "transcript_delta.assistant"
    delta: str
    item_id: str
    response_id: str
    audio_ms: float | None = None

    def line(self) -> str:
        """See `Event.line`."""
        return self.delta


@dataclass(frozen=True, kw_only=True)
class AssistantTranscript(Event):
    """What the model said; published when its sound has been played or was cut off.

    Attributes:
        text: All that was generated, heard or not.
        interrupted: Whether it was cut off.
        status: How the generating ended: `completed`, `cancelled`, `incomplete` or `failed`.
        reason: Why, as the server says: `turn_detected`, `max_output_tokens`, `content_filter`, …
    """

    importance = Importance.NOTICE
    speaker = "model"
    type: str = "transcript.assistant"
    text: str
    item_id: str
    response_id: str
    interrupted: bool
    status: str = "completed"
    reason: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        if self.interrupted:
            return f"{self.text} (interrupted)"
        if self.status == "completed":
            return self.text
        return (
            f"{self.text} ({self.status}: {self.reason})"
            if self.reason
            else f"{self.text} ({self.status})"
        )


OWN_EVENTS: tuple[type[Event], ...] = (
    RealtimeAnswerGivenUp,
    RealtimeCalling,
    RealtimeConnected,
    RealtimeDisconnected,
    RealtimeEventInvalid,
    RealtimeLost,
    RealtimeMedia,
    RealtimeNoiseLimited,
    RealtimeReconnecting,
    RealtimeRolledOver,
    RealtimeBudgetSpent,
    *RESPONSE_EVENTS,
    TurnUserStarted,
    TurnUserStopped,
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnAnswerCut,
    TurnAnswerHeard,
    UserDelta,
    UserTranscript,
    AssistantDelta,
    AssistantTranscript,
    *TOOL_EVENTS,
)
"""What the peer says itself, beside what the server says."""
