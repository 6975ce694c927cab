"""Values of the file's own keys, checked against the models of the vocabulary."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from rtpipe.catalogue import fields
from rtpipe.language.meant import MAX_TRIES, remedy
from rtpipe.language.nodes import (
    ListNode,
    MapNode,
    Node,
    ScalarNode,
    as_node,
    at,
    plain,
    unresolved,
    what,
)
from rtpipe.language.sections import WELL_KNOWN, report_absent
from rtpipe.language.syntax import space_help
from rtpipe.vocabulary import Meant, PipelineFile, Profile, Reserved, keys
from rtpipe.wording.diagnostics import did_you_mean, listed
from rtpipe.wording.flow import snippet
from rtpipe.wording.masking import MASK
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.error_places import ValuePath
    from rtpipe.wording.diagnostics import Findings

M = TypeVar("M", bound=BaseModel)
_LONGEST_SHOWN = 40
_MISSED = {"version", "include", "plugins", "vars", "stages"}
"""What is missed elsewhere if its key is misspelt."""
_DASHES = re.compile(r"-\w")


class ReservedReader:
    """Reads mappings of reserved keys; each mistake becomes a finding at its own key or value.

    Args:
        findings: Takes what is wrong.
        registry: The kinds there are: a help for one that stands where a reserved key should. And
            the code that was not run, which may have sections of its own.
    """

    def __init__(self, findings: Findings, registry: Registry | None = None) -> None:
        self._findings = findings
        self._registry = registry
        self._tries = 0

    def read(self, model: type[M], node: MapNode) -> M:
        """Return what `node` says; what is wrong or has no value counts as not written.

        Args:
            model: Of the vocabulary; one that needs no key.
            node: References filled.
        """
        if not node.entries:
            return model()
        said = _known(node)
        assert isinstance(said, MapNode)
        for path, _ in _wrong(model, said):
            said = _retyped(said, path)
        self.check(model, said)
        while wrong := _wrong(model, said):
            said = _put(said, wrong[-1][0], None)
        return model.model_validate(plain(said))

    def check(self, model: type[BaseModel], node: MapNode) -> None:
        """Report what is wrong under the keys of `node`, and keys that it does not have."""
        if not node.entries:
            return  # what is missing is told where it is missed
        wrong = _wrong(model, node)
        if len(wrong) > MAX_TRIES:  # each try meets all the others again
            self._tries = MAX_TRIES
        for path, unknown in wrong:
            if unknown:
                self._report_key(model, node, path)
            elif path:
                self._report_value(model, node, path)

    def _report_key(self, model: type[BaseModel], node: MapNode, path: ValuePath) -> None:
        _, entry, _ = at(node, path)
        assert entry is not None
        owner = fields.model_of(_wanted(model, path[:-1])) or model
        assert issubclass(owner, Reserved)
        if issubclass(owner, Profile) and entry.key in WELL_KNOWN:
            report_absent(entry, self._findings)
            return
        stray = self._stray(owner, entry.key)
        if not stray and len(path) == 1 and issubclass(owner, PipelineFile):
            unknown = f"a section `{entry.key}`"
            if self._registry is not None and self._registry.trust.report_unknown(
                unknown, entry.key_span, self._findings
            ):
                return
        meant = did_you_mean(entry.key, keys(owner))
        if issubclass(owner, PipelineFile) and meant is not None and meant.text in _MISSED:
            self._findings.lost |= {meant.text} - node.entries.keys()
        self._findings.error(
            owner.unknown,
            f"{_dotted(path[:-1]) or owner.called} has no `{entry.key}`",
            entry.key_span,
            label="unknown key",
            help=stray or meant or f"it has {listed(keys(owner))}",
        )

    def _stray(self, owner: type[Reserved], key: str) -> str | None:
        """Return what to do with a key that is a kind."""
        if self._registry is None or key not in self._registry.kinds:
            return None
        of_events = self._registry.kinds.family(key) == "subscriber"
        help = owner.strays.get("events" if of_events else "stages")
        return help and help.format(key)

    def _holds(self, model: type[BaseModel], root: MapNode, path: ValuePath, value: Any) -> bool:
        """Whether `value` would be taken at `path`; after many, no more are tried."""
        self._tries += 1
        return self._tries <= MAX_TRIES and not _tried(model, root, path, value)

    def _report_value(self, model: type[BaseModel], root: MapNode, path: ValuePath) -> None:
        node, _, _ = at(root, path)
        wanted = _wanted(model, path)
        if unresolved(node) and fields.takes_single_value(wanted):
            return
        meant, example = _words(model, path)
        key = next(step for step in reversed(path) if isinstance(step, str))
        choices = [] if meant.text else [str(choice) for choice in fields.choices_of(wanted)]
        expected = meant.text or fields.described(wanted).removesuffix(" or nothing")
        if choices:
            expected = f"one of {', '.join(choices)}"
        help: str | None = remedy(
            node,
            wanted,
            key if path[-1] == key else "",
            lambda value: self._holds(model, root, path, value),
        )
        if meant.code == "E021" and isinstance(node, ScalarNode) and _DASHES.match(node.raw):
            help = space_help(node.raw, replace(node.span, length=1))
        elif meant.help and (help is None or not isinstance(node, ScalarNode)):
            help = meant.help
        elif help is None and choices:
            help = f"it is one of {listed(choices)}"
        elif help is None and bool in fields.marks(wanted):
            help = f"write `{key}: true` or `{key}: false`"
        elif help is None and example is not None:
            help = f"for example `{snippet({key: example}, outer=False)}`"
        cannot = f"cannot be {_shown(node)}" if choices else f"is {expected}, not {_shown(node)}"
        self._findings.error(
            meant.code,
            f"{_dotted(path)} {cannot}",
            node.span,
            label=f"expected {expected}",
            help=help,
        )


def _wrong(model: type[BaseModel], node: MapNode) -> list[tuple[ValuePath, bool]]:
    """Return where `node` does not fit, as deep as can be told, and whether the key is unknown.

    A union's branches all complain; the one that came deepest was meant.
    """
    try:
        model.model_validate(plain(node))
    except ValidationError as error:
        found: dict[ValuePath, bool] = {}
        for details in error.errors(include_url=False, include_context=False, include_input=False):
            path = _path(node, details["loc"])
            found.setdefault(path, details["type"] == "extra_forbidden")
        above = {path[:length] for path in found for length in range(len(path))}
        return [(path, unknown) for path, unknown in found.items() if path not in above]
    return []


def _tried(
    model: type[BaseModel], root: MapNode, path: ValuePath, value: Any
) -> list[tuple[ValuePath, bool]]:
    """Return where `root` does not fit, or fits less, with `value` at `path`."""
    new = as_node(value, at(root, path)[0].span)
    wrong = _wrong(model, _put(root, path, new))
    return [
        (where, unknown) for where, unknown in wrong if where[: len(path)] == path[: len(where)]
    ]


def _path(node: Node, loc: tuple[str | int, ...]) -> ValuePath:
    """Return the part of pydantic's `loc` that leads somewhere in the file."""
    path: list[str | int] = []
    for step in loc:
        deeper, _, rest = at(node, (step,))
        if not rest:
            node = deeper
            path.append(step)
    return tuple(path)


def _wanted(model: type[BaseModel], path: ValuePath) -> Any:
    wanted: Any = model
    for step in path:
        wanted = fields.inside(wanted, step)
    return wanted


def _words(model: type[BaseModel], path: ValuePath) -> tuple[Meant, Any]:
    """Return how to speak of what stands at `path`, and an example; a list speaks for its items."""
    meant, example = Meant(), None
    for length, step in enumerate(path, 1):
        marks = fields.marks(_wanted(model, path[:length]))
        own = next((mark for mark in marks if isinstance(mark, Meant)), None)
        if isinstance(step, str):
            owner = fields.model_of(_wanted(model, path[: length - 1]))
            field = None if owner is None else keys(owner).get(step)
            example = field.examples[0] if field is not None and field.examples else None
            meant = own or Meant()
    return meant, example


def _known(node: Node) -> Node | None:
    """Return `node` without the values whose reference has none: that was reported."""
    if isinstance(node, ScalarNode):
        return None if node.unresolved else node
    if isinstance(node, ListNode):
        items = tuple(each for item in node.items if (each := _known(item)) is not None)
        return replace(node, items=items) if items or not node.items else None
    entries = {
        key: replace(entry, value=value)
        for key, entry in node.entries.items()
        if (value := _known(entry.value)) is not None
    }
    return replace(node, entries=entries)


def _retyped(root: MapNode, path: ValuePath) -> MapNode:
    """Return `root` with a text that came from a reference as the number or flag that it spells."""
    node, _, _ = at(root, path)
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or "$" not in node.raw:
        return root
    spelt: MapNode = _put(root, path, replace(node, value=typed(node.value.lower())))
    return spelt


def _put(node: Any, path: ValuePath, value: Node | None) -> Any:
    """Return `node` with `value` at `path`; None removes what is there."""
    step, *rest = path
    if isinstance(node, ListNode):
        items = list(node.items)
        items[int(step) : int(step) + 1] = _replaced(items[int(step)], rest, value)
        return replace(node, items=tuple(items))
    entries = dict(node.entries)
    entry = entries.pop(str(step))
    for new in _replaced(entry.value, rest, value):
        entries[entry.key] = replace(entry, value=new)
    return replace(node, entries=entries)


def _replaced(node: Node, rest: list[str | int], value: Node | None) -> list[Node]:
    if rest:
        return [_put(node, tuple(rest), value)]
    return [] if value is None else [value]


def _dotted(path: ValuePath) -> str:
    names = ".".join(step for step in path if isinstance(step, str))
    return f"`{names}`" if names else ""


def _shown(node: Node) -> str:
    """Return a value for a sentence: itself, if it is short and no secret."""
    if isinstance(node, MapNode) or plain(node) is None:
        return what(node)
    if isinstance(node, ScalarNode) and node.secret:
        return MASK
    shown = snippet(plain(node))
    return shown if len(shown) <= _LONGEST_SHOWN else what(node)
