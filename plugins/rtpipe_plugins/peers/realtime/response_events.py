"""Events of answers: what they cost, and those that do not reach their end."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class RealtimeTokensUsed(Event):
    """The server has told what an answer cost, in tokens.

    Attributes:
        response_id: The server's name for the answer.
        input_tokens: What was put to the model, the conversation so far with it; 0 where the
            server does not tell.
        output_tokens: What it generated.
        cached_tokens: Those of `input_tokens` that the server had kept from before.
        input_audio_tokens: Those of `input_tokens` that are sound.
        output_audio_tokens: Those of `output_tokens` that are sound.
    """

    importance = Importance.DETAIL
    type: str = "realtime.tokens_used"
    response_id: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class RealtimeResponseCancelled(Event):
    """The generating of an answer was broken off.

    Attributes:
        response_id: The server's name for the answer.
        reason: `turn_detected`: the visitor spoke; `client_cancelled`: we asked for it.
    """

    type: str = "realtime.response_cancelled"
    response_id: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"the answer was cancelled: {_REASONS.get(self.reason, self.reason or _UNTOLD)}"


@dataclass(frozen=True, kw_only=True)
class RealtimeResponseIncomplete(Event):
    """An answer stops before its end.

    Attributes:
        response_id: The server's name for the answer.
        reason: `max_output_tokens` or `content_filter`, or what else the server says.
    """

    importance = Importance.WARNING
    type: str = "realtime.response_incomplete"
    response_id: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"the answer is incomplete: {_REASONS.get(self.reason, self.reason or _UNTOLD)}"


@dataclass(frozen=True, kw_only=True)
class RealtimeResponseFailed(Event):
    """The model could not answer.

    Attributes:
        response_id: The server's name for the answer.
        code: The error's code; "" where the server gives none.
        message: The server's words; "" where it has none.
    """

    importance = Importance.ERROR
    type: str = "realtime.response_failed"
    response_id: str
    code: str
    message: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"the model could not answer: {self.message or self.code or _UNTOLD}"


_UNTOLD = "the server does not say why"
_REASONS = {
    "turn_detected": "the visitor spoke",
    "client_cancelled": "we asked for it",
    "max_output_tokens": "it reached max_output_tokens",
    "content_filter": "the server's content filter cut it off",
}


RESPONSE_EVENTS: tuple[type[Event], ...] = (
    RealtimeResponseCancelled,
    RealtimeResponseFailed,
    RealtimeResponseIncomplete,
    RealtimeTokensUsed,
)
