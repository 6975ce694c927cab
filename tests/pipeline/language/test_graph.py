"""Edges: order, bypasses, loops."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.specimens import stages, understood
from rtpipe.language.edges import Vertex, connect
from rtpipe.language.graph import in_order
from rtpipe.language.spec import Ref
from rtpipe.wording.diagnostics import Findings, Span


def vertex(
    id: str, family: str | None, *reads: str, many: bool = True, enabled: bool = True
) -> Vertex:
    span = Span(Path("a.yaml"), 1, 1)
    refs = tuple(Ref(name, "out", span) for name in reads) if reads else None
    return Vertex(id, family, many, refs, span, enabled)


def connected(*vertices: Vertex) -> dict[str, list[str]]:
    findings = Findings()
    inputs = connect(vertices, findings)
    assert not findings.failed, findings.errors()
    return {id: [ref.id for ref in refs] for id, refs in inputs.items()}


def codes(*vertices: Vertex) -> list[str]:
    findings = Findings()
    connect(vertices, findings)
    return [each.code for each in findings.errors()]


def test_a_stage_may_read_one_that_stands_below_it() -> None:
    loaded = understood(
        stages("  - blackhole:\n    from: gain\n  - tone\n  - gain: 3\n  - vad\n  - blackhole\n")
    )
    assert list(loaded.graph.nodes) == ["tone", "gain", "blackhole", "vad", "blackhole2"]
    assert loaded.graph.nodes["gain"].outputs == ("blackhole", "vad")


def test_a_chain_of_disabled_transforms_is_bypassed_as_a_whole() -> None:
    assert connected(
        vertex("mic", "source"),
        vertex("a", "transform", enabled=False),
        vertex("b", "transform", enabled=False),
        vertex("out", "sink"),
    ) == {"mic": [], "out": ["mic"]}


def test_a_disabled_transform_with_several_inputs_hands_all_of_them_on() -> None:
    mics = vertex("a", "source"), vertex("b", "source")
    mix = vertex("mix", "transform", "a", "b", enabled=False)
    assert connected(*mics, mix, vertex("out", "sink"))["out"] == ["a", "b"]
    assert codes(*mics, mix, vertex("out", "sink", many=False)) == ["E204"]


def test_an_unknown_kind_makes_no_second_mistake() -> None:
    assert codes(vertex("mci", None), vertex("gain", "transform"), vertex("o", "sink")) == []
    assert codes(vertex("gian", None), vertex("o", "sink", "gian")) == []


def test_an_empty_from_is_no_input() -> None:
    span = Span(Path("a.yaml"), 1, 1)
    nothing = Vertex("out", "sink", many=True, refs=(), span=span)
    assert codes(vertex("mic", "source"), nothing) == ["E203"]


def test_two_loops_are_two_mistakes_and_a_shared_tail_is_none() -> None:
    mic = vertex("mic", "source")
    assert codes(
        mic,
        vertex("a", "transform", "b"), vertex("b", "transform", "a"),
        vertex("c", "transform", "c", "a"),
    ) == ["E202", "E202"]  # fmt: skip
    diamond = [vertex("x", "transform", "mic"), vertex("y", "transform", "mic")]
    assert codes(mic, *diamond, vertex("z", "sink", "x", "y")) == []


def test_a_stage_is_read_once() -> None:
    assert codes(vertex("mic", "source"), vertex("mix", "sink", "mic", "mic")) == ["E210"]


def test_disabled_stages_cannot_multiply_what_is_read() -> None:
    mixes = [
        vertex(f"m{n}", "transform", f"m{n - 1}", "mic" if n % 2 else "tone", enabled=False)
        for n in range(1, 3000)
    ]
    ends = vertex("m0", "transform", "mic"), vertex("out", "sink")
    sources = vertex("mic", "source"), vertex("tone", "source")
    assert connected(*sources, ends[0], *mixes, ends[1])["out"] == ["m0", "mic", "tone"]


EDGES = st.dictionaries(
    st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=10
)


@settings(deadline=None)  # the machine is shared
@given(EDGES, st.randoms(use_true_random=False))
def test_every_stage_comes_after_all_it_reads(edges: dict[int, list[int]], random: object) -> None:
    acyclic = {str(k): [str(v) for v in vs if v < k and v in edges] for k, vs in edges.items()}
    order = in_order(acyclic)
    assert sorted(order) == sorted(acyclic)
    for id, reads in acyclic.items():
        assert all(order.index(other) < order.index(id) for other in reads)


@settings(deadline=None)  # the machine is shared
@given(st.permutations("abcdef"))
def test_ties_keep_the_order_of_the_file(ids: list[str]) -> None:
    assert in_order(dict.fromkeys(ids, ())) == ids


@settings(deadline=None)  # the machine is shared
@given(EDGES)
def test_a_loop_is_found_exactly_where_there_is_one(edges: dict[int, list[int]]) -> None:
    graph = {k: [v for v in vs if v in edges] for k, vs in edges.items()}
    source = vertex("mic", "source")
    vertices = [
        vertex(f"s{k}", "transform", "mic", *(f"s{v}" for v in vs)) for k, vs in graph.items()
    ]
    assert ("E202" in codes(source, *vertices)) == any(reaches(graph, k, k) for k in graph)


def reaches(graph: dict[int, list[int]], start: int, goal: int) -> bool:
    seen: set[int] = set()
    waiting = list(graph[start])
    while waiting:
        here = waiting.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            waiting += graph[here]
    return False
