"""Who is speaking: what a peer publishes, whatever protocol it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe.events.event import Event, Importance


@dataclass(frozen=True, kw_only=True)
class TurnUserStarted(Event):
    """The user's turn begins: the peer's turn detection heard speech, or a key was pressed.

    Every start of a turn, this and the answer's, is followed by exactly one stop.

    Attributes:
        item_id: The peer's name for what is being said; "" where it has none yet.
    """

    type: str = "turn.user_started"
    item_id: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnUserStopped(Event):
    """The user's turn is over, or the call in which it was heard.

    Attributes:
        item_id: As in the `turn.user_started` before it.
    """

    type: str = "turn.user_stopped"
    item_id: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnAnswerStarted(Event):
    """The first audible sample of an answer is given out by the peer.

    What a loudspeaker really plays of it is told by `playback.*`.

    Attributes:
        response_id: The peer's name for the answer; "" where it has none.
    """

    type: str = "turn.answer_started"
    response_id: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnAnswerStopped(Event):
    """No audible sample of the answer follows; told once that is known.

    Attributes:
        response_id: As in the `turn.answer_started` before it.
        quiet_s: How long ago its last audible sample was given out when this is told.
    """

    type: str = "turn.answer_stopped"
    response_id: str = ""
    quiet_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TurnAnswerCut(Event):
    """An answer is cut off before its end; its `turn.answer_stopped` follows at once.

    Attributes:
        response_id: The answer.
        heard_ms: How much of it was heard, from its first audible sample on: what was given out,
            less what had not been played as far as a loudspeaker tells.
        heard_chars: How much of its text; see `TurnAnswerHeard`.
    """

    type: str = "turn.answer_cut"
    response_id: str = ""
    heard_ms: float = 0.0
    heard_chars: int = 0


@dataclass(frozen=True, kw_only=True)
class TurnAnswerHeard(Event):
    """So much of an answer has been heard so far; at most four times a second while it sounds.

    The last one comes when all of it has been heard. One that is cut off has a `turn.answer_cut`
    in its place.

    Attributes:
        response_id: The answer.
        heard_ms: How much of its sound, from its first audible sample on: as far as a loudspeaker
            tells what it plays, else what was given out.
        heard_chars: How many characters of its text, as `transcript_delta.assistant` tells it:
            an estimate, by what was known of the place of its words in the sound, and by how fast
            this voice speaks. It never goes back.
    """

    importance = Importance.DETAIL
    type: str = "turn.answer_heard"
    response_id: str = ""
    heard_ms: float = 0.0
    heard_chars: int = 0
