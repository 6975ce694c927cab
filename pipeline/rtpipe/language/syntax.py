"""Names for the mistakes that make a text no YAML, or YAML that means something else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rtpipe.language.nodes import ScalarNode
from rtpipe.vocabulary import RESERVED
from rtpipe.wording.diagnostics import Diagnostic, Related, Remedy, Span, suggest
from rtpipe.wording.flow import snippet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ruamel.yaml.error import MarkedYAMLError

    from rtpipe.language.nodes import Entry

    Place = Callable[[int, int, int], Span]

_LONGEST_LINE = 1000
"""Characters: in a longer line nobody meant what would be guessed."""
_ANCHOR = re.compile(r"(?:^|[\s\[{,])&([A-Za-z_][\w-]*)")
_REFERENCE = re.compile(r"\$\{[^}]*\}")
_BARE_ITEM = re.compile(r"(\s*-\s+)([A-Za-z_][\w-]*)\s*(#.*)?")
_CLOSE_DASH = re.compile(r"(\s*)-([A-Za-z_][\w-]*\s*(:(\s.*)?)?)")
_ANOTHER_DASH = re.compile(r"\s-[A-Za-z_]")
_TAKE_LISTS = frozenset({"from", "match", "do"})
"""Keys whose value may be a list of names."""
_KEY_BEFORE = re.compile(r"([\w.-]+):\s*$")


def quoted(text: str) -> str:
    """Return `text` as a YAML value between double quotes."""
    return json.dumps(text, ensure_ascii=False)


def name_mistake(
    error: MarkedYAMLError, lines: Sequence[str], place: Place, opened: Span | None
) -> Diagnostic:
    """Return what the parser's `error` means to somebody who writes a pipeline.

    Args:
        error: As ruamel raised it; its marks count from 0.
        lines: The text.
        place: Makes a span of a line and a column (from 0) and a length.
        opened: The innermost bracket or brace that is open at the mistake.
    """
    mark = error.problem_mark or error.context_mark
    line, column = (0, 0) if mark is None else (mark.line, mark.column)
    text = lines[line] if line < len(lines) else ""
    problem = (error.problem or "").split("\n", 1)[0]
    here = place(line, column, 1)
    if len(text) > _LONGEST_LINE:
        return _by_wording(error, problem, here, lines, place, opened)
    dash = _close_dash(error, lines, place)
    if dash is not None:
        return dash
    if "'\\t'" in problem:
        return _tab(text, column, line, place)
    if text[column - 1 : column + 1] == "${" and column > 0:
        return _unquoted_reference(text, column - 1, line, place)
    if "cannot start any token" in problem or error.context == "while scanning an alias":
        start = column
        if error.context == "while scanning an alias" and error.context_mark is not None:
            start = error.context_mark.column
        return _must_quote(text, start, line, place)
    if problem.startswith("mapping values are not allowed"):
        return _misplaced_colon(lines, line, column, place)
    return _by_wording(error, problem, here, lines, place, opened)


def _close_dash(error: MarkedYAMLError, lines: Sequence[str], place: Place) -> Diagnostic | None:
    """`-gain: 3`: on the line at fault, where what it is in began, or on the line above."""
    marks = [mark.line for mark in (error.problem_mark, error.context_mark) if mark is not None]
    above = max(marks[0] - 1, 0) if marks else 0
    while above > 0 and not lines[above].strip():
        above -= 1
    for line in (*marks, above):
        found = _CLOSE_DASH.fullmatch(lines[line]) if line < len(lines) else None
        if found is not None:
            span = place(line, len(found.group(1)), 1)
            return Diagnostic(
                "E006",
                "a dash needs a space behind it",
                span,
                "no space",
                space_help(lines[line], span),
            )
    return None


def space_help(text: str, dash: Span) -> str:
    """Return the help for a text that begins with a dash and no space behind it."""
    meant = f"- {text.strip()[1:]}"
    if _ANOTHER_DASH.search(meant):
        return "put a space behind each dash: `- tone`"
    if not is_yaml(meant) or "`" in meant:
        return "put a space behind the dash"
    return Remedy(f"put a space behind the dash: `{meant}`", "- ", dash, fill=False)


def _by_wording(
    error: MarkedYAMLError,
    problem: str,
    here: Span,
    lines: Sequence[str],
    place: Place,
    opened: Span | None,
) -> Diagnostic:
    context = error.context_mark
    began = here if context is None else place(context.line, context.column, 1)
    if "quoted scalar" in (error.context or "") and "end of stream" in problem:
        return Diagnostic("E006", "this quote is never closed", began, "opened here")
    if opened is not None:
        return Diagnostic(
            "E006",
            "this bracket is never closed, or a comma is missing after a value in it",
            opened,
            "opened here",
            _closing(error, lines, opened, place),
            related=() if opened.line == here.line else (Related(here, "not possible here"),),
        )
    if "could not find expected ':'" in problem:
        return Diagnostic("E006", "this line has no colon", began, "a key needs `:`")
    if "expected <block end>" in problem:
        line, colon = here.line - 1, lines[here.line - 1].find(":")
        under = None if colon < 0 else _misplaced_colon(lines, line, colon, place)
        if under is not None and under.code == "E012":  # a comment had ended the bare kind
            return under
        return Diagnostic(
            "E006",
            "this line's indentation fits nothing above it",
            here,
            "begins here",
            "the items of one list, and the keys of one mapping, begin in one column",
        )
    return Diagnostic("E006", f"this is not YAML: {problem}", here)


def _closing(
    error: MarkedYAMLError, lines: Sequence[str], opened: Span, place: Place
) -> Remedy | None:
    """Return the help to close what a line opens, where that alone makes it right."""
    context = error.context_mark
    if context is None or context.line >= len(lines):
        return None
    number: int = context.line
    text = re.split(r"\s+#", lines[number])[0].rstrip()
    closers = ""
    for char in text:
        if char in "{[":
            closers = {"{": "}", "[": "]"}[char] + closers
        elif closers and char == closers[0]:
            closers = closers[1:]
    whole = text.strip() + closers
    if not closers or opened.line != place(context.line, 0, 1).line:
        return None
    if any(sign in whole for sign in "\"'`") or not is_yaml(whole):
        return None
    end = replace(place(context.line, len(text), 1), length=0)
    return Remedy(f"close it: `{whole}`", closers, end, fill=False)


def name_alias(name: str, lines: Sequence[str], line: int, column: int, place: Place) -> Diagnostic:
    """Return what is wrong with `*name`, which no `&name` defines: mostly a glob without quotes."""
    anchors = {anchor for each in lines for anchor in _ANCHOR.findall(each[:_LONGEST_LINE])}
    near = suggest(name, sorted(anchors))
    if near is not None:
        return Diagnostic(
            "E010",
            f"no `&{name}` stands above, which `*{name}` would repeat",
            place(line, column, len(name) + 1),
            "no such anchor",
            Remedy("did you mean `{}`?", f"*{near}"),
        )
    text = lines[line]
    if len(text) > _LONGEST_LINE:
        text = " " * column + f"*{name}"[:_LONGEST_LINE]
    return _must_quote(text, column, line, place, fallback=f"*{name}")


def name_comma(cut: Sequence[tuple[str, Span]], before: Entry | None) -> Diagnostic:
    """Return what is wrong with keys without a colon in `{}`: mostly unquoted commas.

    Args:
        cut: The keys, one behind the other.
        before: What stands before them.
    """
    key, span = cut[-1]
    if before is not None and isinstance(before.value, ScalarNode) and before.value.raw:
        parts = [before.value.raw, *(each for each, _ in cut)]
        if before.key in _TAKE_LISTS:
            words, written = "write a list", f"[{', '.join(parts)}]"
        elif len(parts) == 2 and parts[0].lstrip("-+").isdigit() and key.isdigit():
            words, written = "a number has a point", ".".join(parts)
        else:
            words, written = "quote it", quoted(",".join(parts))
        help = f"{words}: `{{{before.key}: {written}}}`"
        start = before.value.span
        same_line = start.line == span.line
        length = span.column + span.length - start.column if same_line else start.length
        return Diagnostic(
            "E011",
            "a comma ends a value inside `{}`",
            Span(start.path, start.line, start.column, length),
            f"read as {'two' if len(parts) == 2 else len(parts)} values",
            Remedy(help, written, fill=False) if same_line else help,
        )
    return Diagnostic(
        "E011",
        f"`{key}` has no value",
        span,
        "a key needs `:` and a value",
        "write a colon and a value behind it"
        if "`" in key  # it would end the snippet
        else f"write `{snippet({key: True})}`, or whatever its value is",
    )


def is_yaml(text: str) -> bool:
    """Return whether `text` can be read as YAML."""
    try:
        for _ in YAML(typ="safe", pure=True).parse(text):
            pass
    except (YAMLError, ValueError):
        return False
    return True


def _tab(text: str, column: int, line: int, place: Place) -> Diagnostic:
    tabs = len(text[column:]) - len(text[column:].lstrip("\t"))
    content = text.strip()
    shown = content if content and is_yaml(content) and "`" not in content else "- gain: 3"
    return Diagnostic(
        "E007",
        "a tab cannot indent in YAML",
        place(line, column, tabs),
        "a tab" if tabs == 1 else f"{tabs} tabs",
        Remedy(f"indent with two spaces: `  {shown}`", "  " * tabs, fill=False),
    )


def _unquoted_reference(text: str, start: int, line: int, place: Place) -> Diagnostic:
    """`{api_key: ${env:X}}`: the brace of the reference ends the value."""
    found = _REFERENCE.match(text, start)
    reference = found.group() if found else "${name}"
    before = text[:start]
    head = re.split(r"[,{\[]", before)[-1]
    keyed = re.match(r"\s*([\w.-]+):\s+(.*)$", head)
    rest = text[start + len(reference) :] if found else ""
    tail = re.match(r"[^,}\]]*", rest)
    begun = keyed.group(2) if keyed else head.lstrip()
    value = begun + reference + (tail.group().rstrip() if tail else "")
    shown = f"{{{keyed.group(1)}: {quoted(value)}}}" if keyed else f"[{quoted(value)}]"
    return Diagnostic(
        "E009",
        "inside `{}` and `[]` a value with `${` needs quotes",
        place(line, start, len(reference)),
        "its brace ends the value",
        Remedy(
            f"quote it: `{shown}`",
            quoted(value),
            place(line, start - len(begun), len(value)),
            fill=False,
        ),
    )


def _must_quote(
    text: str, start: int, line: int, place: Place, *, fallback: str = ""
) -> Diagnostic:
    """A value that begins with a character YAML keeps for itself: `*.done`, `%Y.wav`, `@x`."""
    before = text[:start]
    in_flow = before.count("{") + before.count("[") > before.count("}") + before.count("]")
    found = re.match(r"[^,}\]]*" if in_flow else r".*?(?=\s+#|\s*$)", text[start:])
    value = (found.group().rstrip() if found else "") or fallback
    key = _KEY_BEFORE.search(before)
    shown = f"{key.group(1)}: {quoted(value)}" if key else f"[{quoted(value)}]"
    first = value[:1]
    meaning = "which makes it an alias to YAML" if first == "*" else "which YAML keeps for itself"
    return Diagnostic(
        "E010",
        f"a value cannot begin with `{first}`, {meaning}, unless it is quoted"
        if first != "`"
        else "a value cannot begin with a backtick unless it is quoted",
        place(line, start, len(value)),
        "needs quotes",
        Remedy(f"quote it: `{shown}`", quoted(value), fill=False)
        if "`" not in shown
        else "put it between double quotes",
    )


def _misplaced_colon(lines: Sequence[str], line: int, column: int, place: Place) -> Diagnostic:
    text = lines[line]
    key = text[:column].strip()
    above = line - 1
    while above >= 0 and (not lines[above].strip() or lines[above].lstrip().startswith("#")):
        above -= 1
    item = _BARE_ITEM.fullmatch(lines[above]) if above >= 0 else None
    if item and len(text) - len(text.lstrip()) > lines[above].index("-"):
        kind = item.group(2)
        value = re.split(r"\s+#", text[column + 1 :])[0].strip()
        option = f"- {kind}: {{{key}: {value}}}"
        deeper = len(text) - len(text.lstrip()) > len(item.group(1))
        help: str
        long = len(option) > _LONGEST_LINE
        if key in RESERVED or deeper or not value or long or not is_yaml(option):
            words = f"write `- {kind}:` with a colon, and below it what belongs to it"
            help = Remedy(words, f"{kind}:", fill=False) if key in RESERVED or deeper else words
        else:
            help = f"options stand under their kind: `{option}`"
        return Diagnostic(
            "E012",
            f"`{kind}` needs a colon, for something stands below it",
            place(above, len(item.group(1)), len(kind)),
            "no colon",
            help,
            related=(Related(place(line, column - len(key), len(key)), "belongs to it"),),
        )
    first = re.match(r"(\s*(?:-\s+)?)([\w.-]+):\s+(.*?)(?=\s+#|\s*$)", text)
    if first and first.end(2) < column:
        value = first.group(3)
        shown = f"{first.group(2)}: {quoted(value)}"
        return Diagnostic(
            "E010",
            "a value that holds a colon and a space needs quotes",
            place(line, first.start(3), len(value)),
            "needs quotes",
            Remedy(f"quote it: `{shown}`", quoted(value), fill=False) if "`" not in shown else None,
        )
    return Diagnostic(
        "E006",
        f"`{key}` cannot stand here: the line above already has a value",
        place(line, max(column - len(key), 0), max(len(key), 1)),
        "a key that belongs to nothing",
        "a key with others below it has nothing after its colon",
    )
