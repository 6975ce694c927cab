"""One item becomes a `StageSpec`: references filled, options and reserved keys checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import av

from rtpipe.language.checking import check_options
from rtpipe.language.items import ItemReader
from rtpipe.language.nodes import MapNode, ScalarNode, plain
from rtpipe.language.reserved import ReservedReader
from rtpipe.language.spec import StageSpec
from rtpipe.stage import Source, Subscriber, family
from rtpipe.wording.diagnostics import did_you_mean, listed
from rtpipe.wording.flow import snippet
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from rtpipe.audio import AudioFormat
    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.interpolate import Interpolator
    from rtpipe.language.items import StageItem
    from rtpipe.language.nodes import Node
    from rtpipe.language.spec import Ref
    from rtpipe.wording.diagnostics import Findings, Span

_NOT_ON_A_FALLBACK = ("id", "from", "enabled", "label")
_HIGHEST_RATE = 768_000


class StageMaker:
    """Makes stages of items; what is wrong goes to the findings.

    Attributes:
        nodes: The options of every stage made, references filled, by (id, kind).
    """

    def __init__(self, registry: Registry, values: Interpolator, findings: Findings) -> None:
        self.nodes: dict[tuple[str, str], MapNode] = {}
        self._registry = registry
        self._values = values
        self._findings = findings
        self._items = ItemReader(registry, findings)
        self._reserved = ReservedReader(findings)

    def make(self, item: StageItem, inputs: tuple[Ref, ...] = ()) -> StageSpec | None:
        """Return the stage that `item` describes; None if it describes none."""
        if item.stage_type is None:
            return None
        options = self._values.resolve_map(item.options)
        checked = check_options(item.stage_type, options, item.span, self._findings)
        queue = self._reserved.queue(self._value(item, "queue"))
        if queue is not None and issubclass(item.stage_type, (Source, Subscriber)):
            self._findings.warning(
                "E119",
                f"`{item.kind}` reads no audio, so `queue` does nothing",
                item.reserved["queue"].key_span,
                help="give the stage that reads it a queue",
            )
        policy = self._reserved.policy(self._value(item, "on_error"))
        label = self._reserved.text(self._value(item, "label"), "label")
        fallback = self._fallback(item, inputs)
        if checked is None:
            return None
        self.nodes[item.id, item.kind] = checked.node
        wanted = item.stage_type.accepts_for(checked.options)
        if wanted is not None:
            self._check_format(item, wanted, checked.node)
        return StageSpec(
            id=item.id,
            kind=item.kind,
            stage_type=item.stage_type,
            options=checked.options,
            span=item.span,
            inputs=inputs,
            queue=queue,
            on_error=policy,
            fallback=fallback,
            label=label,
            written=checked.node,
        )

    def unknown_kind(self, item: StageItem, families: tuple[str, ...]) -> None:
        """Report that no plugin has the item's kind."""
        kinds = sorted(kind for name in families for kind in self._registry.of_family(name))
        owners = [
            kind
            for kind in kinds
            if item.kind in self._registry.kinds[kind].options_type.model_fields
        ]
        words = item.kind.split()
        help = did_you_mean(item.kind, kinds)
        if len(words) > 1 and words[0] in kinds:
            help = f"write `- {words[0]}: {snippet(typed(' '.join(words[1:])))}`"
        elif owners and (help is None or "`" + owners[0] not in help):
            help = f"it is an option: `- {owners[0]}: {{{item.kind}: ...}}`"
        broken = [
            f"the plugin `{record.name}` ({record.origin}) could not be loaded: {record.error}"
            for record in self._registry.faulty
        ]
        self._findings.error(
            "E101",
            f"no stage is called `{item.kind}`",
            item.span,
            label="unknown kind",
            help=help or f"there is {listed(kinds)}",
            notes=[*broken, "`rtpipe stages` lists what is installed"],
        )

    def _value(self, item: StageItem, key: str) -> Node | None:
        return self._values.optional(item.get(key))

    def _fallback(self, item: StageItem, inputs: tuple[Ref, ...]) -> StageSpec | None:
        node = item.get("fallback")
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return None
        other = self._items.item(node)
        if other is None:
            return None
        for key in _NOT_ON_A_FALLBACK:
            entry = other.reserved.get(key)
            if entry is not None:
                self._findings.error(
                    "E117",
                    f"a fallback shares the stage's `{key}`",
                    entry.key_span,
                    label="not here",
                    help=f"remove `{key}`, or put it beside `{item.kind}`",
                )
        if other.stage_type is None:
            self.unknown_kind(other, ("source", "transform", "peer", "sink"))
            return None
        assert item.stage_type is not None
        wanted, given = _shape(item.stage_type), _shape(other.stage_type)
        if wanted != given:
            self._findings.error(
                "E117",
                f"`{other.kind}` is a {family(other.stage_type)} and cannot stand in for "
                f"`{item.kind}`, a {family(item.stage_type)}",
                other.span,
                label=f"expected a {family(item.stage_type)}",
                help=f"a fallback is one of {listed(self._alike(item))}",
            )
            return None
        return self.make(replace(other, id=item.id), inputs)

    def _alike(self, item: StageItem) -> list[str]:
        assert item.stage_type is not None
        shape = _shape(item.stage_type)
        return sorted(k for k, stage in self._registry.kinds.items() if _shape(stage) == shape)

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
    try:
        if name == "format":
            av.AudioFormat(str(value))
        elif name == "layout":
            av.AudioLayout(str(value))
        else:
            return isinstance(value, int) and 0 < value <= _HIGHEST_RATE
    except ValueError:
        return False
    return True


def _place(options: MapNode, value: object) -> Span | None:
    for entry in options.entries.values():
        if plain(entry.value) == value:
            return entry.value.span
    return None


def _shape(stage_type: type[Any]) -> str:
    """Return the family, a peer counting as a transform: audio in, audio out."""
    name = family(stage_type)
    return "transform" if name == "peer" else name
