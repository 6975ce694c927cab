"""The rules of the offline desk: which phrase was heard, and what to answer.

The file is `desk.yaml` beside this module, or one of the user's own with the same three keys.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RULES = Path(__file__).with_name("desk.yaml")

_DICTATION = re.compile(r"say exactly\b[^:]*:\s*(\S.*)", re.IGNORECASE | re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_PLACEHOLDERS = ("time", "heard")
_ALIKE = 0.85  # difflib's ratio: "tickets" is a ticket and "caffe" a cafe, "prime" is no price
_SHORTEST_ALIKE = 4  # a shorter word must be heard exactly
_PARTS_OF_DAY = (
    (5, "at night"),
    (12, "in the morning"),
    (18, "in the afternoon"),
    (22, "in the evening"),
    (24, "at night"),
)
_LONGEST_TURN = 80  # words that are looked at, so that a pasted novel costs no more than speech
_LONGEST_QUOTE = 10  # words of the visitor's that are said back


class DeskError(ValueError):
    """A rules file that cannot be used.

    Attributes:
        path: The file.
        line: The line at fault, from 1.
        message: What is wrong there.
    """

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path = path
        self.line = line
        self.message = message


def words(text: str) -> list[str]:
    """Split `text` into lower-case words without accents and apostrophes.

    "Where's the Café?" gives wheres, the, cafe. An asterisk stays: it is a phrase's wildcard.
    """
    letters = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"[\w*]+", re.sub(r"['\u2019\u0300-\u036f]", "", letters))


def spoken_time(moment: datetime) -> str:
    """Return the time of day as a person says it: "3:25 in the afternoon"."""
    part = next(name for end, name in _PARTS_OF_DAY if moment.hour < end)
    return f"{moment.hour % 12 or 12}:{moment.minute:02d} {part}"


def _worded(text: str) -> str:
    if not words(_PLACEHOLDER.sub("word", text)):
        raise ValueError("needs at least one word")
    return text


def _fillable(text: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in _PLACEHOLDERS:
            raise ValueError(f"there is no {{{name}}}: a sentence may hold {{time}} and {{heard}}")
    return text


_Phrase = Annotated[str, AfterValidator(_worded)]
_Sentence = Annotated[str, AfterValidator(_worded), AfterValidator(_fillable)]
_Sentences = Annotated[list[_Sentence], Field(min_length=1)]


class Rule(BaseModel):
    """What the desk says when one of several phrases is heard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: _Phrase
    """The subject, in words for people."""
    any: Annotated[list[_Phrase], Field(min_length=1)]
    """Phrases; a word may end in an asterisk."""
    say: _Sentences
    """Answers, taken in turn."""

    def hears(self, heard: Sequence[str]) -> bool:
        """Tell whether one of the phrases stands in the words `heard`."""
        return any(_stands_in(words(phrase), heard) for phrase in self.any)


class Rules(BaseModel):
    """A rules file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Annotated[list[Rule], Field(min_length=1)]
    """Tried from first to last."""
    otherwise: _Sentences
    """Said when no rule knows an answer."""
    silence: _Sentences
    """Said when no word was understood."""


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

    def answer(self, heard: str, instructions: str = "") -> str:
        """Return what to say to a visitor who said `heard` (may be empty); never empty.

        Rules cannot follow `instructions`, except those that give the words: `Say exactly …: …`.
        """
        dictated = _DICTATION.fullmatch(instructions.strip())
        if dictated:
            return dictated[1]
        if not words(heard):
            return self._next(self._rules.silence, heard)
        rule = self.rule_for(heard)
        return self._next(rule.say if rule else self._rules.otherwise, heard)

    def _next(self, variants: Sequence[str], heard: str) -> str:
        key = tuple(variants)
        sentence = variants[self._said[key] % len(variants)]
        self._said[key] += 1
        values = {"heard": _quote(heard), "time": spoken_time(self._now())}
        return _PLACEHOLDER.sub(lambda found: values[found[1]], sentence)


def load_desk(path: Path | None = None, now: Callable[[], datetime] | None = None) -> Desk:
    """Read a rules file.

    Args:
        path: The file; None takes the museum desk that ships.
        now: As for `Desk`.

    Raises:
        DeskError: If the file cannot be read, is no YAML or breaks a rule of its form.
    """
    path = path or RULES
    document: Any = None
    try:
        document = YAML().load(path.read_text(encoding="utf-8"))
        return Desk(Rules.model_validate(document), now)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DeskError(path, _line(document, first["loc"]), f"{where}: {first['msg']}") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DeskError(path, line, error.problem or "not YAML") from error
    except OSError as error:
        raise DeskError(path, 1, error.strerror or "cannot be read") from error
    except (YAMLError, UnicodeError) as error:
        raise DeskError(path, 1, str(error)) from error


def _line(document: Any, loc: Sequence[int | str]) -> int:
    """Return the line of the value at `loc`, or of the nearest one around it that exists."""
    line = 1
    for key in loc:
        if not isinstance(document, CommentedMap | CommentedSeq):
            break
        if key not in (document.lc.data or {}):
            break
        line = document.lc.data[key][0] + 1
        document = document[key]
    return line


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


def _quote(heard: str) -> str:
    """Return `heard` as one short sentence that ends in a full stop or the like."""
    said = heard.split()
    quote = " ".join(said[:_LONGEST_QUOTE]) + ("\u2026" if len(said) > _LONGEST_QUOTE else "")
    return quote if quote.endswith((".", "!", "?", "\u2026")) else f"{quote}."
