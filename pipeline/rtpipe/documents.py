"""YAML beside the pipeline file: read, checked and refused as the pipeline file itself is.

For what a plugin keeps in a file of its own. Every mistake found is reported, with its place and
its remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rtpipe.errors import ConfigError
from rtpipe.language.checking import check_document
from rtpipe.language.nodes import MapNode, what
from rtpipe.language.reader import read_file, read_text
from rtpipe.stage import Options
from rtpipe.wording.diagnostics import Findings, listed

if TYPE_CHECKING:
    from pathlib import Path

    from rtpipe.language.nodes import Node

Document = TypeVar("Document", bound=Options)


def read_document(path: Path, model: type[Document], *, name: str) -> Document:
    """Return what a file holds.

    Args:
        path: A YAML file; relative paths in it start from its folder.
        model: What it is made of.
        name: What messages call it: `script`.

    Raises:
        ConfigError: With everything that is wrong.
    """
    findings = Findings()
    node = read_file(path, findings, when_empty=_keys(model))
    return _checked(node, model, name, findings)


def read_document_text(text: str, path: Path, model: type[Document], *, name: str) -> Document:
    """Return what a YAML text holds.

    Args:
        text: The text.
        path: What diagnostics call the place it comes from.
        model: What it is made of.
        name: What messages call it.

    Raises:
        ConfigError: With everything that is wrong.
    """
    findings = Findings()
    node = read_text(text, path, findings, when_empty=_keys(model))
    return _checked(node, model, name, findings)


def _checked(node: Node | None, model: type[Document], name: str, findings: Findings) -> Document:
    if node is not None and not isinstance(node, MapNode):
        findings.error(
            "E018",
            f"a {name} is a mapping, and this is {what(node)}",
            node.span,
            label="expected a mapping",
            help=_keys(model),
        )
    if isinstance(node, MapNode):
        made = check_document(model, name, node, findings)
        if isinstance(made, model) and not findings.failed:
            return made
    raise ConfigError(findings.errors())


def _keys(model: type[Options]) -> str:
    return f"it has the keys {listed(model.model_fields)}"
