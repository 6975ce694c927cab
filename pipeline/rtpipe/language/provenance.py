"""Who set a value: the layers of a pipeline, from the file to `--set`, and what each says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtpipe.language.nodes import at
from rtpipe.vocabulary import BesideStage, keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rtpipe.language.document import Document
    from rtpipe.language.items import StageItem
    from rtpipe.language.nodes import Node
    from rtpipe.wording.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer says of a value.

    Attributes:
        by: Who says it: a file, "profile NAME", "--set".
        span: Where.
        value: As it is written, references not filled.
    """

    by: str
    span: Span
    value: Node


def layers_of(
    path: Sequence[str], document: Document, steps: Iterable[tuple[str, Callable[[], None]]]
) -> list[Layer]:
    """Return what each layer says of a value, the one that counts first.

    Args:
        path: Where the value stands: `("mic", "device")`, `("vars", "voice")`.
        document: What the layers are put into.
        steps: Each layer's name, and what puts it on top.
    """
    found: list[Layer] = []
    before: Node | None = None
    for by, put in steps:
        put()
        node = _value(document, path) if path else None
        if node is not None and node != before:
            found.insert(0, Layer(by, node.span, node))
        before = node
    return found


def _value(document: Document, path: Sequence[str]) -> Node | None:
    head, *rest = path
    if head == "stages" and rest:
        head, *rest = rest
    entry = document.values.get(head)
    if entry is not None and not any(item.id == head for item in document.items):
        node, _, left = at(entry.value, _steps(rest))
        return None if left else node
    for item in document.items:
        if item.id == head:
            return _of_stage(item, rest)
    return None


def _of_stage(item: StageItem, rest: Sequence[str]) -> Node | None:
    whole: Node | None = item.options
    if rest and rest[0] in keys(BesideStage):
        whole, rest = item.get(rest[0]), rest[1:]
    if whole is None:
        return None
    node, _, left = at(whole, _steps(rest))
    return None if left else node


def _steps(parts: Sequence[str]) -> Iterator[str | int]:
    for part in parts:
        yield int(part) if part.isdigit() else part
