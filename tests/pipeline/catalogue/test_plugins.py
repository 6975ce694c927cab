"""Where plugins are found, and what becomes of a broken one."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from helpers.specimens import registry, stages, understood
from rtpipe import LazyCommand, Options, PluginError, Source, Transform, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import load

TREMOLO = """
from rtpipe import Options, Transform, hookimpl


class TremoloOptions(Options):
    hz: float = 5.0


class Tremolo(Transform[TremoloOptions]):
    kind = "tremolo"

    def process(self, frame):
        return frame


@hookimpl
def rtpipe_stages():
    return [Tremolo]
"""


def plugin(*stages: type, commands: Any = None) -> Any:
    made = ModuleType("made")
    made.rtpipe_stages = hookimpl(lambda: list(stages))  # type: ignore[attr-defined]
    made.rtpipe_stages.__name__ = "rtpipe_stages"  # type: ignore[attr-defined]
    if commands is not None:
        made.rtpipe_commands = commands  # type: ignore[attr-defined]
    return made


def stage(kind: Any, base: type = Source) -> type:
    return type("Made", (base,), {"kind": kind})


def test_a_file_dropped_into_the_folder_beside_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "tremolo.py").write_text(TREMOLO)
    file = tmp_path / "a.yaml"
    file.write_text(stages("  - mic\n  - tremolo: {hz: 3}\n  - blackhole\n"))
    loaded = load([file], registry=registry(), env={})
    assert loaded.spec.stages[1].options.model_dump() == {"hz": 3.0}
    assert not loaded.warnings


def test_a_folder_of_the_command_line_and_a_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "tremolo.py").write_text(TREMOLO)
    text = stages("  - mic\n  - tremolo\n  - blackhole\n")
    assert understood(text, plugins_dirs=[tmp_path / "more"])
    assert understood(f"plugins: [more/tremolo.py]\n{text}", path=tmp_path / "a.yaml")


def test_a_package_and_a_module_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins" / "shaky").mkdir(parents=True)
    (tmp_path / "plugins" / "shaky" / "__init__.py").write_text("from .inner import *\n")
    (tmp_path / "plugins" / "shaky" / "inner.py").write_text(
        TREMOLO + "\n__all__ = ['rtpipe_stages']\n"
    )
    found = Registry()
    found.add_folder(tmp_path / "plugins")
    assert [(r.name, r.kinds, r.error) for r in found.records] == [("shaky", ("tremolo",), None)]

    (tmp_path / "tremolo_for_this_test.py").write_text(TREMOLO)
    monkeypatch.syspath_prepend(tmp_path)
    text = "plugins: [tremolo_for_this_test]\n" + stages("  - mic\n  - tremolo\n  - blackhole\n")
    assert understood(text)


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    found = Registry()
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "same.py").write_text(TREMOLO.replace('"tremolo"', f'"tremolo{number}"'))
        found.add_folder(folder)
    assert sorted(found.kinds) == ["tremolo1", "tremolo2"]
    assert "same" not in sys.modules


def test_what_begins_with_an_underscore_is_no_plugin(tmp_path: Path) -> None:
    for name in ("_private.py", ".hidden.py", "notes.txt"):
        (tmp_path / name).write_text("raise SystemExit")
    (tmp_path / "__pycache__").mkdir()
    found = Registry()
    found.add_folder(tmp_path)
    found.add_folder(tmp_path / "nowhere")
    assert found.records == []


def test_a_package_that_is_installed_is_no_plugin_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_library").mkdir()
    (tmp_path / "some_library" / "__init__.py").touch()
    found = Registry()
    monkeypatch.syspath_prepend(str(tmp_path))
    found.add_folder(tmp_path)
    assert found.records == []
    monkeypatch.undo()
    found.add_folder(tmp_path)
    assert [record.name for record in found.records] == ["some_library"]


def test_a_plugin_is_loaded_once_however_often_it_is_found(tmp_path: Path) -> None:
    file = tmp_path / "tremolo.py"
    file.write_text(TREMOLO)
    found = Registry()
    found.add_folder(tmp_path)
    found.add_path(tmp_path / ".." / tmp_path.name / "tremolo.py")
    assert len(found.records) == 1

    module = sys.modules["helpers.specimens"]
    module.__dict__.setdefault("__file__", "")
    first = found.register(module, "first")
    assert found.add_path(Path(str(module.__file__))) is first


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'", 1),
        ("x = 1\nraise SystemExit(3)\n", "SystemExit: 3", 2),
        ("def f(:\n", "SyntaxError", 1),
        ("from rtpipe import hookimpl\n@hookimpl\ndef rtpipe_stages():\n  return 1 / 0\n",
         "ZeroDivisionError", 4),
        ("from rtpipe import hookimpl\n@hookimpl\ndef rtpipe_stages(speed):\n  return []\n",
         "speed", None),
        ("from rtpipe import hookimpl\n@hookimpl\ndef rtpipe_stages():\n  return [3]\n",
         "3, which is no stage class", None),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_recorded_with_its_origin_and_skipped(
    source: str, message: str, line: int | None, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text(source)
    (tmp_path / "tremolo.py").write_text(TREMOLO)
    found = Registry()
    found.add_folder(tmp_path)
    bad, good = found.records
    assert bad.origin == str(tmp_path / "bad.py")
    assert message in (bad.error or "")
    assert bad.fault is not None
    assert bad.fault.line == line or line is None
    assert found.faulty == [bad]
    assert good.kinds == ("tremolo",)


@pytest.mark.parametrize("kind", ["from", "match", "do", "two words", "", 3, None])
def test_a_kind_that_cannot_be(kind: Any) -> None:
    record = Registry().register(plugin(stage(kind)), "x")
    assert record.kinds == ()
    assert record.error is not None


def test_a_kind_belongs_to_who_had_it_first() -> None:
    found = Registry()
    first = found.register(plugin(stage("a"), stage("b")), "first")
    second = found.register(plugin(stage("a"), stage("c")), "second")
    assert (second.duplicates, second.kinds) == (("a",), ("c",))
    assert "`a` (registered by the program)" in (second.error or "")
    assert found.kinds.owner("a") is first


def test_registries_do_not_know_each_other() -> None:
    one, other = Registry(), Registry()
    one.register(plugin(stage("a")), "x")
    assert other.kinds == {}
    assert other.hook.rtpipe_stages() == []


def test_families() -> None:
    assert registry().kinds.of_family("peer") == ["realtime"]
    assert registry().kinds.of_family("subscriber") == ["jsonl", "log", "webhook"]


class Point:
    """An entry point."""

    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self.dist = name, f"{name}_module", None
        self._loaded = loaded

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_installed_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        Point("zebra", plugin(stage("z"))),
        Point("broken", ImportError("libx.so is missing")),
        Point("ships", plugin(stage("s"))),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    found = Registry.discover()
    assert [(r.name, r.kinds, r.error) for r in found.records] == [
        ("ships", ("s",), None),
        ("broken", (), "ImportError: libx.so is missing"),
        ("zebra", ("z",), None),
    ]


def test_commands_of_plugins_and_one_that_raises() -> None:
    @hookimpl
    def rtpipe_commands(cli: click.Group) -> None:
        cli.add_command(click.Command("hello"))

    @hookimpl(specname="rtpipe_commands")
    def broken(cli: click.Group) -> None:
        raise OSError("no")

    found = Registry()
    found.register(plugin(commands=rtpipe_commands), "good")
    bad = plugin()
    bad.broken = broken
    record = found.register(bad, "bad")
    cli = click.Group()
    found.add_commands(cli)
    assert list(cli.commands) == ["hello"]
    assert record.error == "OSError: no"


def test_a_plugin_may_refuse_a_graph() -> None:
    class Strict:
        def __init__(self, error: Exception) -> None:
            self.error = error

        @hookimpl
        def rtpipe_graph(self, graph: Any) -> None:
            raise self.error

    text = stages("  - mic\n  - blackhole\n")
    for error, message in [
        (PluginError("no microphones here"), "no microphones here"),
        (KeyError("x"), "the plugin `strict` .*failed on this pipeline: KeyError"),
    ]:
        strict = registry()
        strict.register(Strict(error), "strict")
        with pytest.raises(PluginError, match=message) as caught:
            understood(text, registry=strict)
        assert caught.value.exit_code == 78


def test_options_must_be_an_options_model() -> None:
    class Odd(Transform[Options]):
        kind = "odd"

    Odd.options_type = int  # type: ignore[assignment]
    assert "no rtpipe.Options model" in str(Registry().register(plugin(Odd), "x").error)


def test_a_module_that_could_not_be_imported_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "halfway.py").write_text("raise OSError\n")
    assert Registry().add_path(tmp_path / "halfway.py").error == "OSError"
    assert not any("halfway" in name for name in sys.modules)


def test_a_function_called_like_a_hook_without_its_mark_is_told_with_its_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tremolo.py"
    path.write_text(TREMOLO.replace("@hookimpl\n", ""))
    record = Registry().add_path(path)
    fault = record.fault
    assert fault is not None
    assert "`rtpipe_stages` has no `@hookimpl`" in fault.message
    assert fault.path == path
    assert path.read_text().splitlines()[(fault.line or 0) - 1] == "def rtpipe_stages():"


def test_what_else_a_plugin_has_works_on_beside_a_function_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "tremolo.py"
    path.write_text(f"{TREMOLO}\n\ndef rtpipe_commands():\n    return []\n")
    found = Registry()
    assert "`rtpipe_commands`" in (found.add_path(path).error or "")
    assert list(found.kinds) == ["tremolo"]


@pytest.mark.parametrize("default", ['"three"', "None", "[5.0]"])
def test_a_default_of_another_type_is_a_fault_of_its_plugin(tmp_path: Path, default: str) -> None:
    path = tmp_path / "tremolo.py"
    path.write_text(TREMOLO.replace("5.0", default))
    found = Registry()
    assert "the default of TremoloOptions.hz is" in (found.add_path(path).error or "")
    assert not list(found.kinds)


def test_defaults_of_all_sorts_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "tremolo.py"
    fields = (
        "hz: float = 5\n    path: InputPath | None = None\n    words: tuple[str, ...] = ()\n"
        "    shape: Literal['sine', 'saw'] = 'sine'\n    more: dict[str, Any] = {}\n"
        "    depth: Annotated[int, Field(gt=0)] = 3\n    file: OutputPath = Path('a.wav')\n"
    )
    text = TREMOLO.replace("hz: float = 5.0\n", fields)
    imports = (
        "from pathlib import Path\nfrom typing import Annotated, Any, Literal\n"
        "from pydantic import Field\nfrom rtpipe import InputPath, OutputPath\n"
    )
    path.write_text(imports + text)
    assert Registry().add_path(path).error is None


def test_what_a_plugin_adds_beside_kinds_is_known() -> None:
    class Model(Options):
        pass

    class Plugin:
        @hookimpl
        def rtpipe_sections(self) -> dict[str, type[Options]]:
            return {"desk": Model}

        @hookimpl
        def rtpipe_commands(self, cli: click.Group) -> list[LazyCommand]:
            cli.add_command(click.Command("bell"))
            return [LazyCommand("ring", "Rings.", "no:where")]

        @hookimpl
        def rtpipe_run_options(self) -> list[click.Option]:
            return [click.Option(["--loud"])]

        @hookimpl
        def rtpipe_events(self) -> tuple[str, ...]:
            return ("desk.rung",)

    plugins = Registry()
    record = plugins.register(Plugin(), "desk")
    other = plugins.register(object(), "other")
    assert plugins.adds(record) == {
        "commands": ["bell", "ring"],
        "sections": ["desk"],
        "options of run": ["--loud"],
        "events": ["desk.rung"],
    }
    assert plugins.adds(other) == {}
