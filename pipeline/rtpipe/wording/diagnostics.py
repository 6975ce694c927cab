"""A diagnostic: what is wrong in the file, where, and what to do about it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rtpipe.errors import ConfigError
from rtpipe.wording.masking import mask

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MOST_FOUND = 100
"""Errors after which a pipeline is not read on, and warnings that are kept."""

_ALIKE = 0.6
_MOST_CANDIDATES = 300
_MOST_ALIKE = 60
_MOST_LISTED = 16
_LONGEST_NAME = 64
"""Characters: a longer one is neither compared nor listed."""
_LONGEST_SAID = 2000
"""Characters of a message or a help."""
_LONGEST_QUOTED = 10_000
"""Characters of a line that is quoted."""


class Severity(StrEnum):
    """How bad it is: an error stops the pipeline before anything is opened."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file; line and column count from 1, `length` in characters (at least 1)."""

    path: Path
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Related:
    """A second place that explains a finding: where a key stood first, who else has the device."""

    span: Span
    label: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that takes a mistake out of a file.

    Attributes:
        span: What goes; its length may be 0.
        text: What comes there.
    """

    span: Span
    text: str

    def applied(self, text: str) -> str:
        """Return the file's `text` with the change made."""
        parts = re.split(r"(\r\n|\r|\n)", text)  # lines at even indices, as `split_lines` has them
        index, start = 2 * (self.span.line - 1), self.span.column - 1
        line = parts[index]
        parts[index] = line[:start] + self.text + line[start + self.span.length :]
        return "".join(parts)


class Remedy(str):
    """A help that says exactly what to write: it becomes the finding's `fix`.

    Args:
        words: The help; `{}` stands for what to write, unless `fill` is false.
        text: What to write.
        span: In place of what; None: of what the finding points at.
    """

    __slots__ = ("span", "text")
    text: str
    span: Span | None

    def __new__(cls, words: str, text: str, span: Span | None = None, *, fill: bool = True) -> Self:
        """Make the help of its words and what to write."""
        made = super().__new__(cls, words.replace("{}", text.strip()) if fill else words)
        made.text, made.span = text, span
        return made

    def fix(self, place: Span | None) -> Fix | None:
        """Return the change, for a finding that points at `place`; None if it has no place."""
        span = self.span or place
        return None if span is None else Fix(span, self.text)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Attributes:
        code: `E102`; `rtpipe explain E102` prints its page.
        message: What is wrong, in one sentence without a full stop.
        span: Where; None for what has no place in a file (`--set`, the environment).
        label: A few words beside the caret.
        help: What to do; a snippet in it is itself valid YAML.
        notes: More facts, one line each.
        severity: Error or warning.
        source: The text of the line that `span` is in.
        related: Other places that belong to it.
        fix: What the help says, as a change to the file; None where it takes a person to choose.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    help: str | None = None
    notes: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR
    source: str = ""
    related: tuple[Related, ...] = ()
    fix: Fix | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        fix = self.fix
        return {
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            **_place(self.span),
            "label": self.label,
            "help": self.help,
            "fix": None if fix is None else {**_place(fix.span), "text": fix.text},
            "notes": list(self.notes),
            "source": self.source,
            "related": [{**_place(other.span), "label": other.label} for other in self.related],
        }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"path": None, "line": None, "column": None, "length": None}
    return {
        "path": str(span.path),
        "line": span.line,
        "column": span.column,
        "length": span.length,
    }


@dataclass(slots=True)
class Findings:
    """What was found while a pipeline was read, with the texts to quote and the words to hide.

    The hundredth error ends the reading: whatever adds it raises ConfigError, with them all.

    Attributes:
        secrets: Values that are never shown, not even in a quoted line.
        env_names: Names of the environment variables that are read, which children do without.
        lost: Top-level keys of which a part could not be read; "" for one that is not known.
        read: The files that were read, or would have been, had they been there.
    """

    read: set[Path] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    env_names: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    _found: list[Diagnostic] = field(default_factory=list)
    _unique: dict[Severity, set[Diagnostic]] = field(
        default_factory=lambda: {severity: set() for severity in Severity}
    )
    _lines: dict[Path, list[str]] = field(default_factory=dict)

    def error(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        help: str | None = None,
        notes: Iterable[str] = (),
        related: Iterable[Related] = (),
    ) -> None:
        """Add an error."""
        self.add(
            Diagnostic(
                code,
                message,
                span,
                label,
                help,
                tuple(notes),
                related=tuple(related),
            )
        )

    def warning(
        self,
        code: str,
        message: str,
        span: Span | None = None,
        *,
        label: str = "",
        help: str | None = None,
        notes: Iterable[str] = (),
    ) -> None:
        """Add a warning."""
        self.add(Diagnostic(code, message, span, label, help, tuple(notes), Severity.WARNING))

    def __len__(self) -> int:
        return len(self._found)

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a finding that is already made."""
        diagnostic = replace(diagnostic, fix=diagnostic.fix or _fix(diagnostic))
        unique = self._unique[diagnostic.severity]
        if len(unique) >= MOST_FOUND and diagnostic not in unique:
            return  # a warning: the hundredth error has ended the reading
        self._found.append(diagnostic)
        unique.add(diagnostic)
        if len(unique) == MOST_FOUND:
            self._found.append(_last(diagnostic))
            if diagnostic.severity is Severity.ERROR:
                raise ConfigError(self.errors())

    def last(self) -> Diagnostic:
        """Return what was found last."""
        return self._found[-1]

    def drop_doubtful(self) -> None:
        """Drop what may be wrong only because something was lost: what depends on the whole."""
        if not self.lost:
            return
        kept: tuple[str, ...] = ("E",)
        if self.lost & {"", "include", "plugins"}:
            kept = ("E0",)
        elif self.lost - {"version", "name", "description", "fuse", "events"}:
            kept = ("E0", "E10", "E112", "E113", "E5", "E701", "E705")
            kept += () if "vars" in self.lost else ("E30",)
        self._found = [
            found
            for found in self._found
            if found.code.startswith(kept) and found.code not in {"E020", "E021"}
        ]
        for unique in self._unique.values():
            unique.intersection_update(self._found)

    def add_source(self, path: Path, text: str) -> None:
        """Remember a text that diagnostics may quote."""
        self._lines[path] = split_lines(text)

    @property
    def sources(self) -> Collection[Path]:
        """The files whose texts may be quoted."""
        return self._lines.keys()

    def line(self, span: Span) -> str:
        """Return the line of text that `span` is in; "" where the text is not known."""
        lines = self._lines.get(span.path, ())
        return lines[span.line - 1] if 0 < span.line <= len(lines) else ""

    @property
    def failed(self) -> bool:
        """Whether an error was found."""
        return bool(self._unique[Severity.ERROR])

    def errors(self) -> list[Diagnostic]:
        """Return the errors, sorted by place, each once, without secrets."""
        return self._finished(Severity.ERROR)

    def warnings(self) -> list[Diagnostic]:
        """Return the warnings, sorted by place, each once, without secrets."""
        return self._finished(Severity.WARNING)

    def _finished(self, severity: Severity) -> list[Diagnostic]:
        unique = dict.fromkeys(found for found in self._found if found.severity is severity)
        secrets = frozenset(self.secrets)
        return in_order(self._quoted(found, secrets) for found in unique)

    def finished(self, found: Diagnostic) -> Diagnostic:
        """Return a finding that is not kept, with the line it is about and without secrets."""
        return self._quoted(found, frozenset(self.secrets))

    def _quoted(self, found: Diagnostic, secrets: frozenset[str]) -> Diagnostic:
        def hide(text: str) -> str:
            hidden = mask(text, secrets)
            return hidden if len(hidden) <= _LONGEST_SAID else hidden[: _LONGEST_SAID - 1] + "…"

        def quote(span: Span, known: str) -> str:
            line = known or self.line(span)
            return mask(line, secrets, keep_length=True) if len(line) <= _LONGEST_QUOTED else ""

        return replace(
            found,
            message=hide(found.message),
            label=hide(found.label),
            help=None if found.help is None else hide(found.help),
            notes=tuple(hide(note) for note in found.notes),
            source="" if found.span is None else quote(found.span, found.source),
            related=tuple(replace(r, source=quote(r.span, r.source)) for r in found.related),
            fix=found.fix if found.fix is None or hide(found.fix.text) == found.fix.text else None,
        )


def _last(found: Diagnostic) -> Diagnostic:
    """Return what tells that others may follow `found`; with no place, so that it stands first."""
    if found.severity is Severity.ERROR:
        where = f" beyond line {found.span.line}" if found.span else ""
        message, help = f"{MOST_FOUND} errors: nothing was read{where}", "mend these"
    else:
        message, help = f"{MOST_FOUND} warnings: more were left out", "look after these"
    return Diagnostic("E024", message, help=f"{help} first", severity=found.severity)


def _fix(found: Diagnostic) -> Fix | None:
    return found.help.fix(found.span) if isinstance(found.help, Remedy) else None


def split_lines(text: str) -> list[str]:
    """Return the lines of `text` as YAML counts them."""
    return re.split(r"\r\n|\r|\n", text)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return `diagnostics` by file and line; those without a place come first."""
    nowhere = Span(Path(), 0, 0)
    return sorted(diagnostics, key=lambda found: (found.span or nowhere, found.code))


def suggest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `word` most likely means, if any comes near.

    Beside small slips it knows parts (`rate`), initials (`sr`) and words without some of their
    letters (`rte`) of names like `sample_rate`.
    """
    if len(word) > _LONGEST_NAME:
        return None
    likeness: dict[str, float] = {}
    alike = 0
    for candidate in islice(candidates, _MOST_CANDIDATES):
        if len(candidate) <= _LONGEST_NAME and alike < _MOST_ALIKE:
            likeness[candidate] = _likeness(word.lower(), candidate.lower())
            alike += likeness[candidate] > 0
    best = max(likeness, key=likeness.__getitem__, default="")
    return best if likeness.get(best, 0.0) >= _ALIKE else None


@lru_cache(maxsize=4096)  # one mistake may stand at many places
def _likeness(word: str, candidate: str) -> float:
    if sorted(word) == sorted(candidate):
        return 1.0  # letters that changed places
    whole = _ratio(word, candidate)
    parts = re.split(r"[_.]", candidate)
    if len(parts) == 1:
        return whole
    if word == "".join(part[:1] for part in parts):
        return 0.9
    nearest = max(_ratio(word, part) for part in parts)
    return max(whole, 0.9 * nearest if len(word) > 2 else 0.0)


def _ratio(word: str, candidate: str) -> float:
    matcher = difflib.SequenceMatcher(None, word, candidate)
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < _ALIKE:
        return 0.0
    return matcher.ratio()


def did_you_mean(word: str, candidates: Iterable[str]) -> Remedy | None:
    """Return "did you mean `x`?", or None when nothing comes near.

    To be fixed by writing it where the finding points; `str` of it is the words alone.
    """
    found = suggest(word, candidates)
    return None if found is None else Remedy("did you mean `{}`?", found)


def listed(names: Iterable[str]) -> str:
    """Return names as a YAML list between backticks, at most the first sixteen."""
    known = list(names)
    listable = [name for name in known if len(name) <= _LONGEST_NAME][:_MOST_LISTED]
    more = len(known) - len(listable)
    shown = f"`[{', '.join(listable)}]`"
    return f"{shown} and {more} more" if more > 0 else shown
