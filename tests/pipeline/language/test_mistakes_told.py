"""How mistakes are told: all at once, each at its place, and no secret shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers.documentation import ROOT
from helpers.specimens import mistakes, registry, snippets, stages, understood
from rtpipe import ConfigError
from rtpipe.catalogue.explain import pages
from rtpipe.language.loading import from_expression
from rtpipe.language.syntax import is_yaml
from rtpipe.wording.diagnostics import Span
from rtpipe.wording.rendering import render


def test_many_mistakes_are_found_at_once_in_the_order_of_the_file() -> None:
    found = mistakes(
        """
version: 1
stages:
  - mci: USB
  - gain: loud
  - mute_gate: {mode: half, tail: 3}
  - blackhole:
    from: [gian]
events:
  - match: vad.speech_begun
    do: gain.setx
nmae: x
"""
    )
    assert [(each.code, each.span.line if each.span else 0) for each in found] == [
        ("E101", 4), ("E103", 5), ("E103", 6), ("E102", 6), ("E201", 8), ("E701", 10),
        ("E704", 11), ("E019", 12),
    ]  # fmt: skip


def test_both_places_of_a_duplicate_key_are_shown() -> None:
    (found,) = mistakes("version: 1\nname: a\nname: b\nstages: [mic, blackhole]\n")
    assert [(other.span.line, other.source) for other in found.related] == [(2, "name: a")]
    assert "2 | name: a\n  | ---- first here\n3 | name: b\n  | ^^^^ again here" in render([found])


def test_both_places_of_a_claim_are_shown() -> None:
    (found,) = mistakes(stages("  - mic\n  - blackhole\n  - mic\n  - blackhole\n"))
    assert found.related[0].span.line == 3


def test_a_loop_names_its_circle() -> None:
    text = stages("  - tone\n  - gain:\n    from: c\n  - vad:\n    id: b\n  - gain:\n    id: c\n")
    assert [each.message for each in mistakes(text)] == ["a loop: gain -> b -> c -> gain"]


def test_a_fallback_is_checked_like_any_stage() -> None:
    (found,) = mistakes(
        stages("  - mic\n  - speaker: x\n    fallback: {file_sink: {pth: x.wav}}\n")
    )
    assert (found.code, found.help) == ("E102", "did you mean `path`?")


def test_what_a_model_says_as_a_whole_stands_at_the_kind() -> None:
    (found,) = mistakes(stages("  - tone\n  - recorder: {path: a, first_s: 3, last_s: 1}\n"))
    assert (found.code, found.span) == ("E103", Span(found.span.path, 4, 5, 8))  # type: ignore[union-attr]
    assert "first_s comes after last_s" in found.message


def test_a_disabled_stage_needs_no_environment() -> None:
    assert (
        understood(stages("  - mic\n  - gain: ${env:NO}\n    enabled: false\n  - blackhole\n"))
        .spec.stages[1]
        .id
        == "blackhole"
    )


def test_set_is_quoted_like_a_file() -> None:
    found = mistakes(
        stages("  - mic\n  - gain: 3\n  - blackhole\nvars: {voice: x}\n"),
        sets=["mic.rte=8000", "gain=[", "vars.vioce=y", "mik.device=x", "voice=y", "gain"],
    )
    assert [(each.code, each.span.line, each.span.column) for each in found if each.span] == [
        ("E102", 1, 1), ("E006", 2, 6), ("E301", 3, 1), ("E110", 4, 1), ("E110", 5, 1),
        ("E115", 6, 1),
    ]  # fmt: skip
    assert found[4].help == "did you mean `vars.voice`?"
    assert " --> --set:1:1\n  |\n1 | mic.rte=8000\n  | ^^^^^^^" in render(found)


def test_an_expression_is_quoted_like_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # an expression has the plugins of the folder it is used in
    for expression, code, column in [
        ("tone ! gain -6 3 ! blackhole", "E116", 16),
        ("tone ! ! blackhole", "E116", 7),
        ("tone ! gian -6 ! blackhole", "E101", 8),
        ("tone ! gain gain_bd=3 ! blackhole", "E102", 13),
        ("tone ! mute_gate half ! blackhole", "E103", 18),
    ]:
        with pytest.raises(ConfigError) as caught:
            from_expression(expression, registry=registry(), env={})
        (found,) = caught.value.diagnostics
        assert found.span is not None
        assert (found.code, found.span.column, found.source) == (code, column, expression)


def test_a_reference_without_a_value_is_one_mistake_wherever_it_stands() -> None:
    found = mistakes(
        stages(
            "  - mic: {sample_rate: '${a}'}\n    enabled: ${b}\n  - gain: ${c}\n    from: ${d}\n"
            "    queue: {max_ms: '${e}'}\n    on_error: ${f}\n  - speaker\n"
            "events:\n  - {match: '${g}', do: 'gain.set(${h})'}\n"
        )
    )
    assert [each.message for each in found] == [f"no variable `{name}`" for name in "abcdefgh"]


def test_no_profile_of_that_name() -> None:
    (found,) = mistakes(stages("  - mic\n  - blackhole\nprofiles: {quiet: {}}\n"), profile="quite")
    assert (found.code, found.help) == ("E306", "did you mean `quiet`?")


def test_a_profile_that_is_not_chosen_is_checked_too() -> None:
    found = mistakes(
        stages("  - mic\n  - blackhole\nprofiles: {a: {stages: {mik: {tone: }}, evnts: []}}\n")
    )
    assert [(each.code, each.help) for each in found] == [
        ("E110", "did you mean `mic`?"), ("E019", "did you mean `events`?"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "  - realtime: {api_key: sk-canary-1234, voice: 3}\n    from: []\n",
        "  - realtime: {api_key: [sk-canary-1234], voice: 3}\n    from: []\n",
        "  - realtime: {apikey: sk-canary-1234}\n    from: []\n",
        "  - mic\n  - realtime: {session: {key: sk-canary-1234, k: .nan}}\n",
        "  - realtime:\n    api_key: sk-canary-1234\n",
        '  - tone: {voice: "${env:MY_KEY}"}\n',
        "  - mute_gate: ${env:MY_KEY}\n",
        "  - vad: ${secret}\nvars: {secret: sk-canary-1234}\n",
        "  - mute_gate: a${cred:desk}\n",
    ],
)
def test_no_diagnostic_shows_a_secret(text: str, tmp_path: Path) -> None:
    (tmp_path / "desk").write_text("sk-canary-1234\n")
    env = {"MY_KEY": "sk-canary-1234", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = mistakes(stages(text), env=env)
    assert "canary" not in render(found)
    assert "canary" not in repr(found)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    rooms = (ROOT / "pipeline", ROOT / "plugins")
    files = (path for room in rooms for path in room.rglob("*.py"))
    source = "".join(path.read_text("utf-8") for path in files)
    assert set(re.findall(r'"(E\d{3})"', source)) == set(pages())


@settings(deadline=None)  # the machine is shared
@example("{0`")
@example("{")
@given(st.text(alphabet=st.sampled_from(list("abc:{}[]-,'\"\n \t#&*!|>%@`$0.")), max_size=40))
def test_any_text_is_understood_or_refused_with_diagnostics(text: str) -> None:
    for found in (text, f"version: 1\nstages:\n  - mic\n  - {text}"):
        try:
            understood(found)
        except ConfigError as error:
            for each in error.diagnostics:
                assert each.span is None or each.span.line <= found.count("\n") + 1
                assert all(is_yaml(snippet) for snippet in snippets(each)), each.help
            render(error.diagnostics)
