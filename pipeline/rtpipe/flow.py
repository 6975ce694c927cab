"""Plain values as YAML text: one line for a help, many for `rtpipe print`."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML


def flow(value: Any, *, outer: bool = True) -> str:
    """Return `value` as YAML on one line, without backticks.

    Args:
        value: Plain dicts, lists and values.
        outer: Whether a mapping keeps its own braces.
    """
    if isinstance(value, dict) and not outer:
        return ", ".join(f"{flow(k)}: {flow(v)}" for k, v in value.items())
    text = _dumped(value, block=False).replace("\n", " ").strip().removesuffix("...").strip()
    return text.replace("`", "'")


def block(value: Any) -> str:
    """Return `value` as YAML, one line for each entry."""
    return _dumped(value, block=True)


def _dumped(value: Any, *, block: bool) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = not block
    yaml.width = 1_000_000
    yaml.allow_unicode = True
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    yaml.dump(value, out)
    return out.getvalue()
