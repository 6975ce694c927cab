"""One item becomes a `StageSpec`: references filled, options and reserved keys checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtpipe.language.checking import check_options, report_failure
from rtpipe.language.items import ItemReader
from rtpipe.language.nodes import MapNode, plain
from rtpipe.language.reserved import ReservedReader
from rtpipe.language.spec import Drop, Fail, StageSpec
from rtpipe.stage import Source, Subscriber
from rtpipe.vocabulary import (
    BesideFallback,
    BesideStage,
    BesideSubscriber,
    OnError,
    Restart,
    RestartPolicy,
)

if TYPE_CHECKING:
    from rtpipe.audio import AudioFormat
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.interpolate import Interpolator
    from rtpipe.language.items import StageItem
    from rtpipe.language.spec import ErrorPolicy, Ref
    from rtpipe.wording.diagnostics import Findings, Span

_HIGHEST_RATE = 768_000
_COMMON = {"format": {"s16", "s32", "flt", "fltp"}, "layout": {"mono", "stereo"}}
"""What needs no look into FFmpeg."""


class StageMaker:
    """Makes stages of items; what is wrong goes to the findings.

    Attributes:
        nodes: The options of every stage made, references filled, by (id, kind).
    """

    def __init__(self, registry: Registry, values: Interpolator, findings: Findings) -> None:
        self.nodes: dict[tuple[str, str], MapNode] = {}
        self._values = values
        self._findings = findings
        self._items = ItemReader(registry, findings)
        self._subscribers = ItemReader(registry, findings, BesideSubscriber)
        self._reserved = ReservedReader(findings)

    def make(self, item: StageItem, inputs: tuple[Ref, ...] = ()) -> StageSpec | None:
        """Return the stage that `item` describes; None if it describes none."""
        if item.stage_type is None:
            return None
        options = self._values.resolve_map(item.options)
        checked = check_options(item.stage_type, options, item.span, self._findings)
        beside = self._reserved.read(BesideStage, self.filled(item, "queue", "on_error", "label"))
        if beside.queue is not None and issubclass(item.stage_type, (Source, Subscriber)):
            self._findings.warning(
                "E119",
                f"`{item.kind}` reads no audio, so `queue` does nothing",
                item.reserved["queue"].key_span,
                help="give the stage that reads it a queue",
            )
        fallback = self._fallback(item, inputs)
        if checked is None:
            return None
        self.nodes[item.id, item.kind] = checked.node
        try:
            wanted = item.stage_type.accepts_for(checked.options)
            item.stage_type.claims(checked.options)
            item.stage_type.has_clock(checked.options)
        except Exception as error:  # noqa: BLE001 - a stranger's code
            report_failure(item.kind, error, item.span, self._findings)
            return None
        if wanted is not None:
            self._check_format(item, wanted, checked.node)
        spec = StageSpec(
            id=item.id,
            kind=item.kind,
            stage_type=item.stage_type,
            options=checked.options,
            span=item.span,
            inputs=inputs,
            queue=beside.queue,
            on_error=_policy(beside.on_error),
            fallback=fallback,
            label=beside.label,
            written=checked.node,
        )
        self._check_return(spec)
        return spec

    def filled(self, item: StageItem, *names: str) -> MapNode:
        """Return what stands beside the item's kind under some keys, references filled."""
        there = {key: entry for key, entry in item.reserved.items() if key in names}
        return self._values.resolve_map(MapNode(there, item.span))

    def _fallback(self, item: StageItem, inputs: tuple[Ref, ...]) -> StageSpec | None:
        of_events = item.stage_type is not None and issubclass(item.stage_type, Subscriber)
        other = (self._subscribers if of_events else self._items).fallback(item)
        if other is None:
            return None
        made = self.make(replace(other, id=item.id), inputs)
        said = self._reserved.read(BesideFallback, self.filled(other, "return_after_s"))
        return made and replace(made, return_after_s=said.return_after_s)

    def _check_return(self, wanted: StageSpec) -> None:
        """Report a stand-in that holds what the stage needs, and so could not be gone back from."""
        for other in wanted.chain[1:]:
            held = wanted.claims & other.claims
            if other.return_after_s is not None and held:
                self._findings.error(
                    "E117",
                    f"`{other.kind}` holds what `{wanted.kind}` needs, {min(held)}",
                    other.span,
                    label="while it stands in, nothing can return",
                    help="remove `return_after_s`, or let the fallback use another",
                )

    def _check_format(self, item: StageItem, wanted: AudioFormat, options: MapNode) -> None:
        """Report a format that no converter can give."""
        for name, value in (
            ("format", wanted.format),
            ("layout", wanted.layout),
            ("sample_rate", wanted.sample_rate),
        ):
            if value is None or _exists(name, value):
                continue
            example: Any = {"format": "s16", "layout": "stereo", "sample_rate": 48000}[name]
            self._findings.error(
                "E501",
                f"`{item.kind}` wants the {name} {value}, which no converter can give",
                _place(options, value) or item.span,
                label=f"not a {name} that FFmpeg knows",
                help=f"for example `{name}: {example}`",
            )


def _exists(name: str, value: object) -> bool:
    if name == "sample_rate":
        return isinstance(value, int) and 0 < value <= _HIGHEST_RATE
    if value in _COMMON[name]:
        return True
    import av  # noqa: PLC0415 - a check of what is common does not pay for it

    try:
        (av.AudioFormat if name == "format" else av.AudioLayout)(str(value))
    except ValueError:
        return False
    return True


def _place(options: MapNode, value: object) -> Span | None:
    for entry in options.entries.values():
        if plain(entry.value) == value:
            return entry.value.span
    return None


_FAIL, _DROP = Fail(), Drop()


def _policy(said: OnError | RestartPolicy) -> ErrorPolicy:
    match said:
        case OnError.FAIL:
            return _FAIL
        case OnError.DROP:
            return _DROP
        case OnError.RESTART:
            return Restart()
        case RestartPolicy():
            return said.restart or Restart()
