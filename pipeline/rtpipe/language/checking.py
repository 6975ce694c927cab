"""Options against their pydantic model: each error at the key or value it is about."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rtpipe.catalogue import fields
from rtpipe.language.error_places import ErrorPlace, ValuePath, place_of
from rtpipe.language.files import expanded
from rtpipe.language.meant import MAX_TRIES, remedy, taken
from rtpipe.language.nodes import (
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    folder,
    holds_unresolved,
    plain,
    unresolved,
)
from rtpipe.language.proportions import in_another_unit
from rtpipe.vocabulary import RESERVED
from rtpipe.wording.diagnostics import did_you_mean, listed, suggest
from rtpipe.wording.flow import snippet
from rtpipe.wording.masking import MASK, url_secrets

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from rtpipe.stage import Options, Stage
    from rtpipe.wording.diagnostics import Findings, Span

_OF_A_MODEL = {"value_error", "assertion_error"}


@dataclass(frozen=True, slots=True)
class Checked:
    """Options that hold, and the values they were made from."""

    options: Options
    node: MapNode


def check_options(
    stage_type: type[Stage[Any]], node: MapNode, span: Span, findings: Findings
) -> Checked | None:
    """Return the options that `node` gives, or None with what is wrong in `findings`.

    Args:
        stage_type: Whose options they are.
        node: The mapping under the kind, references already filled.
        span: The kind, for what is missing.
        findings: Takes the problems and the secrets met.
    """
    check = _Check(stage_type.kind, stage_type.options_type, span, findings, staged=True)
    return check.checked(node)


def check_document(
    model: type[Options], name: str, node: MapNode, findings: Findings
) -> Options | None:
    """Return what a whole document gives, or None with what is wrong in `findings`.

    Args:
        model: What it is made of.
        name: What a message calls it: `script`.
        node: The document.
        findings: Takes the problems.
    """
    checked = _Check(name, model, node.span, findings, staged=False).checked(node)
    return None if checked is None else checked.options


def report_failure(kind: str, error: Exception, span: Span, findings: Findings) -> None:
    """Report a kind whose own code raised when it was asked about its options."""
    findings.error(
        "E402",
        f"`{kind}` fails on these options: {type(error).__name__}: {error}".rstrip(": "),
        span,
        label="its plugin is broken",
        help="the stage is at fault, not this file; tell its author",
    )


class _Check:
    def __init__(
        self, kind: str, model: type[Options], span: Span, findings: Findings, *, staged: bool
    ) -> None:
        self.failed = False
        self._kind = kind
        self._model = model
        self._span = span
        self._findings = findings
        self._staged = staged
        self._tried: Any = None
        self._tries = 0

    def checked(self, node: MapNode) -> Checked | None:
        """Return the options that `node` gives, or None."""
        prepared = self.prepared(node, self._model)
        assert isinstance(prepared, MapNode)
        self._tried = plain(prepared)
        folder = self._span.path.parent
        try:
            options = self._model.model_validate(self._tried, context={"folder": folder})
        except ValidationError as error:
            self.report(error, prepared)
            return None
        except Exception as error:  # noqa: BLE001 - a stranger's code
            report_failure(self._kind, error, self._span, self._findings)
            return None
        return None if self.failed else Checked(options, prepared)

    def prepared(self, node: Node, wanted: Any, name: str = "") -> Node:
        """Return `node` ready for pydantic: paths of other files made to start from here."""
        if isinstance(node, MapNode):
            entries = {
                key: Entry(
                    key,
                    entry.key_span,
                    self.prepared(entry.value, fields.inside(wanted, key), key),
                )
                for key, entry in node.entries.items()
            }
            return replace(node, entries=entries)
        if isinstance(node, ListNode):
            items = (
                self.prepared(item, fields.inside(wanted, index), name)
                for index, item in enumerate(node.items)
            )
            return replace(node, items=tuple(items))
        return self._scalar(node, wanted, name)

    def _scalar(self, node: ScalarNode, wanted: Any, name: str) -> ScalarNode:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            self._fail(
                "E103",
                f"`{name}` of `{self._kind}` cannot be {snippet(value)}",
                node.span,
                label="expected a finite number",
                help=taken(wanted, name),
            )
        accepted = [mark for mark in fields.marks(wanted) if isinstance(mark, type)]
        if isinstance(value, bool) and bool not in accepted and {int, float} & set(accepted):
            self._wrong(node, name, wanted)
        if fields.is_secret(wanted) and value is not None:
            # Without quotes a PIN is a number, which is refused, but it is a secret all the same.
            self._findings.secrets.add(value if isinstance(value, str) else node.raw or f"{value}")
            return replace(node, secret=True)
        if not isinstance(value, str):
            return node
        self._findings.secrets.update(url_secrets(value))
        role = fields.path_role(wanted)
        if role is None:
            return node
        if "\x00" in value:
            self._fail("E103", f"`{name}` of `{self._kind}` is a path with a NUL", node.span)
        elif role == "output" and _leaves(value, node.pieces):
            self._fail(
                "E113",
                f"`{name}` of `{self._kind}` leaves its folder through a variable",
                node.span,
                label="filled in by a variable",
                help="a variable in mid-path may hold names, not `..`, `/x` or `~`; "
                "let one variable hold the whole path instead: `path: ${path}`",
            )
        if folder(node) != self._span.path.parent:
            return replace(node, value=str((folder(node) / expanded(value)).absolute()))
        return node

    def report(self, error: ValidationError, node: MapNode) -> None:
        """Report every error pydantic found, those of a union's branches as one."""
        groups: dict[int, list[tuple[ErrorPlace, ErrorDetails]]] = {}
        found = error.errors(include_url=False)
        for details in found:
            if _misspelt(details, found):
                continue
            place = place_of(node, self._model, details)
            of_model = details["type"] in _OF_A_MODEL
            if _is_long_enough(details, place.node):
                continue
            if unresolved(place.node) or (of_model and holds_unresolved(place.node)):
                continue
            groups.setdefault(id(place.branching or place), []).append((place, details))
        for group in groups.values():
            self._group(group)

    def _group(self, group: list[tuple[ErrorPlace, ErrorDetails]]) -> None:
        branches: dict[str, list[tuple[ErrorPlace, ErrorDetails]]] = {}
        for place, details in group:
            branches.setdefault(place.branch, []).append((place, details))
        nested = [
            errors
            for errors in branches.values()
            if any(p.node is not p.branching for p, _ in errors)
        ]
        tagged = len(branches) == 1 and all(each["type"] == "missing" for _, each in group)
        if group[0][0].branching is None or nested or tagged:
            chosen = min(nested, key=len) if nested else group
            for place, details in chosen:
                self._one(place, details)
            return
        place = group[0][0]
        self._wrong(place.node, place.name, place.outer, place.path)

    def _one(self, place: ErrorPlace, details: ErrorDetails) -> None:
        sort = details["type"]
        if sort == "extra_forbidden":
            self._unknown(place)
        elif sort == "missing":
            self._missing(place, str(details["loc"][-1]))
        elif sort in _OF_A_MODEL:
            reason = str(details.get("ctx", {}).get("error", details["msg"]))
            subject = f"`{place.name}` of `{self._kind}`" if place.name else f"`{self._kind}`"
            span = place.node.span if place.name else self._span
            self._fail("E103", f"{subject}: {reason.rstrip('.')}", span)
        elif place.wanted is None:
            self._fail("E103", f"`{place.name}` of `{self._kind}`: {details['msg']}", place.span)
        else:
            self._wrong(place.node, place.name, place.wanted, place.path)

    def _unknown(self, place: ErrorPlace) -> None:
        model = fields.model_of(place.outer) if place.outer is not self._model else self._model
        names = list(model.model_fields) if model is not None else []
        owner = f"`{self._kind}`" if not place.above else f"`{place.above}` of `{self._kind}`"
        key = place.name.rsplit(".", 1)[-1]
        free = [name for name in names if name not in place.beside]
        help: str | None = did_you_mean(key, free)
        if help is None and key in RESERVED and self._staged and not place.above:
            help = f"`{key}:` stands beside `{self._kind}:`, in the same column"
        if help is None:
            help = f"it has {listed(names)}" if names else "it has no options"
        self._fail(
            "E102",
            f"{owner} has no option `{key}`",
            place.key_span or place.node.span,
            label="unknown option",
            help=help,
            notes=[f"`rtpipe stages {self._kind}` lists its options"] if self._staged else [],
        )

    def _missing(self, place: ErrorPlace, name: str) -> None:
        meant = _meant(place, name)
        if meant is not None:
            self._unknown(meant)
            return
        wanted = fields.inside(place.wanted or self._model, name)
        needed = {name: fields.example(wanted)}
        within = f"{place.name}." if place.name else ""
        if within or not self._staged:
            help = f"add it, for example `{snippet(needed, outer=False)}`"
        else:
            help = f"for example `- {snippet({self._kind: needed}, outer=False)}`"
        self._fail(
            "E104",
            f"`{self._kind}` needs the option `{within}{name}`",
            place.node.span if place.name else self._span,
            label=f"needs {within}{name}",
            help=help,
        )

    def _wrong(self, node: Node, name: str, wanted: Any, path: ValuePath = ()) -> None:
        expected = fields.described(wanted)
        shown = MASK if isinstance(node, ScalarNode) and node.secret else snippet(plain(node))
        if len(shown) > 40:
            shown = shown[:37] + "..."
        key = name.rsplit(".", 1)[-1]
        if key.isdecimal():
            key = ""
        help: str | None
        if fields.is_secret(wanted):
            help = f'in quotes: `{key}: "..."`' if isinstance(node, ScalarNode) else None
        else:
            help = in_another_unit(key, plain(node), wanted)
            help = help or remedy(node, wanted, key, lambda value: self._holds(path, value))
            help = help or taken(wanted, key, self._default(path))
        self._fail(
            "E103",
            f"`{name}` of `{self._kind}` cannot be {shown}",
            node.span,
            label=f"expected {expected}",
            help=help,
        )

    def _holds(self, path: ValuePath, value: Any) -> bool:
        """Whether the options would be taken with `value` at `path`, as far as that place goes."""
        if not path or self._tries == MAX_TRIES:
            return False
        self._tries += 1
        folder = self._span.path.parent
        try:
            self._model.model_validate(_with(self._tried, path, value), context={"folder": folder})
        except ValidationError as error:
            found = (details["loc"] for details in error.errors(include_url=False))
            named = (tuple(step for step in loc if step in path) for loc in found)
            return all(steps[: len(path)] != path for steps in named)
        return True

    def _default(self, path: ValuePath) -> Any:
        *above, last = path or ("",)
        wanted: Any = self._model
        for step in above:
            wanted = fields.inside(wanted, step)
        model = fields.model_of(wanted)
        field = None if model is None else model.model_fields.get(str(last))
        return None if field is None or field.is_required() else _simple(field.get_default())

    def _fail(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        help: str | None = None,
        notes: list[str] | None = None,
    ) -> None:
        self.failed = True
        self._findings.error(code, message, span, label=label, help=help, notes=notes or ())


def _meant(place: ErrorPlace, name: str) -> ErrorPlace | None:
    """Return the key that is meant to be `name`, in a mapping that takes any key; None: none is."""
    model = fields.model_of(place.wanted)
    if model is None or not isinstance(place.node, MapNode):
        return None
    for key, entry in place.node.entries.items():
        if key not in model.model_fields and suggest(key, [name]) is not None:
            return replace(
                place,
                node=entry.value,
                key_span=entry.key_span,
                name=f"{place.name}.{key}",
                above=place.name,
                outer=place.wanted,
                around=place.node,
            )
    return None


def _is_long_enough(details: ErrorDetails, node: Node) -> bool:
    """Whether a list is called too short because its items are wrong, which is told."""
    if details["type"] != "too_short" or not isinstance(node, ListNode):
        return False
    return len(node.items) >= int(details.get("ctx", {}).get("min_length", 0))


def _misspelt(missing: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether what is missing was written under another name, which is told."""
    if missing["type"] != "missing":
        return False
    *above, name = missing["loc"]
    return any(
        other["type"] == "extra_forbidden"
        and list(other["loc"][:-1]) == above
        and suggest(str(other["loc"][-1]), [str(name)]) is not None
        for other in found
    )


def _with(value: Any, path: ValuePath, new: Any) -> Any:
    """Return a copy of plain values with `new` at `path`."""
    if not path:
        return new
    step, *rest = path
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    copied[step] = _with(value[step], tuple(rest), new)
    return copied


def _simple(default: Any) -> Any:
    return default.value if isinstance(default, Enum) else default


def _leaves(path: str, pieces: tuple[tuple[int, int], ...]) -> bool:
    """Whether text that a variable put into mid-path leads out of the path's own folder."""
    for start, end in pieces:
        text = path[start:end]
        if start > 0 and (text.startswith(("/", "~")) or ".." in _components(path, start, end)):
            return True
    return False


def _components(path: str, start: int, end: int) -> tuple[str, ...]:
    first = path.rfind("/", 0, start) + 1
    last = path.find("/", end)
    return PurePosixPath(path[first : last if last >= 0 else None]).parts
