"""Edges: what `from:` means, which stages are bypassed, and every edge that cannot be."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtpipe.language.bounds import MAX_INPUTS
from rtpipe.language.graph import in_order
from rtpipe.language.line_edits import above, below, beside
from rtpipe.language.spec import Ref
from rtpipe.wording.diagnostics import Remedy, did_you_mean, listed, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rtpipe.wording.diagnostics import Findings, Span

PORT = "out"
"""The one port that stages have so far."""

_LONGEST_CIRCLE = 16
"""Stages of a loop that are named."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """What the edges of a stage depend on, whether or not its options are right.

    Attributes:
        id: As in the file.
        family: One of `rtpipe.stage.FAMILIES`; None when its kind is unknown.
        many: Whether it takes several inputs.
        refs: What `from:` says; None where it is not there.
        span: The stage's place.
        enabled: Whether it takes part.
    """

    id: str
    family: str | None
    many: bool
    refs: tuple[Ref, ...] | None
    span: Span
    enabled: bool = True

    @property
    def gives(self) -> bool:
        """Whether audio may come out of it."""
        return self.family not in {"sink", "subscriber"}


def connect(vertices: Sequence[Vertex], findings: Findings) -> dict[str, tuple[Ref, ...]]:
    """Return what each enabled stage reads; report every edge that cannot be.

    `from:` left out means the stage above. A disabled transform is bypassed: whoever reads it reads
    what it read, but nothing twice. A disabled source, sink or peer is gone.
    """
    known = {vertex.id: vertex for vertex in vertices}
    refs = {vertex.id: _refs(vertex, above, findings) for above, vertex in _with_above(vertices)}
    wrong: set[str] = set()
    for vertex in vertices:
        good = tuple(ref for ref in refs[vertex.id] if _readable(ref, vertex, known, findings))
        if len(good) < len(refs[vertex.id]):
            wrong.add(vertex.id)
        _report_twice(vertex, good, findings)
        refs[vertex.id] = good
    _report_circles(refs, known, findings)
    inputs = _bypassed(refs, known, findings)
    for vertex in vertices:
        if vertex.enabled and vertex.id not in wrong:
            _check_count(vertex, inputs[vertex.id], refs[vertex.id], known, findings)
    if _no_sink(vertices):
        return inputs  # `check_sink` says so
    read = {ref.id for found in inputs.values() for ref in found}
    for vertex in vertices:
        if vertex.enabled and vertex.family in {"source", "transform"} and vertex.id not in read:
            findings.warning(
                "E208",
                f"nobody reads `{vertex.id}`",
                vertex.span,
                label="its audio goes nowhere",
                help="let a sink read it, `- blackhole` for instance, or remove it",
            )
    return inputs


def check_sink(vertices: Sequence[Vertex], findings: Findings) -> None:
    """Report that nothing takes the audio, unless another mistake may be why."""
    there = [vertex for vertex in vertices if vertex.enabled]
    if there and _no_sink(vertices) and not findings.failed:
        findings.error(
            "E211",
            "this pipeline has no sink: nobody takes its audio",
            there[-1].span,
            label="its audio goes nowhere",
            help=below(
                there[-1].span,
                "speaker",
                "put a sink below it, `{}`, or `- blackhole` if nobody is to hear it",
                findings,
            ),
        )


def _no_sink(vertices: Sequence[Vertex]) -> bool:
    """Whether nothing takes audio for good; a call does."""
    return all(vertex.family in {"source", "transform"} for vertex in vertices if vertex.enabled)


def _with_above(vertices: Sequence[Vertex]) -> Iterable[tuple[Vertex | None, Vertex]]:
    return zip([None, *vertices], vertices, strict=False)


def _refs(vertex: Vertex, above: Vertex | None, findings: Findings) -> tuple[Ref, ...]:
    if vertex.family == "source":
        if vertex.refs:
            findings.error(
                "E206",
                f"`{vertex.id}` is a source: it reads nothing",
                vertex.refs[0].span,
                label="no `from` here",
                help=f"remove `from`; whoever is to hear it says `from: {vertex.id}`",
            )
        return ()
    if vertex.refs is not None:
        return vertex.refs
    if above is None or vertex.family is None:
        return ()
    return (Ref(above.id, PORT, vertex.span),)


def _readable(ref: Ref, vertex: Vertex, known: Mapping[str, Vertex], findings: Findings) -> bool:
    target = known.get(ref.id)
    if target is None and suggest(ref.id, (id for id, v in known.items() if v.family is None)):
        return False  # a kind that is misspelt, or this: that was reported
    if target is None:
        others = [id for id, other in known.items() if id != vertex.id and other.gives]
        findings.error(
            "E201",
            f"`{vertex.id}` reads `{ref.id}`, which there is not",
            ref.span,
            label="unknown id",
            help=_several(ref.id, others)
            or did_you_mean(ref.id, others)
            or f"audio comes out of {listed(others)}",
        )
        return False
    if ref.port != PORT:
        findings.error(
            "E205",
            f"`{ref.id}` has no port `{ref.port}`",
            ref.span,
            label="unknown port",
            help=Remedy("write `from: {}`", ref.id),
        )
        return False
    if not target.gives:
        earlier = _earlier(vertex, known)
        wrote = vertex.refs is not None
        findings.error(
            "E207",
            f"`{vertex.id}` reads `{ref.id}`, a {target.family} that gives no audio",
            ref.span,
            label="nothing comes out of it" if wrote else f"reads the stage above, `{ref.id}`",
            help=_source_help(vertex, earlier[-1:], findings)
            if not wrote
            else f"say what it reads: `from: {earlier[-1]}`"
            if earlier
            else "a source comes first: `- tone`",
        )
        return False
    return True


def _several(text: str, ids: Sequence[str]) -> Remedy | None:
    """Return the help for a list without its brackets: `from: mic, realtime`."""
    parts = re.split(r"[,\s]+", text.strip())
    named = ", ".join(parts)
    return Remedy("write a list: `from: {}`", f"[{named}]") if set(parts) <= set(ids) else None


def _earlier(vertex: Vertex, known: Mapping[str, Vertex]) -> list[str]:
    """Return the ids of what gives audio and stands above a stage: to read it makes no circle.

    Unless it reads, by a `from` of its own, something below.
    """
    found: list[str] = []
    for id, other in known.items():
        if id == vertex.id:
            break
        if other.gives and other.enabled and (other.family == "source" or other.refs is None):
            found.append(id)
    return found


def _report_twice(vertex: Vertex, refs: tuple[Ref, ...], findings: Findings) -> None:
    seen: set[str] = set()
    once = ", ".join(dict.fromkeys(ref.id for ref in refs))
    for ref in refs:
        if ref.id in seen:
            findings.error(
                "E210",
                f"`{vertex.id}` reads `{ref.id}` twice",
                ref.span,
                label="again here",
                help=f"name it once: `from: [{once}]`",
            )
        seen.add(ref.id)


def _bypassed(
    refs: Mapping[str, tuple[Ref, ...]], known: Mapping[str, Vertex], findings: Findings
) -> dict[str, tuple[Ref, ...]]:
    """Return what each enabled stage reads once the disabled ones are out of the way."""
    found: dict[str, tuple[Ref, ...]] = {}
    for id in in_order({id: [ref.id for ref in each] for id, each in refs.items()}):
        reads: list[Ref] = []
        for ref in refs[id]:
            target = known[ref.id]
            if target.enabled:
                reads.append(ref)
            elif target.family == "transform":
                reads += (replace(behind, span=ref.span) for behind in found.get(ref.id, ()))
        if len(reads) > MAX_INPUTS:
            findings.error(
                "E013",
                f"`{id}` reads {len(reads)} stages; {MAX_INPUTS} are the most",
                known[id].span,
                label="too many inputs",
                help="mix them in groups first: `- mix: {}`",
            )
            reads = []
        found[id] = tuple({ref.id: ref for ref in reads}.values())
    return {id: reads for id, reads in found.items() if known[id].enabled}


def _check_count(
    vertex: Vertex,
    inputs: tuple[Ref, ...],
    refs: tuple[Ref, ...],
    known: Mapping[str, Vertex],
    findings: Findings,
) -> None:
    if vertex.family is None or vertex.family in {"source", "subscriber"}:
        return
    if not inputs:
        gone = [ref.id for ref in refs if not known[ref.id].enabled]
        _report_no_input(vertex, gone, known, findings)
    elif len(inputs) > 1 and not vertex.many:
        findings.error(
            "E204",
            f"`{vertex.id}` takes one input and is given {len(inputs)}",
            inputs[1].span,
            label="one too many",
            help=f"mix them first: `- mix: {{}}` with `from: [{', '.join(r.id for r in inputs)}]`",
        )


def _report_no_input(
    vertex: Vertex, gone: list[str], known: Mapping[str, Vertex], findings: Findings
) -> None:
    if gone:
        message = f"`{vertex.id}` has no input: `{gone[0]}` is disabled"
    else:
        message = f"`{vertex.id}` has no input"
    givers = _earlier(vertex, known) or [
        id for id, other in known.items() if other.family == "source" and other.enabled
    ]
    findings.error(
        "E203",
        message,
        vertex.span,
        label=f"a {vertex.family} reads something",
        help=_source_help(vertex, givers[:1], findings),
    )


def _source_help(vertex: Vertex, sources: Sequence[str], findings: Findings) -> str:
    """Return the help to let a stage read the one of `sources`; a new one if there is none."""
    if not sources:
        return above(vertex.span, "tone", "put a source above it: `{}`", findings)
    key = f"from: {sources[0]}"
    if vertex.refs is not None:
        return f"say what it reads: `{key}`"
    return beside(vertex.span, key, "say what it reads: `{}`", findings)


def _report_circles(
    refs: Mapping[str, tuple[Ref, ...]], known: Mapping[str, Vertex], findings: Findings
) -> None:
    """Report each circle once."""
    done: set[str] = set()
    for start in refs:
        if start in done:
            continue
        taken: list[tuple[str, Ref]] = []
        trail = [(start, iter(refs[start]))]
        depths = {start: 0}
        while trail:
            id, rest = trail[-1]
            ref = next(rest, None)
            if ref is None:
                done.add(id)
                del depths[id]
                trail.pop()
                if taken:
                    taken.pop()
            elif ref.id in depths:
                _report_circle([*taken[depths[ref.id] :], (id, ref)], known, findings)
            elif ref.id not in done:
                taken.append((id, ref))
                depths[ref.id] = len(trail)
                trail.append((ref.id, iter(refs[ref.id])))


def _report_circle(
    edges: Sequence[tuple[str, Ref]], known: Mapping[str, Vertex], findings: Findings
) -> None:
    """Report a circle at a `from` that somebody wrote, rather than at one left out."""
    written = [edge for edge in edges if known[edge[0]].refs is not None]
    id, ref = written[0] if written else edges[-1]
    circle = [each for each, _ in edges]
    sources = [each for each, vertex in known.items() if vertex.family == "source"]
    start = circle.index(id)
    around = [*circle[start:], *circle[:start], id]
    if len(around) > _LONGEST_CIRCLE:
        around = [*around[: _LONGEST_CIRCLE // 2], "…", *around[-_LONGEST_CIRCLE // 2 :]]
    findings.error(
        "E202",
        f"a loop: {' -> '.join(reversed(around))}",
        ref.span,
        label=f"`{id}` would hear itself",
        help=f"read something before the loop: `from: {sources[0]}`"
        if sources
        else "begin with a source, and read that: `- tone`",
    )
