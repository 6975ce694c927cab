"""What an editor asks of a text that is being written: its diagnostics, and the names in it.

The diagnostics are those of `rtpipe validate`, by the same path. The names are found in what can
be read: a text that is being written is seldom right.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rtpipe.catalogue.describe import describe_events, describe_stage
from rtpipe.catalogue.plugins import Registry
from rtpipe.errors import ConfigError, PluginError
from rtpipe.language.document import Document, Merger
from rtpipe.language.includes import Includes
from rtpipe.language.interpolate import note_secrets
from rtpipe.language.known_events import published_beside, published_by, types_here
from rtpipe.language.loading import from_text
from rtpipe.language.nodes import MapNode, plain
from rtpipe.language.reader import read_text
from rtpipe.wording.diagnostics import Diagnostic, Findings
from rtpipe.wording.masking import MASK, looks_secret, mask

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from rtpipe.events import Event
    from rtpipe.language.items import StageItem


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a text that is being written.

    Attributes:
        diagnostics: What `rtpipe validate` says of it, by place.
        stages: The stages of the file and of what it includes, by id, each as `rtpipe stages KIND
            --json` describes its kind; only `kind` is there where no plugin has it.
        variables: `vars` and their values, as texts; what is secret is masked.
        events: Every event that there is, as `rtpipe events --json` describes them, with `here`:
            whether something in this file publishes it.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()


def read_outline(
    text: str,
    path: str | os.PathLike[str],
    *,
    machine: bool = True,
    env: Mapping[str, str] | None = None,
) -> Outline:
    """Return what is known of a pipeline file's text, which nobody needs to have saved.

    Code that the files bring along is run only where their folder is trusted.

    Args:
        text: What would stand in the file.
        path: The file; what the text includes starts from its folder.
        machine: Whether what this machine lacks is told, too; as `validate` without
            `--no-environment`.
        env: The environment; None: the process's own.
    """
    registry = Registry.discover()
    place = Path(path)
    found = _diagnostics(text, place, registry, machine=machine, env=env)
    document, secrets = _document(text, place, registry)
    stages = {item.id: _described(item, registry) for item in document.items}
    return Outline(
        found,
        stages,
        _variables(document, secrets),
        tuple(_events(document, registry)),
    )


def _diagnostics(
    text: str, path: Path, registry: Registry, *, machine: bool, env: Mapping[str, str] | None
) -> tuple[Diagnostic, ...]:
    try:
        depth: Literal["machine", "file"] = "machine" if machine else "file"
        loaded = from_text(text, path=path, registry=registry, env=env, examine=depth)
    except ConfigError as error:
        return tuple(error.diagnostics)
    except PluginError as error:
        return (Diagnostic("E402", error.message, help=error.help),)
    return loaded.warnings


def _document(text: str, path: Path, registry: Registry) -> tuple[Document, set[str]]:
    """Return what the text and what it includes hold together, as far as it can be read."""
    findings = Findings()
    merger = Merger(registry, findings)
    with suppress(ConfigError, PluginError):  # told among the diagnostics
        root = read_text(text, path, findings, recover=True)
        files = None if root is None else Includes(findings).of(root)
        if files is None and isinstance(root, MapNode):
            files = [root]
        for file in files or ():
            note_secrets(file, findings)
            merger.add(file)
    return merger.document, findings.secrets


def _described(item: StageItem, registry: Registry) -> Mapping[str, Any]:
    if item.stage_type is None:
        return {"kind": item.kind}
    return describe_stage(item.stage_type, registry.kinds.owner(item.kind).origin)


def _variables(document: Document, secrets: set[str]) -> dict[str, str]:
    variables = document.mapping("vars")
    found: dict[str, str] = {}
    for name, entry in () if variables is None else variables.entries.items():
        value = plain(entry.value)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        found[name] = MASK if looks_secret(name) else mask(text, secrets)
    return found


def _events(document: Document, registry: Registry) -> list[Mapping[str, Any]]:
    enabled = {item.id for item in document.items}
    here = set(published_by(types_here(document.items, enabled, registry)))
    here |= {_name(event) for event in published_beside(registry)}
    with suppress(PluginError):
        return [{**each, "here": each["type"] in here} for each in describe_events(registry)]
    return []


def _name(event: type[Event] | str) -> str:
    return event if isinstance(event, str) else event.type
