"""Mistakes in plugins, in included files, and in more files than one."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.specimens import mistakes, registry, snippets, stages, understood
from rtpipe import ConfigError, Options, Source, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import load
from rtpipe.language.syntax import is_yaml
from rtpipe.wording.diagnostics import Severity, Span


def test_a_mistake_in_one_file_does_not_hide_those_of_another(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nversion: 1\n")
    (tmp_path / "b.yaml").write_text("stages: [\n")
    with pytest.raises(ConfigError) as caught:
        load([tmp_path / "a.yaml", tmp_path / "b.yaml"], registry=registry())
    assert [each.code for each in caught.value.diagnostics] == ["E008", "E006"]


def test_a_missing_plugin() -> None:
    for name in ("no_such_module_xyz", "plugins/nowhere.py"):
        (found,) = mistakes(f"version: 1\nplugins: [{name}]\nstages: [mic, blackhole]\n")
        assert found.code == "E401"
        assert found.span is not None
        assert (found.span.line, found.span.column, found.span.length) == (2, 11, len(name))
        assert all(is_yaml(snippet) for snippet in snippets(found))


def test_an_unreadable_include(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("version: 1\nstages: [mic, blackhole]\n")
    file = tmp_path / "a.yaml"
    file.write_text("include: bse.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load([file], registry=registry())
    (found,) = caught.value.diagnostics
    assert (found.code, found.span, found.help) == (
        "E307", Span(file, 1, 10, 8), "did you mean `base.yaml`?",
    )  # fmt: skip


def test_files_that_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: b.yaml\n")
    (tmp_path / "b.yaml").write_text("version: 1\ninclude: a.yaml\n")
    with pytest.raises(ConfigError) as caught:
        load([tmp_path / "a.yaml"], registry=registry())
    assert [(d.code, d.span) for d in caught.value.diagnostics] == [
        ("E308", Span(tmp_path / "b.yaml", 2, 10, 6))
    ]


def test_a_plugin_file_that_raises_is_an_error_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import rtpipe\n\nraise ValueError('no sound')\n")
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nplugins: [bad.py]\nstages: [mic, blackhole]\n")
    with pytest.raises(ConfigError) as caught:
        load([file], registry=registry())
    (found,) = caught.value.diagnostics
    assert found.code == "E402"
    assert found.span == Span(tmp_path / "bad.py", 3, 1)
    assert found.source == "raise ValueError('no sound')"
    assert "ValueError: no sound" in found.message
    assert found.notes == (f"named at {file}:2",)


def test_a_plugin_beside_the_file_that_raises_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "bad.py").write_text("def f(:\n")
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nstages: [mic, blackhole]\n")
    (warning,) = load([file], registry=registry()).warnings
    assert (warning.code, warning.severity) == ("E402", Severity.WARNING)
    assert warning.span == Span(tmp_path / "plugins" / "bad.py", 1, 1)

    file.write_text("version: 1\nstages: [mic, tremolo, blackhole]\n")
    with pytest.raises(ConfigError) as caught:
        load([file], registry=registry())
    (error,) = caught.value.diagnostics
    assert error.code == "E101"
    assert "`bad`" in error.notes[0]


def test_a_kind_of_two_plugins_stops_only_who_uses_it() -> None:
    class Other(Source[Options]):
        kind = "tone"

    class Second:
        @staticmethod
        @hookimpl
        def rtpipe_stages() -> list[type]:
            return [Other]

    def both() -> Registry:
        made = registry()
        made.register(Second(), "second")
        return made

    assert [
        w.code for w in understood(stages("  - mic\n  - blackhole\n"), registry=both()).warnings
    ] == ["E403"]
    (found,) = mistakes(stages("  - tone\n  - blackhole\n"), registry=both())
    assert (found.code, found.span.line if found.span else 0) == ("E403", 3)
