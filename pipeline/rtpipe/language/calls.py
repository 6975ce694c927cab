"""Action calls, `speaker.flush` or `gain.set(gain_db=-6)`: taken apart, and checked."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from rtpipe.catalogue.fields import described
from rtpipe.errors import ActionError
from rtpipe.language.bounds import MAX_ARGUMENTS
from rtpipe.language.reader import read_value
from rtpipe.vocabulary import ACTION
from rtpipe.wording.diagnostics import Findings, Span, did_you_mean, listed, suggest
from rtpipe.wording.flow import snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtpipe.actions import ActionSpec
    from rtpipe.language.nodes import Node, ScalarNode

_CALL = re.compile(ACTION)
_KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)")
_TOKEN = re.compile(r"""\"(?:\\.|[^"\\])*(?:"|\Z)|'[^']*(?:'|\Z)|.""", re.DOTALL)
_TYPES: dict[str, Any] = {
    "bool": bool,
    "float": float,
    "int": int,
    "str": str,
    "None": type(None),
}
_EXAMPLE = "for example `speaker.flush` or `gain.set(gain_db=-6)`"


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """An action call as written: the values of its arguments are not resolved yet."""

    stage: str
    name: str
    args: tuple[Node, ...]
    kwargs: dict[str, Node]
    span: Span


class CallReader:
    """Reads the action calls of a pipeline, which together have a bounded number of arguments.

    Args:
        findings: Takes what is wrong.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._arguments = 0

    def read(self, node: ScalarNode) -> WrittenCall | None:
        """Return the call that a text is, or None with the reason in the findings.

        The text is taken apart before `${...}` is filled, so that a value cannot become a call.
        """
        findings = self._findings
        text = node.value if isinstance(node.value, str) else ""
        found = _CALL.fullmatch(text)
        if found is None:
            findings.error(
                "E705", f"`{text}` is no action", node.span, label="not STAGE.ACTION", help=_EXAMPLE
            )
            return None
        args: list[Node] = []
        kwargs: dict[str, Node] = {}
        for start, part in self._counted(found.group(3) or "", found.start(3), node.span):
            keyword = _KEYWORD.match(part)
            shift = keyword.end() if keyword else 0
            lead = len(part[shift:]) - len(part[shift:].lstrip())
            column = node.span.column + start + shift + lead + _quote_width(node, findings)
            place = Span(node.span.path, node.span.line, column)
            value = read_value(part[shift:].strip(), place, findings)
            if value is None:
                return None
            if keyword:
                kwargs[keyword.group(1)] = value
            elif kwargs:
                findings.error(
                    "E705", "a value without a name follows a named one", value.span, help=_EXAMPLE
                )
                return None
            else:
                args.append(value)
        return WrittenCall(found.group(1), found.group(2), tuple(args), kwargs, node.span)

    def _counted(self, text: str, offset: int, span: Span) -> list[tuple[int, str]]:
        """Return the arguments, with their offsets; none once there are too many."""
        if self._arguments > MAX_ARGUMENTS:
            return []  # that was reported
        found = _arguments(text, offset)
        self._arguments += len(found)
        if self._arguments > MAX_ARGUMENTS:
            self._findings.error(
                "E013",
                f"more than {MAX_ARGUMENTS} arguments of actions",
                span,
                help="let an action of the stage's do what so many values are for",
            )
            return []
        return found


def checked(
    stage: str,
    kind: str,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    actions: Mapping[str, ActionSpec],
) -> tuple[ActionSpec, tuple[Any, ...], dict[str, Any]]:
    """Return an action and its arguments as it wants them, for a call that stands in no file.

    Args:
        stage: The stage's id.
        kind: What it is.
        name: The action.
        args: Its arguments.
        kwargs: Those with names.
        actions: What the stage offers.

    Raises:
        ActionError: It has no such action, or the arguments do not fit.
    """
    action = actions.get(name)
    if action is None:
        raise ActionError(
            f"`{kind}` has no action `{name}`", help=unknown_action_help(stage, name, actions)
        )
    findings = Findings()
    fitting = bound(f"{stage}.{name}", action, args, kwargs, findings)
    if fitting is None:
        first = findings.errors()[0]
        raise ActionError(first.message, help=first.help)
    return (action, *fitting)


def unknown_action_help(stage: str, name: str, actions: Mapping[str, ActionSpec]) -> str:
    """Return what to write instead of an action that a stage does not have."""
    names = [f"{stage}.{each}" for each in actions]
    meant = did_you_mean(f"{stage}.{name}", names) if suggest(name, actions) else None
    return meant or (f"it has {listed(names)}" if names else "it has no actions")


def unknown_stage_help(id: str, stages: Iterable[str]) -> str:
    """Return what to write instead of the id of a stage that there is not."""
    known = list(stages)
    return did_you_mean(id, known) or f"the stages are {listed(known)}"


def bound(
    called: str,
    action: ActionSpec,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    findings: Findings,
    span: Span | None = None,
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """Return the arguments as the action wants them; None, with the reason in the findings.

    Args:
        called: What is called: `gain.set`.
        action: What that is.
        args: The arguments.
        kwargs: Those with names.
        findings: Takes what does not fit the action's signature.
        span: Where the call stands in a file, if it does.
    """
    stage = called.partition(".")[0]
    try:
        arguments = action.signature.bind(*args, **kwargs)
    except TypeError as error:
        unknown = [name for name in kwargs if name not in action.signature.parameters]
        meant = did_you_mean(unknown[0], action.signature.parameters) if unknown else None
        findings.error(
            "E705",
            f"`{called}` cannot be called so: {error}",
            span,
            label="wrong arguments",
            # the span is that of the whole call, so neither is what to write there
            help=f"write `{example(stage, action)}`" if meant is None else str(meant),
        )
        return None
    fits = True
    for name, value in arguments.arguments.items():
        wanted = _simple_type(action.signature.parameters[name])
        if wanted is None:
            continue
        try:
            arguments.arguments[name] = _adapter(wanted).validate_python(value)
        except ValidationError:
            fits = False
            findings.error(
                "E705",
                f"`{name}` of `{called}` cannot be {snippet(value)}",
                span,
                label=f"`{name}` is {described(wanted)}",
                help=f"write `{example(stage, action)}`",
            )
    return (arguments.args, arguments.kwargs) if fits else None


@functools.cache
def _adapter(wanted: Any) -> TypeAdapter[Any]:
    return TypeAdapter(wanted)


def _simple_type(parameter: inspect.Parameter) -> Any:
    """Return what a parameter is annotated with, if it is plain values; else None."""
    if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None
    text = str(getattr(parameter.annotation, "__name__", parameter.annotation))
    types: list[Any] = [_TYPES.get(part.strip()) for part in text.split("|")]
    return None if None in types else functools.reduce(operator.or_, types)


def example(stage: str, action: ActionSpec) -> str:
    """Return a call of an action with its parameters."""
    shown = []
    for parameter in action.signature.parameters.values():
        if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            continue
        default: Any = parameter.default
        value = "..." if default is inspect.Parameter.empty else default
        shown.append(f"{parameter.name}={value}")
    return f"{stage}.{action.name}({', '.join(shown)})" if shown else f"{stage}.{action.name}"


def _arguments(text: str, offset: int) -> list[tuple[int, str]]:
    """Split at the commas that stand in no quote and no bracket; with each part's offset."""
    if not text.strip():
        return []
    parts: list[tuple[int, str]] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        if token.group() in "{[(":
            depth += 1
        elif token.group() in "}])":
            depth -= 1
        elif token.group() == "," and depth == 0:
            parts.append((offset + start, text[start : token.start()]))
            start = token.end()
    return [*parts, (offset + start, text[start:])]


def _quote_width(node: ScalarNode, findings: Findings) -> int:
    """Return 1 where the text stands between quotes in its file, else 0."""
    line = findings.line(node.span)
    return 1 if line[node.span.column - 1 : node.span.column] in {'"', "'"} else 0
