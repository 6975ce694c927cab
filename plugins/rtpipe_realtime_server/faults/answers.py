"""What goes wrong with responses: they fail, or break off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe_realtime_server.talk.brain import BrainAnswer, ResponseEnding

if TYPE_CHECKING:
    from rtpipe_realtime_server.faults.knobs import Faults


def spoilt(answer: BrainAnswer, faults: Faults) -> BrainAnswer:
    """Return what becomes of a brain's answer."""
    if faults.response_failed is not None:
        return BrainAnswer(ending=ResponseEnding("failed", faults.response_failed))
    if faults.response_incomplete is None:
        return answer
    words = answer.words.split()
    return replace(
        answer,
        words=" ".join(words[: (len(words) + 1) // 2]),
        sound=None if answer.sound is None else answer.sound[: len(answer.sound) // 2],
        ending=ResponseEnding("incomplete", faults.response_incomplete),
    )
