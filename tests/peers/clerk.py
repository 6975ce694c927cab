"""A brain for the judges: it calls the client's function first, then answers with what it gave."""

from __future__ import annotations

from realtime_server.fake_brain import ANSWER, FakeBrain
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Question

TOOL = "get_opening_hours"


class Clerk(FakeBrain):
    async def reply(self, question: Question) -> BrainAnswer:
        if question.outputs:
            return BrainAnswer(f"{ANSWER} {question.outputs[-1].output}")
        if question.may_call(TOOL):
            return BrainAnswer(calls=(FunctionCall(TOOL),))
        return BrainAnswer(ANSWER)
