"""YAML text to values with places, and everything a pipeline file may not be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.specimens import registry
from rtpipe import ConfigError
from rtpipe.language.loading import load
from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode, plain
from rtpipe.language.reader import MAX_BYTES, read_file, read_text
from rtpipe.wording.diagnostics import Diagnostic, Findings, Span
from rtpipe.wording.flow import block, flow, snippet
from rtpipe.wording.scalars import typed

HERE = Path("a.yaml")


def read(text: str) -> Node:
    findings = Findings()
    node = read_text(text, HERE, findings)
    assert node is not None, findings.errors()
    assert not findings.failed, findings.errors()
    return node


def refused(text: str) -> list[Diagnostic]:
    findings = Findings()
    read_text(text, HERE, findings)
    return findings.errors()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None), ("none", "none"),
        ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"),
        ("0", 0), ("-12", -12), ("+3", 3), ("010", 10), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"),
        ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0),
        ("1.", 1.0), ("-.inf", float("-inf")), ("1e99999", "1e99999"), ("9" * 5000, "9" * 5000),
        ("9" * 30, 10**30 - 1),
        ("2026-01-01", "2026-01-01"), ("1.2.3", "1.2.3"), ("-", "-"), ("+", "+"), (".", "."),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


def test_what_is_quoted_is_text() -> None:
    assert plain(read("[\"1\", '2', !!str 3]".replace("!!str 3", "'true'"))) == ["1", "2", "true"]
    assert plain(read("a: |\n  1\nb: >\n  x\n  y\n")) == {"a": "1\n", "b": "x y\n"}


def test_everything_knows_its_place() -> None:
    root = read('a:\n  - {key: väl, b: [1, 22]}\n  - "quoted"  # why\nlong: |\n  text\n')
    assert isinstance(root, MapNode)
    items = root.get("a")
    assert isinstance(items, ListNode)
    first, second = items.items
    assert isinstance(first, MapNode)
    assert root.entries["long"].key_span == Span(HERE, 4, 1, 4)
    assert first.span == Span(HERE, 2, 5, 22)
    assert first.entries["key"].key_span == Span(HERE, 2, 6, 3)
    assert first.entries["key"].value.span == Span(HERE, 2, 11, 3)
    assert first.entries["b"].value.span == Span(HERE, 2, 19, 7)
    assert second.span == Span(HERE, 3, 5, 8)
    assert root.entries["long"].value.span == Span(HERE, 4, 7, 1)


def test_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    root = read_file(file, Findings())
    assert isinstance(root, MapNode)
    assert plain(root) == {"a": 1, "b": "x"}
    assert root.entries["b"].key_span == Span(file, 2, 1)


def test_an_anchor_may_be_used_again() -> None:
    assert plain(read("a: &x {b: 1}\nc: [*x, *x]\n")) == {"a": {"b": 1}, "c": [{"b": 1}] * 2}


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"", "E005", 1, 1),
        (b"# nothing\n", "E005", 1, 1),
        (b"\xef\xbb\xbf", "E005", 1, 1),
        (b"a: 1\nb: \xff\n", "E003", 2, 4),
        (b"\xff\xfea\x00", "E003", 1, 1),
        (b"a: 1\nb: \x00\n", "E004", 2, 4),
        (b"a: \x1b[31m\n", "E004", 1, 4),
        (b"# " + b"x" * MAX_BYTES, "E002", 1, 1),
    ],
)
def test_a_file_that_is_no_text(
    data: bytes, code: str, line: int, column: int, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(data)
    findings = Findings()
    assert read_file(file, findings) is None
    (found,) = findings.errors()
    assert (found.code, found.span) == (code, Span(file, line, column))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "no.yaml", tmp_path):
        findings = Findings()
        assert read_file(path, findings) is None
        assert [each.code for each in findings.errors()] == ["E001"]


def laughs(levels: int) -> str:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        laughs(9),
        "[" * 200_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "? " * 100_000,
        "- a\n" * 100_000,
        "[" + "a: b, " * 100_000,
        "&a " * 10_000,
        "a: &a [" + "*a, " * 1000 + "]",
        '"' + "a\\n" * 100_000,
        "a b c\n" * 100_000,
        "x: " + "9" * 500_000,
    ],
    ids=lambda text: text[:12],
)
def test_what_is_made_to_hurt_is_dealt_with_fast(text: str) -> None:
    began = time.monotonic()
    findings = Findings()
    read_text(text, HERE, findings)
    assert len(findings.errors()) <= 1
    assert time.monotonic() - began < 10.0


def test_depth_and_number_of_values_have_a_limit() -> None:
    assert [each.code for each in refused(laughs(9))] == ["E013"]
    assert [each.code for each in refused("[" * 51 + "]" * 51)] == ["E013"]
    assert plain(read("[" * 50 + "]" * 50)) != []
    assert [each.code for each in refused("[" + "1, " * 10_000 + "]")] == ["E013"]


def test_every_duplicate_is_reported() -> None:
    assert [(each.code, each.span) for each in refused("a: 1\na: 2\nb: {c: 1, c: 2}\n")] == [
        ("E008", Span(HERE, 2, 1)), ("E008", Span(HERE, 3, 11)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: [1,\nb: 2\n", 1, 4),
        ("a: {b: [1, 2}\n", 1, 8),
        ("a: 'x\nb: 1\n", 1, 4),
        ("a:\n  - b\n c: 1\n", 3, 2),
        ("- a\nb: c\n", 2, 1),
        ("a: 1\nfoo\nb: 2\n", 2, 1),
        ("a: 1\n  b: 2\n", 2, 3),
        ("a: }\n", 1, 4),
    ],
)
def test_what_is_no_yaml_is_placed_where_it_began(text: str, line: int, column: int) -> None:
    (found,) = refused(text)
    assert found.span is not None
    assert (found.code, found.span.line, found.span.column) == ("E006", line, column)


@settings(deadline=None)  # the machine is shared
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    findings = Findings()
    node = read_text(text, HERE, findings)
    assert (node is None) <= findings.failed


@settings(deadline=None)  # the machine is shared
@given(st.binary(max_size=80))
def test_any_file_is_loaded_or_refused_as_configuration(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.yaml"
        file.write_bytes(data)
        with pytest.raises(ConfigError):
            load([file], registry=registry(), env={})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.text(alphabet="a \n#:-\t", max_size=20)
    | st.sampled_from(["yes", "on", "1e3", "0o7", "010", "1_0", "12:30", "~", "null", "*a", "%Y"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@settings(deadline=None)  # the machine is shared
@given(TREES)
def test_what_is_written_is_read_again(tree: Any) -> None:
    assume(tree is not None and "<<" not in repr(tree))  # an empty file, and no YAML 1.2
    assert plain(read(block(tree))) == tree


@settings(deadline=None)  # the machine is shared
@given(st.dictionaries(st.sampled_from("abc"), SCALARS, min_size=1))
def test_a_snippet_is_one_line_of_yaml(tree: dict[str, Any]) -> None:
    text = flow(tree)
    assert "\n" not in text
    assert plain(read(text)) == tree
    assert "`" not in snippet(tree)


def test_keys_are_kept_as_written() -> None:
    assert plain(read("{1: a, true: b, 010: c, 'x y': d}")) == {
        "1": "a", "true": "b", "010": "c", "x y": "d",
    }  # fmt: skip
    node = read("x: 010")
    assert isinstance(node, MapNode)
    value = node.get("x")
    assert isinstance(value, ScalarNode)
    assert (value.value, value.raw) == (10, "010")
