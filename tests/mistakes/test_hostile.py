"""Texts that nobody means well with: read in no time, or refused with a place and a remedy."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import field_validator

from helpers import hostile
from helpers.hostile import growths, judge, measured, shown, small
from pipeline.language.pipeline_files import whole_files
from rtpipe import ConfigError, Options, Transform, hookimpl
from rtpipe.catalogue.explain import pages
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli.root import cli
from rtpipe.documents import read_document
from rtpipe.language import bounds
from rtpipe.language.bounds import MAX_BYTES, MAX_FILES, MAX_SET, MAX_SETS
from rtpipe.language.known_events import overlap
from rtpipe.language.loading import from_expression, from_text, load
from rtpipe.wording.diagnostics import MOST_FOUND, Diagnostic, Findings, suggest
from rtpipe.wording.flow import block
from rtpipe.wording.masking import mask
from rtpipe.wording.rendering import render

REGISTRY = Registry.discover()
TESTS = Path(hostile.__file__).parents[1]
_TELL_BOUNDS = {"E002", "E013", "E115", "E116"}
SMALLEST = "version: 1\nstages: [tone, blackhole]\n"


def refused(text: str, **choices: Any) -> list[Diagnostic]:
    with pytest.raises(ConfigError) as caught:
        from_text(text, registry=REGISTRY, env={}, **choices)
    return list(caught.value.diagnostics)


@contextmanager
def at_once() -> Iterator[None]:
    """Interrupt what would wait for ever."""

    def interrupt(number: int, frame: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(30)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.randoms(use_true_random=False))
def test_whatever_the_text_it_is_read_or_refused(rng: random.Random) -> None:
    judge(small(rng), REGISTRY, examine="machine")


@settings(max_examples=100)
@given(st.text(st.characters(exclude_categories=[]), max_size=200))
def test_any_characters(text: str) -> None:
    judge(text, REGISTRY)
    judge(SMALLEST + f"name: {json.dumps(text)}\n", REGISTRY)


@pytest.mark.slow
@settings(max_examples=100)
@given(whole_files(), st.sampled_from(hostile.VALUES), st.data())
def test_whatever_stands_in_a_file_of_the_grammar(
    written: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    written[data.draw(st.sampled_from([*written, *hostile.KEYS]))] = value
    judge(block(written), REGISTRY)


@pytest.mark.slow
@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from([*hostile.KEYS, "gain.gain_db", "vars.x", "", "."]),
                       st.sampled_from(hostile.SCALARS)), max_size=4),
    st.text(st.sampled_from("tone!gain {}[]'\"-6=\\:,$"), max_size=40),
)  # fmt: skip
def test_whatever_the_command_line_says(sets: list[tuple[str, str]], expression: str) -> None:
    texts = [f"{key}={value}" for key, value in sets]
    with suppress(ConfigError):
        from_text(SMALLEST, registry=REGISTRY, sets=texts, env={})
    with suppress(ConfigError):
        from_expression(expression, registry=REGISTRY, env={})


@pytest.mark.parametrize(
    "name",
    [
        "doubling",
        "a chain of variables",
        "doubling aliases",
        "aliases of a long text",
        "keys again",
    ],
)
def test_what_grows_is_refused_while_it_is_small(name: str) -> None:
    tracemalloc.start()
    try:
        assert judge(growths()[name], REGISTRY) is None
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_ten_thousand_hostile_files_and_what_grows() -> None:
    """A bound on a hang, not on a busy machine: they take a tenth of it."""
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "helpers.hostile"]
    runs = [
        subprocess.Popen(
            [*command, *seeds], stdout=subprocess.PIPE, text=True, env=environment, cwd=TESTS
        )
        for seeds in (("0", "0"), ("0", "10000"))
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    for worst in map(json.loads, said):
        assert worst["read"] > 5, worst
        assert worst["cpu_s"] < 2, worst
        assert worst["peak_mb"] < 150, worst  # 106 on a quiet machine, of texts of half a MB


@pytest.mark.slow
def test_print_and_graph_take_the_same_texts(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    texts = [small(random.Random(seed)) for seed in range(8)]
    texts += [growths()[name] for name in ("doubling", "depth", "unknown kinds", "escapes")]
    for text in [*texts, SMALLEST]:
        file.write_text(text, "utf-8", errors="surrogatepass")
        said = shown(file, "validate --format json", "print", "graph")
    assert "tone" in said[1]


def test_what_is_much_and_read_is_printed_and_drawn(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(f"version: 1\nstages: [tone{', gain' * 300}, blackhole]\n")
    printed, drawn = shown(file, "print", "graph")
    assert printed.count("gain") == 300
    assert "gain300 " in drawn


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("x\r- \x07", ["E004"]),  # a line that ends as on old Macs: the caret stood in no line
        ('a: "\\ud800"\n', ["E023"]),
        ('"\\udc00x": 1\n', ["E023"]),
        ("version: 1\nstages: [tone, blackhole]\nname: '${file:~nobody_there/x}'\n", ["E304"]),
        ("version: 1\nstages: [{file: ~nobody_there/x.wav}, blackhole]\n", []),
        (f"version: 1\ninclude: {'a' * 300}\nstages: [tone, blackhole]\n", ["E307"]),
        (f"version: 1\nplugins: {'a' * 300}.py\nstages: [tone, blackhole]\n", ["E401"]),
        ("version: 1\nplugins: ~nobody_there/a.py\nstages: [tone, blackhole]\n", ["E401"]),
    ],
)  # fmt: skip
def test_what_once_raised(text: str, codes: list[str]) -> None:
    judge(text, REGISTRY)
    if codes:
        assert [each.code for each in refused(text)] == codes


class StubbornOptions(Options):
    value: int = 0

    @field_validator("value")
    @classmethod
    def _divided(cls, value: int) -> int:
        return 6 // value


class Stubborn(Transform[StubbornOptions]):
    """Fails when it is asked about what it was given."""

    kind = "stubborn"

    @classmethod
    def claims(cls, options: StubbornOptions) -> str:
        return ("", "a", "b")[options.value]


class Strangers:
    @hookimpl
    def rtpipe_stages(self) -> list[type[Stubborn]]:
        return [Stubborn]


@pytest.mark.parametrize(("value", "said"), [(0, "ZeroDivisionError"), (1, "IndexError")])
def test_a_kind_that_raises_when_it_is_asked_is_named(value: int, said: str) -> None:
    registry = Registry.discover()
    registry.register(Strangers())
    text = f"version: 1\nstages:\n  - tone\n  - stubborn: {{value: {value}}}\n  - blackhole\n"
    with pytest.raises(ConfigError) as caught:
        from_text(text, registry=registry)
    (found,) = caught.value.diagnostics
    assert (found.code, found.span and found.span.line) == ("E402", 4)
    assert said in found.message


def test_two_halves_are_one_character() -> None:
    text = 'version: 1\nname: "\\ud83d\\ude00"\nstages: [tone, blackhole]\n'
    assert from_text(text, registry=REGISTRY).spec.name == "\U0001f600"


@pytest.mark.parametrize("sort", ["fifo", "device", "folder"])
def test_what_is_no_regular_file_is_not_waited_for(sort: str, tmp_path: Path) -> None:
    odd = tmp_path / "odd.yaml"
    if sort == "fifo":
        os.mkfifo(odd)
    elif sort == "folder":
        odd.mkdir()
    else:
        odd.symlink_to("/dev/zero")
    file, texts = (
        tmp_path / "a.yaml",
        {"E304": "name: ${file:odd.yaml}", "E307": "include: odd.yaml"},
    )
    with at_once():
        for code, line in texts.items():
            file.write_text(SMALLEST + line)
            with pytest.raises(ConfigError) as caught:
                load([file], registry=REGISTRY)
            (found,) = caught.value.diagnostics
            assert (found.code, found.span and found.span.line) == (code, 3)
            assert found.help
        with pytest.raises(ConfigError, match="not a file"):
            load([odd], registry=REGISTRY)
        with pytest.raises(ConfigError, match="not a file"):
            read_document(odd, Options, name="script")
        file.write_text(SMALLEST)
        result = CliRunner().invoke(cli, ["validate", str(file), "--env-file", str(odd)])
        assert (result.exit_code, "E311" in result.output) == (78, True)


def test_a_fifo_is_no_plugin(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    os.mkfifo(tmp_path / "plugins" / "beside.py")
    os.mkfifo(tmp_path / "named.py")
    file = tmp_path / "a.yaml"
    file.write_text(SMALLEST + "plugins: named.py\n")
    with at_once(), pytest.raises(ConfigError) as caught:
        load([file])
    assert [each.code for each in caught.value.diagnostics] == ["E401"]


def test_a_pipe_of_the_shells_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALLEST)
    validate = f"{shlex.quote(sys.executable)} -m rtpipe validate"
    command = f"cat a.yaml | {validate} /dev/stdin && {validate} <(cat a.yaml)"
    result = subprocess.run(["bash", "-c", command], check=False, cwd=tmp_path, capture_output=True)
    assert (result.returncode, result.stdout.count(b"no problems")) == (0, 2), result.stderr


def test_standard_input_that_never_ends() -> None:
    with Path("/dev/zero").open("rb") as endless:
        result = CliRunner().invoke(cli, ["validate", "-"], input=endless.read(MAX_BYTES * 2))
    assert (result.exit_code, "E002" in result.output) == (78, True)


def test_an_environment_that_no_process_can_have(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALLEST)
    (tmp_path / ".env").write_bytes(b"A=" + b" " * 100_000 + b"x\nB=a\0b\n")
    result = CliRunner().invoke(
        cli, ["validate", str(tmp_path / "a.yaml"), "--env-file", str(tmp_path / ".env")]
    )
    assert (result.exit_code, "line 2" in result.output) == (78, True)


def test_includes_without_end(tmp_path: Path) -> None:
    names = [f"p{number}.yaml" for number in range(MAX_FILES + 5)]
    for name in names:
        (tmp_path / name).write_text("vars: {a: 1}\n")
    for number in range(30):
        text = "include: [next.yaml, next.yaml]\n".replace("next", f"q{number + 1}")
        (tmp_path / f"q{number}.yaml").write_text(text)
    (tmp_path / "q30.yaml").write_text("vars: {a: 1}\n")
    (tmp_path / "x.yaml").write_text("include: y.yaml\n")
    (tmp_path / "y.yaml").write_text("include: x.yaml\n")
    file = tmp_path / "a.yaml"
    for include, code in ((str(names), "E013"), ("q0.yaml", "E013"), ("x.yaml", "E308")):
        file.write_text(SMALLEST + f"include: {include}\n")
        with pytest.raises(ConfigError) as caught:
            load([file], registry=REGISTRY)
        assert [each.code for each in caught.value.diagnostics] == [code]


def test_a_hundred_errors_are_enough() -> None:
    stages = "\n".join(f"  - gian{number}" for number in range(500))
    found = refused(f"version: 1\nstages:\n{stages}\n")
    assert len(found) == MOST_FOUND + 1
    (last,) = (each for each in found if each.code == "E024")
    assert last.message == f"100 errors: nothing was read beyond line {found[-1].span.line}"


def test_a_hundred_warnings_are_kept_and_told() -> None:
    loaded = from_text(
        "version: 1\nstages: [" + "tone, " * 300 + "tone, blackhole]\n",
        registry=Registry.discover(),
    )
    assert [each.code for each in loaded.warnings[:2]] == ["E024", "E208"]
    assert len(loaded.warnings) == MOST_FOUND + 1


def test_the_same_mistake_again_counts_once() -> None:
    findings = Findings()
    for _ in range(MOST_FOUND * 2):
        findings.error("E001", "the same")
    assert len(findings.errors()) == 1


def test_as_many_sets_as_an_overlay_should_have() -> None:
    sets = ["name=x"] * (MAX_SETS + 1)
    assert [each.code for each in refused(SMALLEST, sets=sets)] == ["E115"]
    assert [each.code for each in refused(SMALLEST, sets=["a." * 60 + "b=1"])] == ["E115"]
    assert [each.code for each in refused(SMALLEST, sets=["name=" + "x" * MAX_SET])] == ["E115"]
    with pytest.raises(ConfigError, match="10000 characters"):
        from_expression("tone ! " * 5000, registry=REGISTRY)


def test_the_page_tells_every_bound() -> None:
    told = " ".join(page.text for code, page in pages().items() if code in _TELL_BOUNDS)
    for name, bound in vars(bounds).items():
        if name.isupper():
            sizes = {MAX_BYTES: "512 KiB", bounds.MAX_FILLED: "1 MiB"}
            assert re.search(rf"\b{sizes.get(bound, bound)}\b", told), name
    assert str(MOST_FOUND) == "100"
    assert "a hundred errors" in pages()["E024"].text


def test_bytes_that_are_no_text_in_the_environment() -> None:
    half = os.fsdecode(b"a\xff")
    loaded = from_text(SMALLEST + "name: ${env:X}\n", registry=REGISTRY, env={"X": half})
    assert "dcff" in block(loaded.resolved)
    assert json.dumps(loaded.resolved)
    with pytest.raises(ConfigError) as caught:
        from_text(SMALLEST + f"naem: {half}\n", registry=REGISTRY)
    render(caught.value.diagnostics).encode("utf-8")


def test_users_without_passwords_are_looked_at_once() -> None:
    """Quadratic, it would take minutes."""
    assert mask("://a:" * 200_000, ()) == "://a:" * 200_000
    assert mask("://a:" * 10 + "b@", ()) == "://a:***@"


@given(st.text("ab*?.", max_size=7), st.text("ab*?.", max_size=7))
def test_two_globs_can_mean_the_same(one: str, other: str) -> None:
    def by_definition(one: str, other: str) -> bool:
        if not one or not other:
            return set(one + other) <= {"*"}
        first, second = one[0], other[0]
        if first == "*":
            return by_definition(one[1:], other) or by_definition(one, other[1:])
        if second == "*":
            return by_definition(other, one)
        return ("?" in {first, second} or first == second) and by_definition(one[1:], other[1:])

    assert overlap(one, other) == by_definition(one, other) == overlap(other, one)


def test_a_word_that_is_too_long_is_like_no_other() -> None:
    assert suggest("a" * 10_000, ["a" * 9_999]) is None
    assert suggest("rte", ["sample_rate"]) == "sample_rate"


def test_what_is_measured_is_measured() -> None:
    worst = measured([("a", SMALLEST), ("b", "[" * 10)])
    assert worst["read"] == 1
    assert worst["cpu_s"] > 0
