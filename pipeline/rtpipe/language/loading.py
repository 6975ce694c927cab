"""Files, overrides and the installed plugins become a checked pipeline.

`load` collects every mistake before it raises: files that are no YAML, kinds and options, edges,
events. `run` and `validate` share it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from rtpipe.catalogue.plugins import Registry, is_installed
from rtpipe.catalogue.trust import Trust
from rtpipe.errors import ConfigError, Reached
from rtpipe.language.document import Merger
from rtpipe.language.examining import examine
from rtpipe.language.files import expanded, is_module
from rtpipe.language.graph import Graph, build
from rtpipe.language.includes import Includes, plugin_names
from rtpipe.language.interpolate import check_secrets, note_secrets
from rtpipe.language.nodes import ListNode, MapNode, folder
from rtpipe.language.overrides import EXPRESSION, read_expression, read_sets
from rtpipe.language.provenance import Layer, layers_of
from rtpipe.language.reader import read_file, read_text
from rtpipe.language.resolve import resolve
from rtpipe.language.surroundings import examine_surroundings
from rtpipe.wording.diagnostics import Diagnostic, Findings, Span
from rtpipe.wording.masking import looks_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rtpipe.catalogue.records import PluginRecord
    from rtpipe.language.nodes import Node, ScalarNode
    from rtpipe.language.overrides import Override
    from rtpipe.language.spec import PipelineSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """A pipeline that may be run.

    Attributes:
        spec: The checked file.
        graph: Its stages in order, with their neighbours.
        warnings: What is odd but not wrong.
        registry: The plugins it was checked against.
        resolved: The file as plain values: merged, references filled, secrets masked.
        files: All that was read: the files, what they include, texts that `${file:…}` names.
        written: The sections that plugins added, as they stand in the files, each with its place.
        findings: The texts that were read, to quote.
        layers: What each layer says of the value that `why` names, the one that counts first.
    """

    spec: PipelineSpec
    graph: Graph
    warnings: tuple[Diagnostic, ...]
    registry: Registry
    resolved: Mapping[str, Any]
    files: frozenset[Path] = frozenset()
    written: Mapping[str, MapNode] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    layers: tuple[Layer, ...] = ()


class Choices(TypedDict, total=False):
    """What may be said beside the file.

    Attributes:
        sets: `key=value` each, on top of everything.
        profile: One of the file's profiles.
        env: The environment; None: the process's own.
        plugins_dirs: More folders with plugins.
        registry: What is installed; None: discovered. The files' own plugins are added to it.
        examine: How closely the stages examine themselves: `file`: what the file ships and gets
            wrong; `machine`: also what this machine lacks. None: not at all.
        trust: Run the code that the files bring along, whoever wrote it. Else only that of folders
            which were trusted before.
        variant: Where in the files a mapping stands whose `profile`, `vars`, `stages` and `events`
            are put on top, as a profile's are: `("tests", "cases", 0)`.
        revise: Changes the checked pipeline before its graph is built.
        why: Where a value stands whose `layers` are wanted: `("mic", "device")`.
        strict_overlays: Refuse an overlay that is a whole pipeline by itself: who gives two of them
            on a command line means two.
    """

    sets: Sequence[str]
    profile: str | None
    env: Mapping[str, str] | None
    plugins_dirs: Sequence[Path]
    registry: Registry | None
    examine: Literal["file", "machine"] | None
    trust: bool
    variant: Sequence[str | int]
    revise: Callable[[PipelineSpec], PipelineSpec]
    why: Sequence[str]
    strict_overlays: bool


def load(files: Sequence[Path], **choices: Unpack[Choices]) -> Loaded:
    """Return the pipeline that some files make together, later ones on top.

    Args:
        files: The pipeline file, then overlays.
        choices: See `Choices`.

    Raises:
        ConfigError: With everything that is wrong.
        PluginError: A plugin refuses the graph.
    """
    findings = Findings()
    trees = [read_file(path, findings, piped=True, recover=True) for path in files]
    if choices.get("strict_overlays"):
        _check_overlays(trees, findings)
    return _load(trees, findings, files[0], choices)


def from_text(text: str, *, path: Path = Path("<text>"), **choices: Unpack[Choices]) -> Loaded:
    """Return the pipeline that a YAML text holds.

    Args:
        text: A pipeline file's text.
        path: What diagnostics call it; relative paths start from its folder.
        choices: See `Choices`.

    Raises:
        ConfigError: With everything that is wrong.
        PluginError: A plugin refuses the graph.
    """
    findings = Findings()
    return _load([read_text(text, path, findings, recover=True)], findings, path, choices)


def from_expression(expression: str, **choices: Unpack[Choices]) -> Loaded:
    """Return the pipeline of an expression, `tone ! gain -6 ! blackhole`.

    Args:
        expression: Stages with exclamation marks between them; see `read_expression`.
        choices: See `Choices`.

    Raises:
        ConfigError: With everything that is wrong.
        PluginError: A plugin refuses the graph.
    """
    findings = Findings()
    return _load([read_expression(expression, findings)], findings, EXPRESSION, choices)


def add_plugins_of(files: Sequence[Path], folders: Sequence[Path], registry: Registry) -> None:
    """Load the plugins that pipeline files bring along, and those in `folders`.

    What is wrong with any of them is left for `load` to say.
    """
    findings = Findings()
    found: list[MapNode] = []
    with suppress(ConfigError):
        trees = [read_file(path, findings, piped=True) for path in files]
        found = _with_includes(trees, findings)[0]
    with suppress(ConfigError):
        _add_plugins(registry, found, folders, findings)


def _load(trees: Sequence[Node | None], findings: Findings, path: Path, choices: Choices) -> Loaded:
    files, complete = _with_includes(trees, findings)
    for file in files:
        note_secrets(file, findings)
    registry = choices.get("registry") or Registry.discover()
    if choices.get("trust") and not registry.trust.everything:
        registry.trust = Trust(everything=True)
    _add_plugins(registry, files, choices.get("plugins_dirs", ()), findings)
    overrides = read_sets(choices.get("sets", ()), findings)
    for override in overrides:
        note_secrets(override.value, findings, secret=any(map(looks_secret, override.path)))
    check_secrets(findings)
    if not complete:
        raise _failure(findings)  # half a pipeline would be full of false mistakes
    merger = Merger(registry, findings)
    layers = layers_of(
        choices.get("why", ()), merger.document, _layers(merger, files, overrides, choices)
    )
    env = choices.get("env")
    spec, shown = resolve(
        merger.document,
        path,
        registry=registry,
        env=os.environ if env is None else env,
        findings=findings,
    )
    findings.drop_doubtful()
    if "revise" in choices and not findings.failed:
        spec = choices["revise"](spec)
    graph = None if findings.failed else build(spec)
    depth = choices.get("examine")
    if depth is not None and graph is not None:
        patched = merger.document.patched_by_profiles()
        examine(spec, findings, machine=depth == "machine", patched=patched)
        examine_surroundings(graph, findings)
    if graph is None or findings.failed:
        examined = graph is not None and depth == "machine"
        raise _failure(findings, reached="environment" if examined else "graph")
    registry.check_graph(graph)
    spec = spec.without_text()
    warnings = tuple(findings.warnings())
    written = {key: merger.document.mapping(key) for key in registry.sections}
    return Loaded(
        spec,
        build(spec),
        warnings,
        registry,
        shown,
        frozenset(findings.read),
        {key: node for key, node in written.items() if node is not None},
        findings,
        tuple(layers),
    )


def _layers(
    merger: Merger, files: Sequence[MapNode], overrides: Sequence[Override], choices: Choices
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what is put on top of one another: who each is, and what does it."""
    for file in files:
        yield str(file.span.path), partial(merger.add, file)
    profile = choices.get("profile")
    if profile is not None:
        yield f"profile {profile}", partial(merger.add_profile, profile)
    yield "variant", partial(merger.add_variant, choices.get("variant", ()))
    for override in overrides:
        yield "--set", partial(merger.add_override, override)


def _check_overlays(trees: Sequence[Node | None], findings: Findings) -> None:
    """Report a file that is a whole pipeline by itself, on top of one."""
    whole = [tree for tree in trees if isinstance(tree, MapNode) and _is_whole(tree)]
    for other in whole[1:]:
        findings.error(
            "E312",
            f"{other.span.path} is a pipeline of its own, as is {whole[0].span.path}",
            other.entries["version"].key_span,
            label="an overlay has none",
            help="`rtpipe run --each` runs each file as a pipeline",
        )


def _is_whole(file: MapNode) -> bool:
    return "version" in file.entries and isinstance(file.get("stages"), ListNode)


def _with_includes(trees: Sequence[Node | None], findings: Findings) -> tuple[list[MapNode], bool]:
    """Return the files with all that they include, and whether nothing is missing."""
    includes = Includes(findings)
    found = [None if tree is None else includes.of(tree) for tree in trees]
    return [file for each in found for file in each or ()], None not in found


def _add_plugins(
    registry: Registry, files: Sequence[MapNode], folders: Sequence[Path], findings: Findings
) -> None:
    """Load the plugins beside the files, those they name, and those of `folders`."""
    beside = dict.fromkeys(file.span.path.parent for file in files)
    for place in beside:
        registry.add_beside(place)
    for place in folders:
        registry.add_folder(place)
    for place in folders:
        if not os.path.isdir(place):  # noqa: PTH112 - a name that no system takes is no folder
            findings.error("E401", f"no folder {place} with plugins")
    named: set[int] = set()
    for node in plugin_names(files, findings):
        record = _named_plugin(registry, node, findings)
        if record is not None and record.fault is not None:
            named.add(id(record))
            _report(record, findings, node.span)
    for record in registry.faulty:
        if id(record) not in named:
            _report(record, findings, None)
    for withheld in registry.trust.withheld:
        findings.warning("E404", withheld.message, help=withheld.help)


def _failure(findings: Findings, *, reached: Reached = "file") -> ConfigError:
    """Return the error of a load: what was not run is told too, since the rest may come of it."""
    errors = findings.errors()
    if all(found.code != "E404" for found in errors):
        errors += [found for found in findings.warnings() if found.code == "E404"]
    error = ConfigError(errors, reached=reached)
    error.files = frozenset(findings.read)
    return error


def _named_plugin(registry: Registry, node: ScalarNode, findings: Findings) -> PluginRecord | None:
    name = str(node.value)
    file = node.span.path
    if "/" not in name and not name.endswith(".py"):
        if is_installed(name) or registry.trust.allows(folder(node), [file], [name]):
            return registry.add_module(name)
        return None
    path = folder(node) / expanded(name)
    if is_module(path):
        allowed = registry.trust.allows(folder(node), [file, path], [name])
        return registry.add_path(path) if allowed else None
    findings.error(
        "E401",
        f"no plugin {path}",
        node.span,
        label="no such file",
        help="a path starts from the pipeline file's folder: `plugins: [plugins/tremolo.py]`",
    )
    return None


def _report(record: PluginRecord, findings: Findings, named: Span | None) -> None:
    """Report a broken plugin: an error where the file names it, else a warning."""
    fault = record.fault
    assert fault is not None
    missing = f"No module named '{record.name.split('.')[0]}'"
    if named is not None and missing in fault.message:
        findings.error(
            "E401",
            f"no plugin `{record.name}` is installed",
            named,
            label="not found",
            help=f"install it, for example `pip install {record.name.split('.')[0]}`, "
            "or name a file: `plugins: [plugins/name.py]`",
        )
        return
    code = "E403" if record.duplicates else "E402"
    place: Span | None = named
    if fault.path is not None and fault.line is not None:
        place = Span(fault.path, fault.line, 1)
        findings.add_source(fault.path, _text(fault.path))
    message = f"the plugin `{record.name}` ({record.origin}) cannot be used: {fault.message}"
    notes = () if named is None or named == place else (f"named at {named.path}:{named.line}",)
    if named is not None:
        findings.error(code, message, place, notes=notes)
    else:
        findings.warning(code, message, place, help="it was skipped; the others were loaded")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
