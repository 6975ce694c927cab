"""Values that fit an option's range and hardly its unit: 0.4 ms, a sample rate of 48 Hz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError

from rtpipe.catalogue import fields
from rtpipe.language.nodes import ListNode, MapNode, ScalarNode, unresolved
from rtpipe.wording.diagnostics import Remedy
from rtpipe.wording.flow import snippet

if TYPE_CHECKING:
    from rtpipe.language.nodes import Node
    from rtpipe.wording.diagnostics import Findings

_KILO = {"sample_rate": "Hz", "bitrate": "bit/s"}
_RATES: dict[float, int] = {11: 11_025, 22: 22_050, 44: 44_100, 88: 88_200}
"""What people call the multiples of 11025 Hz (kHz)."""
_SHORT = frozenset({"attack_ms", "ramp_ms"})
"""Milliseconds of which a fraction is something."""
_SHORT_MS = 0.1
_WAITS = frozenset({
    "backoff_s", "before_s", "connect_timeout_s", "initial_s", "keep_alive_s", "latest_s", "max_s",
    "timeout_s",
})  # fmt: skip
"""Seconds that are waited; a recording may well last longer than an hour."""
_HOUR_S = 3600


class Meant(NamedTuple):
    """What a value out of proportion probably is.

    Attributes:
        value: The same in the option's unit.
        unit: The option's.
        written: What was written, in the unit that was probably meant: `0.4 s`.
        why: What is wrong with it as it stands.
    """

    value: float
    unit: str
    written: str
    why: str


def meant(name: str, value: object, wanted: Any) -> Meant | None:
    """Return what `value` probably is where it is out of proportion for its option.

    Args:
        name: The option.
        value: What it is given.
        wanted: What it takes; nothing is returned that it does not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    guess = None
    if name.endswith("_ms") and 0 < value < (_SHORT_MS if name in _SHORT else 1):
        guess = Meant(value * 1000, "milliseconds", f"{value:g} s", "next to nothing")
    elif name in _KILO and 0 < value < 1000:
        unit = _KILO[name]
        rounded = _RATES.get(value, value * 1000) if name == "sample_rate" else value * 1000
        guess = Meant(rounded, unit, f"{value:g} k{unit}", "too little for any sound")
    elif name in _WAITS and value > _HOUR_S:
        guess = Meant(value / 1000, "seconds", f"{value:g} ms", "more than an hour")
    if guess is None:
        return None
    rounded = round(guess.value, 6)
    guess = guess._replace(value=int(rounded) if rounded == int(rounded) else rounded)
    try:
        TypeAdapter(wanted).validate_python(guess.value)
    except ValidationError:
        return None
    return guess


def in_another_unit(name: str, value: object, wanted: Any) -> Remedy | None:
    """Return the help to write in the option's unit what was written in another; see `meant`."""
    found = meant(name, value, wanted)
    if found is None:
        return None
    return Remedy(f"write `{{}}` if {found.written} is meant", snippet(found.value))


def check_proportions(kind: str, node: Node, wanted: Any, findings: Findings) -> None:
    """Report the values below `node` that are out of proportion.

    Args:
        kind: What a message calls the whole.
        node: Options that hold.
        wanted: Their model.
        findings: Takes what is found.
    """
    if isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            check_proportions(kind, item, fields.inside(wanted, index), findings)
    if not isinstance(node, MapNode):
        return
    for key, entry in node.entries.items():
        below = _inside(wanted, key)
        if below is None:
            continue
        value = entry.value
        if not isinstance(value, ScalarNode):
            check_proportions(kind, value, below, findings)
        elif not unresolved(value) and (found := meant(key, value.value, below)) is not None:
            help = in_another_unit(key, value.value, below)
            findings.warning(
                "E121",
                f"`{key}` of `{kind}` is in {found.unit}, and {value.value:g} is {found.why}",
                value.span,
                label=found.written,
                help=str(help) if "${" in value.raw else help,
            )


def _inside(wanted: Any, key: str) -> Any:
    """Return what an option takes; that of a union is one of whichever model has it."""
    found = fields.inside(wanted, key)
    for mark in () if found is not None else fields.marks(wanted):
        if isinstance(mark, type) and issubclass(mark, BaseModel):
            found = fields.inside(mark, key) if found is None else found
    return found
