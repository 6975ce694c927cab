"""Kinds and commands that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helpers.specimens import Gain, mistakes, registry, stages, understood
from rtpipe import ConfigError, ExitCode, LazyCommand, LazyKind, PluginError, Transform, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import cli

STUTTER = """
from rtpipe import Options, Transform

class Stutter(Transform[Options]):
    "Says everything twice."

    kind = "stutter"
    publishes = ("stutter.stumbled",)
"""


class Lazy:
    """A plugin of one kind."""

    def __init__(self, *kinds: Any) -> None:
        self.kinds = kinds

    @hookimpl
    def rtpipe_stages(self) -> tuple[Any, ...]:
        return self.kinds


def kind(name: str = "stutter", target: str = "stuttering:Stutter", **changed: Any) -> LazyKind:
    said: dict[str, Any] = {"family": "transform", "summary": "Says everything twice.", **changed}
    return LazyKind(name, said["family"], said["summary"], target)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module `stuttering` that can be imported and was not."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "stuttering.py"
    path.write_text(STUTTER)
    yield path
    sys.modules.pop("stuttering", None)


def having(*kinds: Any) -> Registry:
    found = registry()
    record = found.register(Lazy(*kinds), "lisp")
    assert record.error is None, record.error
    return found


def imported() -> bool:
    return "stuttering" in sys.modules


# -- kinds -----------------------------------------------------------------------------------------


def test_everything_but_the_class_is_known_without_an_import(module: Path) -> None:
    kinds = having(kind()).kinds
    assert "stutter" in kinds
    assert "stutter" in list(kinds)
    assert len(kinds) == len(registry().kinds) + 1
    assert "stutter" in kinds.of_family("transform")
    assert kinds.family("stutter") == "transform"
    assert kinds.summary("stutter") == "Says everything twice."
    assert kinds.owner("stutter").name == "lisp"
    assert not imported()
    assert issubclass(kinds["stutter"], Transform)
    assert imported()


def test_a_class_and_a_lazy_kind_stand_side_by_side() -> None:
    kinds = registry().kinds
    assert kinds["gain"] is kinds.find("gain") is Gain
    assert (kinds.family("gain"), kinds.summary("gain")) == ("transform", "Changes the volume.")
    assert kinds.find("nothing") is None
    with pytest.raises(KeyError):
        kinds["nothing"]


def test_only_a_file_that_names_a_kind_imports_it(module: Path) -> None:
    found = having(kind())
    text = stages("  - mic\n  - vad\n  - gain\n  - blackhole\n")
    understood(text + "events: [log, {match: vad.*, do: gain.toggle}]\n", registry=found)
    assert not imported()
    understood(stages("  - mic\n  - stutter\n  - blackhole\n"), registry=found)
    assert imported()


def test_the_help_of_an_unknown_event_knows_every_kind(module: Path) -> None:
    text = stages("  - mic\n  - gain\n  - blackhole\n")
    loaded = understood(
        text + "events: [{match: stutter.stumbled, do: gain.toggle}]\n", registry=having(kind())
    )
    (warning,) = loaded.warnings
    assert (warning.code, warning.help) == ("E702", "`stutter` would")


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("import libmissing\n", "stuttering:Stutter", "No module named 'libmissing'"),
        ("def\n", "stuttering:Stutter", "SyntaxError"),
        ("raise SystemExit(3)\n", "stuttering:Stutter", "SystemExit: 3"),
        (STUTTER, "stuttering:Stuter", "has no attribute 'Stuter'"),
        (STUTTER, "stutterin:Stutter", "No module named 'stutterin'"),
        (STUTTER.replace('"stutter"', '"stotter"'), "stuttering:Stutter", "kind is `stotter`"),
        (STUTTER.replace("Transform", "Sink"), "stuttering:Stutter", "it is a sink"),
        ("Stutter = 3\n", "stuttering:Stutter", "3, which is no stage class"),
    ],
)
def test_a_kind_that_cannot_be_imported_is_a_mistake_in_the_file_that_names_it(
    source: str, target: str, message: str, module: Path
) -> None:
    module.write_text(source)
    found = having(kind(target=target))
    understood(stages("  - mic\n  - gain\n  - blackhole\n"), registry=found)
    wrong = mistakes(stages("  - mic\n  - stutter\n  - gian\n  - blackhole\n"), registry=found)
    broken, unknown = wrong
    assert (broken.code, unknown.code) == ("E402", "E101")
    assert broken.span is not None
    assert broken.span.line == 4
    assert "`stutter` of the plugin `lisp` (registered by the program)" in broken.message
    assert f"from {target}" in broken.message
    assert message in broken.message
    assert [record.name for record in found.faulty] == ["lisp"]


def test_a_broken_kind_is_no_other_kinds_trouble(module: Path) -> None:
    module.write_text("import libmissing\n")
    found = having(kind())
    assert "stutter" not in found.kinds.importable()
    assert set(found.kinds.importable()) == set(registry().kinds)
    with pytest.raises(PluginError, match="libmissing") as caught:
        found.kinds["stutter"]
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    for item in ("fallback: stutter", "fallback: {stutter: }"):
        with pytest.raises(ConfigError, match=r"stutter.*libmissing"):
            understood(stages(f"  - mic\n  - gain:\n    {item}\n  - blackhole\n"), registry=found)


def test_a_reserved_word_is_refused_when_the_class_is_there(module: Path) -> None:
    module.write_text(STUTTER.replace('kind = "stutter"', 'kind = "from"'))
    failure = having(kind("from")).kinds.failure("from")
    assert failure is not None
    assert "a reserved word" in failure.message


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (kind("two words"), "a kind is a word"),
        (kind(family="filter"), "family is 'filter'"),
        (kind(target="stuttering.Stutter"), "write `module:Class`"),
        (kind(target=":Stutter"), "write `module:Class`"),
        (kind(target="a:b:c"), "write `module:Class`"),
    ],
)
def test_a_lazy_kind_that_cannot_be_is_refused_with_its_plugin(
    wrong: LazyKind, message: str
) -> None:
    record = Registry().register(Lazy(wrong), "lisp")
    assert record.kinds == ()
    assert message in (record.error or "")


def test_a_lazy_kind_that_another_plugin_has_is_a_duplicate() -> None:
    record = registry().register(Lazy(kind("gain"), kind()), "lisp")
    assert (record.kinds, record.duplicates) == (("stutter",), ("gain",))


# -- commands --------------------------------------------------------------------------------------


def test_the_list_of_stages_imports_none_and_a_broken_one_is_no_traceback(
    module: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module.write_text("import libmissing\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Registry, "discover", lambda: having(kind()))
    listed = CliRunner().invoke(cli, ["stages"])
    assert "  stutter    Says everything twice." in listed.stdout
    assert listed.stderr == ""
    asked = CliRunner().invoke(cli, ["stages", "stutter"])
    assert asked.exit_code == ExitCode.CONFIGURATION
    assert "error: `stutter` of the plugin `lisp`" in asked.stderr
    assert "Traceback" not in asked.stderr
    for command in (["events"], ["schema"], ["stages", "--json"]):
        told = CliRunner().invoke(cli, command)
        assert told.exit_code == ExitCode.OK
        assert "warning: the plugin `lisp`" in told.stderr


def test_a_lazy_command_is_listed_by_its_summary_and_imported_when_it_is_called(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Plugin:
        @hookimpl
        def rtpipe_commands(self) -> list[LazyCommand]:
            return [LazyCommand("stammer", "Say it twice.", "stuttering:stammer")]

    def discover() -> Registry:
        found = registry()
        found.register(Plugin(), "lisp")
        return found

    monkeypatch.setattr(Registry, "discover", discover)
    module.write_text("import click\n@click.command()\ndef stammer():\n  click.echo('so so')\n")
    assert "stammer  Say it twice." in CliRunner().invoke(cli, ["--help"]).stdout
    assert not imported()
    assert CliRunner().invoke(cli, ["stammer", "--debug"]).stdout == "so so\n"
    for source, message in (("stammer = 3\n", "is no click command"), ("1/0\n", "ZeroDivision")):
        del sys.modules["stuttering"]
        module.write_text(source)
        broken = CliRunner().invoke(cli, ["stammer"])
        assert broken.exit_code == ExitCode.CONFIGURATION
        assert message in broken.stderr
        sys.modules.setdefault("stuttering", sys)
