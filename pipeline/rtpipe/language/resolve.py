"""The merged document becomes the checked pipeline: references filled, everything checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.language.edges import PORT, Vertex, check_sink, connect
from rtpipe.language.holders import check_holders
from rtpipe.language.interpolate import Interpolator, check_secrets
from rtpipe.language.known_events import KnownEvents, types_here
from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode, plain
from rtpipe.language.reserved import ReservedReader
from rtpipe.language.route_reader import RouteReader
from rtpipe.language.sections import check_sections
from rtpipe.language.sink_ids import check_sink_ids
from rtpipe.language.spec import PipelineSpec, Ref
from rtpipe.language.stage_maker import StageMaker
from rtpipe.stage import Subscriber, family
from rtpipe.vocabulary import BesideStage, PipelineFile
from rtpipe.wording.diagnostics import Span
from rtpipe.wording.masking import mask

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.document import Document
    from rtpipe.language.items import StageItem
    from rtpipe.language.nodes import Entry
    from rtpipe.language.spec import RouteSpec
    from rtpipe.wording.diagnostics import Findings

_NONE: frozenset[str] = frozenset()


def resolve(
    document: Document,
    path: Path,
    *,
    registry: Registry,
    env: Mapping[str, str],
    findings: Findings,
) -> tuple[PipelineSpec, dict[str, Any]]:
    """Return the pipeline, and the document as plain values without secrets.

    Both are whole only if the findings hold no error afterwards.

    Raises:
        ConfigError: There is too much of something.

    Args:
        document: The merged files.
        path: What the pipeline is called after when it has no name.
        registry: The kinds there are.
        env: The environment.
        findings: Takes the mistakes and the secrets; has the `env_names`.
    """
    variables = document.mapping("vars")
    values = Interpolator({} if variables is None else variables.entries, env, findings)
    values.check_variables()
    _check_profiles(document, {} if variables is None else variables.entries, env, findings)
    checks = _Checks(document, path, registry, values, findings)
    spec = checks.spec()
    check_secrets(findings)
    return spec, checks.shown()


def _check_profiles(
    document: Document, variables: Mapping[str, Entry], env: Mapping[str, str], findings: Findings
) -> None:
    """Report unknown variables in every profile, chosen or not."""
    profiles = document.mapping("profiles")
    for entry in profiles.entries.values() if profiles is not None else ():
        if isinstance(entry.value, MapNode):
            own = entry.value.get("vars")
            more = own.entries if isinstance(own, MapNode) else {}
            Interpolator({**variables, **more}, env, findings).check_names(entry.value)


class _Checks:
    def __init__(
        self,
        document: Document,
        path: Path,
        registry: Registry,
        values: Interpolator,
        findings: Findings,
    ) -> None:
        self._document = document
        self._path = path
        self._registry = registry
        self._values = values
        self._findings = findings
        self._reserved = ReservedReader(findings)
        self._maker = StageMaker(registry, values, findings)

    def spec(self) -> PipelineSpec:
        document = self._document
        self._check_version()
        if not document.items:
            self._no_stages()
        vertices = [self._vertex(item) for item in document.items]
        enabled = {vertex.id for vertex in vertices if vertex.enabled}
        inputs = connect(vertices, self._findings)
        made = [self._maker.make(i, inputs[i.id]) for i in document.items if i.id in enabled]
        stages = tuple(stage for stage in made if stage is not None)
        events = KnownEvents(
            self._registry, self._findings, types_here(document.items, enabled, self._registry)
        )
        routes = self._routes(enabled, events)
        check_holders(stages, routes, self._findings)
        given = [
            (kind, node, self._registry.kinds[kind].options_type)
            for (_, kind), node in self._maker.nodes.items()
        ]
        for _, node, model in given:
            events.check_options(node, model)
        sections = self._sections()
        models = self._registry.sections
        for key, node in sections.items():
            events.check_options(node, models[key])
        of_sections = ((key, node, models[key]) for key, node in sections.items())
        check_sink_ids((*given, *of_sections), vertices, self._findings)
        said = self._reserved.read(PipelineFile, self._filled("name", "description", "fuse"))
        sections_read = check_sections(models, sections, self._findings)
        check_sink(vertices, self._findings)
        return PipelineSpec(
            name=said.name or self._path.stem,
            path=self._path,
            stages=stages,
            routes=routes,
            description=said.description or "",
            fuse=said.fuse,
            sections=sections_read,
            secrets=frozenset(self._findings.secrets) or _NONE,
            env_names=frozenset(self._findings.env_names) or _NONE,
        )

    def shown(self) -> dict[str, Any]:
        """Return the document as it was understood, for `rtpipe print`."""
        if self._findings.failed:
            return {}
        skipped = {"vars", "profiles", "stages"}
        shown = {
            key: plain(self._values.resolve(entry.value))
            for key, entry in self._document.values.items()
            if key not in skipped
        }
        sections = [key for key in shown if key in self._registry.sections]
        last = {key: shown.pop(key) for key in ("events", *sections) if key in shown}
        shown["stages"] = [self._shown_item(item) for item in self._document.items]
        shown |= last
        secrets = frozenset(self._findings.secrets)
        return {key: _masked(value, secrets) for key, value in shown.items()}

    def _filled(self, *names: str) -> MapNode:
        there = {key: entry for key, entry in self._document.values.items() if key in names}
        return self._values.resolve_map(MapNode(there, Span(self._path, 1, 1)))

    def _check_version(self) -> None:
        if self._document.get("version") is None:
            self._findings.error(
                "E020",
                "the file does not say its version",
                Span(self._path, 1, 1),
                help="begin with `version: 1`",
            )

    def _no_stages(self) -> None:
        span = self._document.stages_span or Span(self._path, 1, 1)
        if not self._findings.failed:
            self._findings.error(
                "E209",
                "the pipeline has no stages",
                span,
                help="the smallest one is `stages: [tone, speaker]`",
            )

    def _vertex(self, item: StageItem) -> Vertex:
        filled = self._maker.filled(item, "enabled", "from")
        beside = self._reserved.read(BesideStage, filled)
        kind = None
        if item.stage_type is not None and not issubclass(item.stage_type, Subscriber):
            kind = family(item.stage_type)
        self._check_owner(item)
        many = item.stage_type is not None and item.stage_type.many_inlets
        refs = None if beside.from_ is None else _refs(beside.from_, filled.get("from"))
        return Vertex(item.id, kind, many, refs, item.span, beside.enabled)

    def _check_owner(self, item: StageItem) -> None:
        """Report a kind that two plugins claim: which one is meant cannot be known."""
        for record in self._registry.records:
            if item.kind in record.duplicates:
                owner = self._registry.kinds.owner(item.kind)
                self._findings.error(
                    "E403",
                    f"two plugins have the kind `{item.kind}`: {owner.origin} and {record.origin}",
                    item.span,
                    label="which one?",
                    help="rename the kind in one of them, or remove one",
                )

    def _routes(self, enabled: set[str], events: KnownEvents) -> tuple[RouteSpec, ...]:
        node = self._document.get("events")
        if not isinstance(node, ListNode):
            return ()
        reader = RouteReader(
            self._registry,
            self._values,
            self._maker,
            self._findings,
            self._document.items,
            enabled,
            events,
        )
        return tuple(reader.read(node.items))

    def _sections(self) -> dict[str, MapNode]:
        found = ((key, self._document.mapping(key)) for key in self._registry.sections)
        return {key: self._values.resolve_map(node) for key, node in found if node is not None}

    def _shown_item(self, item: StageItem) -> Any:
        node = self._maker.nodes.get((item.id, item.kind), item.options)
        options = plain(node)
        reserved = {
            key: plain(self._values.resolve(entry.value)) for key, entry in item.reserved.items()
        }
        if item.was:
            reserved["id"] = item.id
        if not options and not reserved:
            return item.kind
        return {item.kind: options or None, **reserved}


def _refs(texts: str | tuple[str, ...], node: Node | None) -> tuple[Ref, ...]:
    """Return what `from:` names, each with its place."""
    wanted = {texts} if isinstance(texts, str) else set(texts)
    named = node.items if isinstance(node, ListNode) else (node,)
    refs: list[Ref] = []
    for each in named:
        if isinstance(each, ScalarNode) and each.value in wanted:
            id, _, port = str(each.value).partition(".")
            refs.append(Ref(id, port or PORT, each.span))
    return tuple(refs)


def _masked(value: Any, secrets: frozenset[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, list):
        return [_masked(item, secrets) for item in value]
    if isinstance(value, dict):
        return {key: _masked(inner, secrets) for key, inner in value.items()}
    return value
