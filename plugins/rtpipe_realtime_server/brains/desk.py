"""The offline desk: answers a visitor by the rules of a file."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rtpipe_realtime_server.brains.rules import PLACEHOLDER, Rule, Rules, load_rules, words
from rtpipe_realtime_server.brains.tool_arguments import least
from rtpipe_realtime_server.talk.brain import BrainAnswer, FunctionCall, Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_DICTATION = re.compile(r"say exactly\b[^:]*:\s*(\S.*)", re.IGNORECASE | re.DOTALL)
_PARTS_OF_DAY = (
    (5, "at night"),
    (12, "in the morning"),
    (18, "in the afternoon"),
    (22, "in the evening"),
    (24, "at night"),
)
_LONGEST_TURN = 80  # words that are looked at, so that a pasted novel costs no more than speech
_LONGEST_QUOTE = 10  # words of the visitor's that are said back
_REPORT = ("{output}",)
_NOTHING = "That is done."


def spoken_time(moment: datetime) -> str:
    """Return the time of day as a person says it: "3:25 in the afternoon"."""
    part = next(name for end, name in _PARTS_OF_DAY if moment.hour < end)
    return f"{moment.hour % 12 or 12}:{moment.minute:02d} {part}"


class Desk:
    """Answers a visitor by rules; deterministic: variants are taken in turn.

    Args:
        rules: What to listen for and what to say.
        now: Gives the local time.
    """

    def __init__(self, rules: Rules, now: Callable[[], datetime] | None = None) -> None:
        self._rules = rules
        self._now = now or (lambda: datetime.now(tz=UTC).astimezone())
        self._said: Counter[tuple[str, ...]] = Counter()

    def rule_for(self, heard: str) -> Rule | None:
        """Return the first rule with a phrase that was heard."""
        said = words(heard)[:_LONGEST_TURN]
        return next((rule for rule in self._rules.rules if rule.hears(said)), None)

    def reply(self, question: Question) -> BrainAnswer:
        """Return what to say to a visitor, or the function to call before; never empty.

        Rules cannot follow instructions, except those that give the words: `Say exactly …: …`.
        """
        heard = question.heard
        dictated = _DICTATION.fullmatch(question.instructions.strip())
        if dictated:
            return BrainAnswer(dictated[1])
        rule = self.rule_for(heard)
        call = rule.call if rule else None
        if question.outputs:
            last = question.outputs[-1]
            say = call.say if call and call.tool == last.name else _REPORT
            return BrainAnswer(self._next(say, heard, last.output.strip() or _NOTHING))
        if call and question.may_call(call.tool):
            return BrainAnswer(calls=(FunctionCall(call.tool, call.arguments),))
        if question.must_call and question.tools:
            tool = question.tools[0]
            return BrainAnswer(
                calls=(FunctionCall(tool["name"], least(tool.get("parameters", {}))),)
            )
        if rule:
            return BrainAnswer(self._next(rule.say, heard))
        known = self._rules.otherwise if words(heard) else self._rules.silence
        return BrainAnswer(self._next(known, heard))

    def _next(self, variants: Sequence[str], heard: str, output: str = "") -> str:
        key = tuple(variants)
        sentence = variants[self._said[key] % len(variants)]
        self._said[key] += 1
        values = {"heard": _quote(heard), "time": spoken_time(self._now()), "output": output}
        return PLACEHOLDER.sub(lambda found: values[found[1]], sentence)


def load_desk(path: Path | None = None, now: Callable[[], datetime] | None = None) -> Desk:
    """Return the desk of a rules file.

    Args:
        path: The file; None takes the museum desk that ships.
        now: As for `Desk`.

    Raises:
        ConfigError: With everything that is wrong in it, and where.
    """
    return Desk(load_rules(path), now)


def _quote(heard: str) -> str:
    """Return `heard` as one short sentence that ends in a full stop or the like."""
    said = heard.split()
    quote = " ".join(said[:_LONGEST_QUOTE]) + ("\u2026" if len(said) > _LONGEST_QUOTE else "")
    return quote if quote.endswith((".", "!", "?", "\u2026")) else f"{quote}."
