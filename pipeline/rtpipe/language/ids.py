"""Ids of stages and subscribers: given by `id:`, or the kind, numbered."""

from __future__ import annotations

import re
from dataclasses import replace
from sys import intern
from typing import TYPE_CHECKING

from rtpipe.language.nodes import ScalarNode
from rtpipe.vocabulary import NAME
from rtpipe.wording.diagnostics import Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtpipe.language.items import StageItem
    from rtpipe.wording.diagnostics import Findings


def with_ids(
    items: Iterable[StageItem], findings: Findings, others: Iterable[str] = ()
) -> list[StageItem]:
    """Return the items with their ids: `id:` if given, else the kind, numbered from the second.

    Args:
        items: In file order.
        findings: Takes ids that are there twice.
        others: Ids that are taken.
    """
    known = list(items)
    given: dict[int, str] = {}
    taken = set(others)
    for index, item in enumerate(known):
        entry = item.reserved.get("id")
        if entry is None:
            continue
        name = entry.value.value if isinstance(entry.value, ScalarNode) else None
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            continue  # the grammar says so
        if name in taken:
            findings.error(
                "E108",
                f"two stages have the id `{name}`",
                entry.value.span,
                label="again here",
                help=Remedy("choose another: `id: {}`", _free(name, taken, {})),
            )
        else:
            taken.add(name)
            given[index] = name
    named: list[StageItem] = []
    last: dict[str, int] = {}
    for index, item in enumerate(known):
        name = given.get(index) or _free(item.kind, taken, last)
        taken.add(name)
        named.append(replace(item, kind=intern(item.kind), id=intern(name)))
    return named


def _free(kind: str, taken: set[str], last: dict[str, int]) -> str:
    """Return the first name of a kind that is free; `last` has the number given last."""
    if kind not in taken:
        return kind
    number = last.get(kind, 1) + 1
    while f"{kind}{number}" in taken:
        number += 1
    last[kind] = number
    return f"{kind}{number}"
