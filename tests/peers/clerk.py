"""A brain for the judges: it calls the client's function first, then answers with what it gave."""

from __future__ import annotations

from plugins.realtime_server.fake_brain import ANSWER, FakeBrain
from rtpipe_plugins.realtime_server.brain import Answer, Question, ToolCall

TOOL = "get_opening_hours"


class Clerk(FakeBrain):
    async def reply(self, question: Question) -> Answer:
        if question.outputs:
            return Answer(f"{ANSWER} {question.outputs[-1].output}")
        if question.may_call(TOOL):
            return Answer(calls=(ToolCall(TOOL),))
        return Answer(ANSWER)
