"""A rules file of the offline desk: which phrases to listen for, and what to say to them.

The file is `desk.yaml` beside this module, or one of the user's own with the same three keys.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from rtpipe import Options
from rtpipe.documents import read_document

if TYPE_CHECKING:
    from collections.abc import Sequence

RULES = Path(__file__).with_name("desk.yaml")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

_ALIKE = 0.85  # difflib's ratio: "tickets" is a ticket and "caffe" a cafe, "prime" is no price
_SHORTEST_ALIKE = 4  # a shorter word must be heard exactly


def words(text: str) -> list[str]:
    """Split `text` into lower-case words without accents and apostrophes.

    "Where's the Café?" gives wheres, the, cafe. An asterisk stays: it is a phrase's wildcard.
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[\w*]+", re.sub(r"['\u2019\u0300-\u036f]", "", letters))


def _worded(text: str) -> str:
    if not words(PLACEHOLDER.sub("word", text)):
        raise ValueError("needs at least one word")
    return text


def _fillable(*placeholders: str) -> AfterValidator:
    allowed = " and ".join(f"{{{name}}}" for name in placeholders)

    def check(text: str) -> str:
        for name in PLACEHOLDER.findall(text):
            if name not in placeholders:
                raise ValueError(f"there is no {{{name}}}: a sentence may hold {allowed}")
        return text

    return AfterValidator(check)


_Phrase = Annotated[str, AfterValidator(_worded)]
_Sentence = Annotated[str, AfterValidator(_worded), _fillable("time", "heard")]
_Sentences = Annotated[list[_Sentence], Field(min_length=1)]
_Report = Annotated[str, AfterValidator(_worded), _fillable("time", "heard", "output")]


class FunctionRule(Options):
    """A function of the client's that is called for an answer, if the client declared it."""

    tool: Annotated[str, Field(min_length=1)]
    """The function's name."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What it is given."""
    say: Annotated[list[_Report], Field(min_length=1)] = Field(default=["{output}"])
    """Answers, taken in turn, when it has returned `{output}`."""


class Rule(Options):
    """What the desk says when one of several phrases is heard."""

    about: _Phrase
    """The subject, in words for people."""
    any: Annotated[list[_Phrase], Field(min_length=1)]
    """Phrases; a word may end in an asterisk."""
    say: _Sentences
    """Answers, taken in turn."""
    call: FunctionRule | None = None
    """The function to call first, for a client that has it."""

    def hears(self, heard: Sequence[str]) -> bool:
        """Tell whether one of the phrases stands in the words `heard`."""
        return any(_stands_in(words(phrase), heard) for phrase in self.any)


class Rules(Options):
    """A rules file."""

    rules: Annotated[list[Rule], Field(min_length=1)]
    """Tried from first to last."""
    otherwise: _Sentences
    """Said when no rule knows an answer."""
    silence: _Sentences
    """Said when no word was understood."""


def load_rules(path: Path | None = None) -> Rules:
    """Read a rules file.

    Args:
        path: The file; None takes the museum desk that ships.

    Raises:
        ConfigError: With everything that is wrong in it, and where.
    """
    return read_document(path or RULES, Rules, name="desk")


def _stands_in(phrase: Sequence[str], heard: Sequence[str]) -> bool:
    starts = range(len(heard) - len(phrase) + 1)
    return any(all(map(_is_word, phrase, heard[start:])) for start in starts)


def _is_word(pattern: str, word: str) -> bool:
    if fnmatchcase(word, pattern):
        return True
    # The same first letter, because recognisers blur endings and "here" is not "where".
    if pattern[0] != word[0] or min(len(pattern), len(word)) < _SHORTEST_ALIKE:
        return False
    return bool(difflib.get_close_matches(word, [pattern], cutoff=_ALIKE))
