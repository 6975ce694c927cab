"""How much of the answer that sounds has been heard, told while it is (`turn.answer_heard`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe.events import TurnAnswerCut, TurnAnswerHeard
from rtpipe_plugins.peers.realtime.loudspeaker_position import Handed

if TYPE_CHECKING:
    from rtpipe import Event, StageContext
    from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
    from rtpipe_plugins.peers.realtime.words_heard import WordsHeard

_EVERY_S = 0.25
_MUTE_MS = 1000.0
"""A loudspeaker that has said nothing of an answer for so long does not know whose sound it is."""
_NEARLY_MS = 40.0
"""So much at an answer's end is no part of its words."""


@dataclass(slots=True)
class _Sounding:
    """An answer of which some may not have been heard yet.

    Attributes:
        response_id: Which.
        sound_at: The pipeline second at which its first audible sample was given out.
        given_ms: How much has been given out since.
        whole: Whether that is all of it.
        told_at: When it was last told how much was heard.
        told_ms: How much that was.
        told_chars: And how many characters.
    """

    response_id: str
    sound_at: float
    given_ms: float = 0.0
    whole: bool = False
    told_at: float = float("-inf")
    told_ms: float = -1.0
    told_chars: int = 0


class AnswerHeard:
    """Follows an answer from its first sample that is given out to its last that is heard.

    Args:
        ctx: The stage's.
        loudspeaker: Knows what of it has been played; is told of its events before this is.
        words: Knows its text.
    """

    def __init__(
        self, ctx: StageContext, loudspeaker: LoudspeakerPosition, words: WordsHeard
    ) -> None:
        self._ctx = ctx
        self._loudspeaker = loudspeaker
        self._words = words
        self._answer: _Sounding | None = None

    def given_out(self, response_id: str, sound_at: float, given_ms: float) -> None:
        """So much of an answer has been given out since its first audible sample."""
        answer = self._answer
        if answer is None or answer.response_id != response_id:
            self._all_heard()  # what is left of the one before it will be, and nobody asks for it
            answer = self._answer = _Sounding(response_id, sound_at)
        answer.given_ms = given_ms
        self.tell()

    def whole(self, response_id: str, sound_ms: float) -> None:
        """All of an answer's sound has been given out, `sound_ms` from its first to its last."""
        answer = self._answer
        if answer is not None and answer.response_id == response_id:
            answer.given_ms, answer.whole = sound_ms, True
            self._words.heard_whole(response_id, sound_ms)
            self.tell()

    def cut(self, response_id: str, sound_at: float, given_ms: float) -> TurnAnswerCut:
        """Return how much of an answer was heard that is cut off now."""
        answer, self._answer = self._answer, None
        handed = Handed(response_id, given_ms, sound_at, 0.0)
        heard_ms = round(self._loudspeaker.heard_ms(handed), 1)
        chars = self._words.heard_chars(response_id, heard_ms)
        if answer is not None and answer.response_id == response_id:
            chars = max(chars, answer.told_chars)
        return TurnAnswerCut(response_id=response_id, heard_ms=heard_ms, heard_chars=chars)

    def playback_stopped(self, _event: Event) -> None:
        """Take a `playback.stopped`: no more is heard of an answer that is whole."""
        if self._answer is not None and self._answer.whole:
            self._tell(self._answer, last=True)

    def tell(self) -> None:
        """Tell how much has been heard, if that is news and due; called every 20 ms."""
        answer = self._answer
        if answer is None:
            return
        if answer.whole and self._heard_ms(answer) >= answer.given_ms - _NEARLY_MS:
            self._all_heard()
        elif self._ctx.now() - answer.told_at >= _EVERY_S:
            self._tell(answer)

    def _all_heard(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            chars = self._words.chars(answer.response_id)
            self._publish(answer, answer.given_ms, chars)

    def _tell(self, answer: _Sounding, *, last: bool = False) -> None:
        heard_ms = self._heard_ms(answer)
        if last:
            self._answer = None
        elif heard_ms <= answer.told_ms or not heard_ms:
            return
        self._publish(answer, heard_ms, self._words.heard_chars(answer.response_id, heard_ms))

    def _publish(self, answer: _Sounding, heard_ms: float, chars: int) -> None:
        answer.told_at = self._ctx.now()
        answer.told_ms = max(heard_ms, answer.told_ms)
        answer.told_chars = max(chars, answer.told_chars)
        self._ctx.publish(
            TurnAnswerHeard(
                response_id=answer.response_id,
                heard_ms=round(answer.told_ms, 1),
                heard_chars=answer.told_chars,
            )
        )

    def _heard_ms(self, answer: _Sounding) -> float:
        """Return how much has been heard; the loudspeaker goes on when all is given out."""
        if self._loudspeaker.tells:
            since_ms = max(self._ctx.now() - answer.sound_at, 0.0) * 1000
            handed = Handed(answer.response_id, since_ms, answer.sound_at, 0.0)
            return min(self._loudspeaker.heard_ms(handed), answer.given_ms)
        awaited = answer.given_ms < _MUTE_MS and self._ctx.published_after("playback.started")
        return 0.0 if awaited else answer.given_ms
