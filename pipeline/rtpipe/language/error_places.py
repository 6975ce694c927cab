"""Where in the file an error of pydantic's stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from rtpipe.catalogue import fields
from rtpipe.language.nodes import ListNode, MapNode, Node

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from rtpipe.wording.diagnostics import Span

ValuePath: TypeAlias = "tuple[str | int, ...]"
"""Keys and indices that lead to a value."""


@dataclass(frozen=True, slots=True)
class ErrorPlace:
    """Where a pydantic error points: the node, its option's dotted name, what it should be.

    `around` is the mapping that it stands in.
    """

    node: Node
    key_span: Span | None
    name: str
    above: str
    wanted: Any
    outer: Any
    path: ValuePath
    around: MapNode | None
    branch: str = ""
    branching: Node | None = None

    @property
    def span(self) -> Span:
        """The node's."""
        return self.node.span

    @property
    def beside(self) -> Collection[str]:
        """The keys of the mapping that it stands in."""
        return () if self.around is None else self.around.entries.keys()


def place_of(root: MapNode, model: type[BaseModel], details: ErrorDetails) -> ErrorPlace:
    """Follow pydantic's `loc`; steps that name a union's branch lead nowhere in the file."""
    node: Node = root
    wanted: Any = model
    outer: Any = model
    key_span: Span | None = None
    path: list[str | int] = []
    around: MapNode | None = None
    branch, branching = "", None
    loc = details["loc"]
    for index, step in enumerate(loc):
        entry = node.entries.get(str(step)) if isinstance(node, MapNode) else None
        if entry is not None:
            assert isinstance(node, MapNode)
            around = node
            outer, wanted = wanted, fields.inside(wanted, str(step))
            node, key_span = entry.value, entry.key_span
            path.append(str(step))
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            outer, wanted = wanted, fields.inside(wanted, step)
            node, key_span = node.items[step], None
            path.append(step)
        elif not (index == len(loc) - 1 and details["type"] == "missing"):
            branch, branching, outer = str(step), node, wanted
            wanted = fields.branch(wanted, str(step))
    names = [str(step) for step in path]
    name, above = ".".join(names), ".".join(names[:-1])
    return ErrorPlace(
        node, key_span, name, above, wanted, outer, tuple(path), around, branch, branching
    )
