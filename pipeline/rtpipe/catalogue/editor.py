"""What an editor finds beside a pipeline file: the schema that its first line names, settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rtpipe.catalogue.plugins import Registry
from rtpipe.catalogue.schema import make_schema
from rtpipe.catalogue.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_FILE = "rtpipe.schema.json"
MODELINE = f"# yaml-language-server: $schema=./{SCHEMA_FILE}"
"""The first line of a pipeline file: where an editor finds its schema."""

_SETTINGS: dict[str, Any] = {
    "yaml.completion": True,
    "yaml.hover": True,
    "yaml.validate": True,
    "[yaml]": {
        "editor.insertSpaces": True,
        "editor.tabSize": 2,
        "editor.quickSuggestions": {"other": True, "comments": False, "strings": True},
    },
}
_EXTENSIONS = {"recommendations": ["redhat.vscode-yaml"]}


def write_editor_files(
    folder: Path, *, trust: bool = False, registry: Registry | None = None
) -> list[Path]:
    """Write what an editor needs to know pipeline files in a folder; return what was written.

    `rtpipe.schema.json`, which `MODELINE` names, is written anew. `.vscode/settings.json` and
    `.vscode/extensions.json` are somebody's own once they are there: they stay as they are.

    Args:
        folder: Where the pipeline files are; it is made if need be.
        trust: Run the code in the folder's `plugins/`, so that the schema knows its stages, though
            nobody trusted the folder before.
        registry: The plugins that the schema knows; None: those installed and those of the folder.

    Raises:
        OSError: A file cannot be written.
    """
    settings = folder / ".vscode"
    settings.mkdir(parents=True, exist_ok=True)
    schema = folder / SCHEMA_FILE
    schema.write_text(schema_text(registry or _registry(folder, trust=trust)), "utf-8")
    written = [schema]
    for name, value in (("settings.json", _SETTINGS), ("extensions.json", _EXTENSIONS)):
        if not (settings / name).exists():
            (settings / name).write_text(f"{json.dumps(value, indent=2)}\n", "utf-8")
            written.append(settings / name)
    return written


def _registry(folder: Path, *, trust: bool) -> Registry:
    registry = Registry.discover()
    if trust:
        registry.trust = Trust(everything=True)
    registry.add_beside(folder)
    return registry


def schema_text(registry: Registry) -> str:
    """Return the schema as the text of its file, a line for each definition.

    It says which plugins were not run.
    """
    missing = "; ".join(withheld.message for withheld in registry.trust.withheld)
    schema: dict[str, Any] = make_schema(registry) | ({"$comment": missing} if missing else {})
    definitions: dict[str, Any] = schema.pop("$defs")
    lines = [f'  "{name}": {_compact(each)}' for name, each in definitions.items()]
    inside = ",\n".join(lines)
    rest = _compact(schema).removesuffix("}")
    return f'{rest},\n "$defs": {{\n{inside}\n}}}}\n'


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
