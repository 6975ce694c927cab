"""`rtpipe print --why KEY`: what a value is, and who set it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from rtpipe.cli.columns import columns
from rtpipe.errors import ExitCode, RtpipeError
from rtpipe.language.nodes import plain
from rtpipe.wording.diagnostics import did_you_mean, listed
from rtpipe.wording.flow import snippet
from rtpipe.wording.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rtpipe.language.loading import Loaded

_MISSING = object()
_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value is what it is.

    Attributes:
        key: Where it stands.
        value: What it is, references filled; secrets masked.
        layers: Who says what: the place, the layer, the value as written. The first counts.
        default_of: The kind whose default it is, where nobody says anything.
    """

    key: str
    value: Any
    layers: tuple[tuple[str, str, Any], ...]
    default_of: str

    def text(self) -> str:
        """Return it for a person."""
        head = f"{self.key} is {snippet(self.value)}"
        if not self.layers:
            return f"{head}: nobody set it, so it is the default of `{self.default_of}`"
        wide = max(columns(place) for place, _, _ in self.layers)
        lines = [head]
        for number, (place, by, value) in enumerate(self.layers):
            who = "" if place.startswith(by) else f"  by {by}"
            over = "" if number == 0 else "  (overridden)"
            lines.append(f"  {place:{wide}}  {snippet(value)}{who}{over}")
        named = _VARIABLE.findall(str(self.layers[0][2]))
        lines += [f"  = note: `--why vars.{name}` says who set that" for name in named]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it for a program."""
        layers = [{"place": place, "by": by, "value": value} for place, by, value in self.layers]
        told = {"key": self.key, "value": self.value, "layers": layers}
        return {**told, "default_of": self.default_of or None}


def reason_for(key: str, loaded: Loaded) -> Reason:
    """Return why a value is what it is.

    Args:
        key: Where it stands: `mic.device`, `vars.voice`, `name`.
        loaded: The pipeline, loaded with `why`.

    Raises:
        RtpipeError: There is no such key.
    """
    layers = tuple(
        (
            f"{layer.span.path}:{layer.span.line}:{layer.span.column}",
            layer.by,
            _masked(plain(layer.value), loaded),
        )
        for layer in loaded.layers
    )
    stage, value = _looked_up(key.removeprefix("stages.").split("."), loaded)
    if value is _MISSING:
        if not layers:
            raise _unknown(key, loaded)
        value = layers[0][2]
    return Reason(key, _masked(value, loaded), layers, "" if layers else stage)


def _looked_up(path: Sequence[str], loaded: Loaded) -> tuple[str, Any]:
    """Return the kind of the stage that a path leads into, and what it leads to."""
    head, *rest = path
    for stage in loaded.spec.stages:
        if stage.id != head or not rest:
            continue
        value: Any = stage.options
        for part in rest:
            if isinstance(value, BaseModel):
                value = getattr(value, part, _MISSING)
            elif isinstance(value, dict):
                value = value.get(part, _MISSING)
            else:
                value = _MISSING
        return stage.kind, _plain(value)
    return "", _MISSING


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(each) for name, each in value}
    if isinstance(value, SecretStr):
        return MASK
    if value is _MISSING or value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return str(value)


def _masked(value: Any, loaded: Loaded) -> Any:
    if isinstance(value, str):
        return loaded.spec.masked(value)
    if isinstance(value, list):
        return [_masked(each, loaded) for each in value]
    if isinstance(value, dict):
        return {name: _masked(each, loaded) for name, each in value.items()}
    return value


def _unknown(key: str, loaded: Loaded) -> RtpipeError:
    names = list(_known(loaded.resolved, loaded))
    return RtpipeError(
        f"there is no `{key}`",
        help=did_you_mean(key, names) or f"for example {listed(names[:8])}",
        exit_code=ExitCode.USAGE,
    )


def _known(resolved: Mapping[str, Any], loaded: Loaded) -> Iterator[str]:
    for stage in loaded.spec.stages:
        for name in type(stage.options).model_fields:
            yield f"{stage.id}.{name}"
    yield from (name for name in resolved if name != "stages")
