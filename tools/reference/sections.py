"""The page about sections: the top-level keys of a file that plugins add."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from rtpipe.catalogue.describe import describe_options
from tools.reference.markdown import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.catalogue.plugins import Registry

_MAIN = " \\*"
"""Marks the option that a bare value fills."""


def sections_page(registry: Registry) -> Iterator[str]:
    """Yield the paragraphs about every section."""
    yield "# Sections"
    yield (
        "What can stand at the top of a file beside what [every file](pipeline-file.md) may hold: "
        "each is read by a plugin. An option marked with \\* is the one that a bare value fills: "
        "`control: 8080`."
    )
    for key, model in sorted(registry.sections.items()):
        yield f"## {key}"
        yield inspect.getdoc(model) or ""
        yield table(
            ("Option", "Takes", "Default", ""),
            [
                (
                    f"`{option['name']}`{_MAIN if option['name'] == model.main else ''}",
                    option["type"],
                    "required" if option["required"] else f"`{option['default']}`",
                    option["description"],
                )
                for option in describe_options(model)
            ],
        )
