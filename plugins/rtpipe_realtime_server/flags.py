"""Options of a model that are given one by one: `--fault NAME=VALUE`, `--limit NAME=VALUE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rtpipe import Options
from rtpipe.documents import read_document_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Model = TypeVar("Model", bound=Options)


def read_flags(
    flags: Iterable[str],
    model: type[Model],
    *,
    name: str,
    alone: Callable[[str], object] | None = None,
) -> Model:
    """Return the options that `--NAME OPTION=VALUE`, given several times, asks for.

    Args:
        flags: What was given.
        model: What they are the options of.
        name: The flag's name; messages call the options so.
        alone: Gives the value of an option that is named without one.

    Raises:
        ConfigError: There is no such option, or it does not take the value.
    """
    lines = []
    for flag in flags:
        option, given, value = flag.partition("=")
        if not given and alone is not None and option in model.model_fields:
            value = str(alone(option)).lower()
        lines.append(f"{option.strip()}: {value}")
    if not lines:
        return model()
    return read_document_text("\n".join(lines), Path(f"--{name}"), model, name=name)
