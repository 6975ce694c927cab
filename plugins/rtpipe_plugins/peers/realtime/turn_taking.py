"""Turn taking: who is speaking, said once, whatever the dialect; one start and one stop each."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe import audio
from rtpipe.events import (
    TurnAnswerStarted,
    TurnAnswerStopped,
    TurnUserStarted,
    TurnUserStopped,
)
from rtpipe_plugins.peers.realtime.dialects.conversation import AnswerEnds, TurnMark, UserSpeaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import AudioFrame, StageContext
    from rtpipe_plugins.peers.realtime.answer_heard import AnswerHeard

_QUIET_MS = 40.0
"""So much silence is the end of an answer of which the server says that it has been played."""
_LONG_QUIET_MS = 500.0
"""And so much, where the server says only that it has been generated, and never stops sending."""
_PAUSE_MS = 1500.0
"""And so much, where it sends nothing between answers: silence that it does send is a pause in one.
Voices pause for most of a second between sentences; whoever hangs up then loses the rest."""
_STOPPED_MS = 400.0
_IDLE_MS = 200.0
"""Where nothing is sent any more, it is over after so much silence, and so long without a frame."""
_ALWAYS_MS = 1000.0
"""So much silence between answers comes only from a server that never stops sending."""
_REMEMBERED = 16  # answers that are over: what is left of them is no turn


@dataclass(slots=True)
class _Answer:
    """The answer that is being given out. Times are pipeline seconds.

    Attributes:
        response_id: The server's name for it.
        sound_at: When its first audible sample was given out.
        sound_until: When the last one so far was.
        frame_until: When the last frame so far, audible or not, was.
        pause_ms: So much silence is more than a pause in it.
        given_ms: How much has been given out since the first.
        quiet_ms: How long it has been silent since the last.
        ends: What the server says of its end, if anything.
        deadline: Ends it when no more frames come.
    """

    response_id: str
    sound_at: float
    sound_until: float
    frame_until: float
    pause_ms: float
    given_ms: float = 0.0
    quiet_ms: float = 0.0
    ends: AnswerEnds | None = None
    deadline: asyncio.TimerHandle | None = None

    @property
    def over(self) -> bool:
        """Whether no audible sample is to be expected any more."""
        if self.ends is None:
            return False
        return self.quiet_ms >= (_QUIET_MS if self.ends.told else self.pause_ms)


class TurnTaking:
    """Publishes `turn.*` from what a dialect marks and what the peer gives out.

    Args:
        ctx: The stage's.
        heard: Follows how much of an answer has been heard.
        on_silent: Called with an answer that was generated and has been silent for long enough to
            be over, where the server does not say so.
    """

    def __init__(
        self,
        ctx: StageContext,
        heard: AnswerHeard,
        on_silent: Callable[[str], None],
    ) -> None:
        self._ctx = ctx
        self._heard_so_far = heard
        self._on_silent = on_silent
        self._unheard: dict[str, asyncio.TimerHandle] = {}
        """Answers that were generated, and of which nothing has been heard yet."""
        self._between_ms = 0.0
        """How much silence has come since the last answer."""
        self._user: str | None = None
        self._answer: _Answer | None = None
        self._over: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def answering(self) -> bool:
        """Whether an answer sounds."""
        return self._answer is not None

    def take(self, mark: TurnMark) -> None:
        """Take what the call that serves says of a turn."""
        match mark:
            case UserSpeaks(speaking=True):
                self._user_starts(mark.item_id)
            case UserSpeaks():
                self._user_stops(mark.item_id)
            case AnswerEnds():
                self._answer_ends(mark)

    def given_out(self, frame: AudioFrame) -> None:
        """Take a frame of the model's that goes to whoever reads this stage."""
        import numpy as np

        response_id = str(audio.meta(frame).extra.get("response_id", ""))
        loudness = np.abs(audio.pcm(frame).astype(np.int32)).max(axis=1)
        audible = np.flatnonzero(loudness >= audio.AUDIBLE)
        if len(audible) and response_id not in self._over:
            at = self._ctx.now() + int(audible[0]) / frame.sample_rate
            answer = self._answer
            if answer is None or answer.response_id != response_id:
                self._stop_answer()
                answer = self._answer = _Answer(response_id, at, at, at, self._pause_ms())
                self._ctx.publish(TurnAnswerStarted(response_id=response_id))
                if self._heard(response_id):
                    self._answer_ends(AnswerEnds(response_id, told=False))
            answer.sound_until = self._ctx.now() + int(audible[-1] + 1) / frame.sample_rate
            answer.quiet_ms = -audio.duration_ms(frame)
        if self._answer is not None:
            self._answer.frame_until = self._ctx.now() + audio.duration_ms(frame) / 1000
            self._answer.given_ms += audio.duration_ms(frame)
            self._answer.quiet_ms += audio.duration_ms(frame)
            answer = self._answer
            self._heard_so_far.given_out(answer.response_id, answer.sound_at, answer.given_ms)
            if answer.over:
                self._stop_answer()
        else:
            self._between_ms += audio.duration_ms(frame)
            self._heard_so_far.tell()

    def end(self) -> None:
        """Stop every turn: the call in which they were is over."""
        self._user_stops("")
        self._between_ms = 0.0
        for response_id in list(self._unheard):
            self._heard(response_id)
        if self._answer is not None:
            self._answer_ends(AnswerEnds(self._answer.response_id, cut=self._answer.ends is None))
            self._stop_answer()

    def _pause_ms(self) -> float:
        """Return how much silence is no pause in an answer that begins now."""
        if self._between_ms >= _ALWAYS_MS:
            return _LONG_QUIET_MS
        self._between_ms = 0.0
        return _PAUSE_MS

    def _user_starts(self, item_id: str) -> None:
        if self._user == item_id:
            return
        self._user_stops("")
        self._user = item_id
        self._ctx.publish(TurnUserStarted(item_id=item_id))

    def _user_stops(self, item_id: str) -> None:
        if self._user is None or (item_id and self._user and item_id != self._user):
            return
        stopped, self._user = self._user or item_id, None
        self._ctx.publish(TurnUserStopped(item_id=stopped))

    def _answer_ends(self, ends: AnswerEnds) -> None:
        answer = self._answer
        if ends.cut:
            self._over.append(ends.response_id)
        self._heard(ends.response_id)
        if answer is None or answer.response_id != ends.response_id:
            if not (ends.told or ends.cut):
                self._await_sound(ends.response_id)
            return
        if ends.cut:
            self._ctx.publish(
                self._heard_so_far.cut(answer.response_id, answer.sound_at, answer.given_ms)
            )
        if answer.ends is None or ends.told:
            answer.ends = ends
        if ends.cut or answer.over:
            self._stop_answer()
        elif answer.deadline is None:
            loop = asyncio.get_running_loop()
            answer.deadline = loop.call_later(_STOPPED_MS / 1000, self._no_more_comes, answer)

    def _await_sound(self, response_id: str) -> None:
        """Give the sound of an answer that was generated as long as a pause in it."""
        loop = asyncio.get_running_loop()
        self._unheard[response_id] = loop.call_later(
            _LONG_QUIET_MS / 1000, self._never_heard, response_id
        )

    def _heard(self, response_id: str) -> bool:
        """No longer wait for the sound of an answer; returns whether it was waited for."""
        timer = self._unheard.pop(response_id, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _never_heard(self, response_id: str) -> None:
        self._heard(response_id)
        self._on_silent(response_id)

    def _no_more_comes(self, answer: _Answer) -> None:
        """End an answer whose sound has stopped coming; where it still comes, look again."""
        if answer is not self._answer:
            return
        now = self._ctx.now()
        wait_s = max(
            answer.sound_until + _STOPPED_MS / 1000 - now,
            answer.frame_until + _IDLE_MS / 1000 - now,
        )
        if wait_s <= 0:
            self._stop_answer()
            return
        answer.deadline = asyncio.get_running_loop().call_later(wait_s, self._no_more_comes, answer)

    def _stop_answer(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if answer.deadline is not None:
            answer.deadline.cancel()
        if answer.ends is not None and answer.ends.told:
            self._over.append(answer.response_id)
        sound_ms = (answer.sound_until - answer.sound_at) * 1000
        self._heard_so_far.whole(answer.response_id, sound_ms)  # nothing, if it was cut
        self._ctx.publish(
            TurnAnswerStopped(
                response_id=answer.response_id,
                quiet_s=round(max(self._ctx.now() - answer.sound_until, 0.0), 4),
            )
        )
        if answer.ends is not None and not answer.ends.told:
            self._on_silent(answer.response_id)
