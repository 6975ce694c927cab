"""Discovery of plugins, and the registry of the kinds of stage they add.

A plugin is a module with `@hookimpl` functions: an installed one (entry-point group `rtpipe`), a
file in a `plugins/` folder beside the pipeline file, or one that the file names in `plugins:`.
A broken plugin is recorded with its origin and skipped: the others go on.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pluggy

from rtpipe import hookspecs
from rtpipe.catalogue.claims import checked_options, checked_sections
from rtpipe.errors import PluginError, RtpipeError
from rtpipe.modules import import_file, source_of
from rtpipe.stage import FAMILIES, Options, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import click

    from rtpipe.language.graph import Graph
    from rtpipe.running.runtime import Pipeline

ENTRY_POINT_GROUP = "rtpipe"
_OURS = (__file__, import_file.__code__.co_filename)


@dataclass(frozen=True, slots=True)
class PluginFault:
    """Why a plugin, or a kind of it, is not there.

    Attributes:
        message: The exception as one line, `ImportError: No module named 'x'`.
        path: The plugin's own file, where the fault lies in it.
        line: The line in that file, from 1.
        trace: The whole traceback, for `--debug`.
    """

    message: str
    path: Path | None = None
    line: int | None = None
    trace: str = ""


@dataclass(slots=True)
class PluginRecord:
    """What became of one plugin.

    Attributes:
        name: The entry point, the module, or the file's stem.
        origin: Where it comes from, for a person: a distribution or a path.
        kinds: The kinds of stage it added.
        fault: Why it could not be loaded, wholly or in part.
        duplicates: Kinds it wanted to add that another plugin had.
    """

    name: str
    origin: str
    kinds: tuple[str, ...] = ()
    fault: PluginFault | None = None
    duplicates: tuple[str, ...] = ()

    @property
    def error(self) -> str | None:
        """Why it could not be loaded, in one line; None when all is well."""
        return None if self.fault is None else self.fault.message


class Registry:
    """The kinds of stage that are installed, each with the plugin it comes from.

    Every registry has a pluggy manager of its own: two of them never see each other's plugins.

    Attributes:
        kinds: Stage classes, by kind.
        sections: Models of the top-level keys of a file that plugins add, by key.
        records: What became of each plugin.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, type[Stage[Any]]] = {}
        self.sections: dict[str, type[Options]] = {}
        self.records: list[PluginRecord] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, PluginRecord] = {}
        self._owner: dict[str, PluginRecord] = {}
        self._section_owners: dict[str, str] = {}

    @classmethod
    def discover(cls, folders: Sequence[Path] = ()) -> Registry:
        """Return a registry of the installed plugins and those in `folders`.

        A folder that does not exist adds nothing.
        """
        registry = cls()
        registry.add_installed()
        for folder in folders:
            registry.add_folder(folder)
        return registry

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks of all plugins that were loaded."""
        return self._manager.hook

    @property
    def faulty(self) -> list[PluginRecord]:
        """The plugins that could not be loaded, wholly or in part."""
        return [record for record in self.records if record.fault is not None]

    def of_family(self, name: str) -> list[str]:
        """Return the kinds of one family (`source`, `transform`, ...), sorted."""
        base = FAMILIES[name]
        return sorted(kind for kind, stage in self.kinds.items() if issubclass(stage, base))

    def owner(self, kind: str) -> PluginRecord:
        """Return the plugin that `kind` comes from."""
        return self._owner[kind]

    def add_installed(self) -> None:
        """Load every plugin that an installed distribution announces."""
        points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        for point in sorted(points, key=lambda point: (point.name != "ships", point.name)):
            dist = point.dist
            origin = f"{dist.name} {dist.version}" if dist is not None else point.value
            self._add(f"entry point {point.value}", point.name, origin, point.load)

    def add_folder(self, folder: Path) -> None:
        """Load every module and package in `folder` whose name has no leading underscore or dot."""
        if not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            if path.name.startswith(("_", ".")):
                continue
            is_plugin = path.suffix == ".py" or (path / "__init__.py").is_file()
            if is_plugin and not _is_importable(path):
                self.add_path(path)

    def add_path(self, path: Path) -> PluginRecord:
        """Load one file, or a folder with an `__init__.py`, as a plugin."""
        resolved = path.resolve()
        for plugin in self._manager.get_plugins():
            if getattr(plugin, "__file__", None) == str(source_of(resolved)):
                return self._record_of(plugin)
        return self._add(
            str(resolved), resolved.stem, str(path), partial(import_file, resolved, again=True)
        )

    def add_module(self, name: str) -> PluginRecord:
        """Load an importable module as a plugin."""
        return self._add(
            f"module {name}", name, f"module {name}", lambda: importlib.import_module(name)
        )

    def register(self, plugin: object, name: str | None = None) -> PluginRecord:
        """Register a plugin that is at hand, a module or any object with `@hookimpl`s."""
        label = name or str(getattr(plugin, "__name__", type(plugin).__name__))
        return self._add(f"object {id(plugin)}", label, "registered by the program", lambda: plugin)

    def add_commands(self, cli: click.Group) -> None:
        """Let every plugin add its commands; one that raises is recorded and skipped."""
        for implementation in self._manager.hook.rtpipe_commands.get_hookimpls():
            record = self._record_of(implementation.plugin)
            try:
                implementation.function(cli)
            except Exception as error:  # noqa: BLE001 - a stranger's code; recorded with its origin
                record.fault = _fault(error, implementation.plugin)

    def run_options(self, own: Iterable[click.Parameter] = ()) -> list[click.Option]:
        """Return the options that plugins add to `rtpipe run`; a wrong one is recorded and skipped.

        Args:
            own: The command's own parameters, which nobody may add again.
        """
        taken = list(own)
        added: list[click.Option] = []
        for implementation in self._manager.hook.rtpipe_run_options.get_hookimpls():
            try:
                found = checked_options(implementation.function(), [*taken, *added])
            except Exception as error:  # noqa: BLE001 - a stranger's code; recorded with its origin
                self._record_of(implementation.plugin).fault = _fault(error, implementation.plugin)
            else:
                added += found
        return added

    def extensions(self, pipeline: Pipeline) -> Iterator[tuple[PluginRecord, Callable[[], object]]]:
        """Yield, in the order of entering, the plugins that extend a running pipeline, and how."""
        found = self._manager.hook.rtpipe_running.get_hookimpls()
        for each in sorted(found, key=lambda each: (not each.tryfirst, each.trylast)):
            arguments = [pipeline] if each.argnames else []
            yield self._record_of(each.plugin), partial(each.function, *arguments)

    def check_graph(self, graph: Graph) -> None:
        """Let every plugin look at a graph.

        Raises:
            PluginError: A plugin refuses the graph, or is broken.
        """
        for implementation in self._manager.hook.rtpipe_graph.get_hookimpls():
            try:
                implementation.function(graph)
            except RtpipeError:
                raise
            except Exception as error:
                record = self._record_of(implementation.plugin)
                raise PluginError(
                    f"the plugin `{record.name}` ({record.origin}) failed on this pipeline: "
                    f"{type(error).__name__}: {error}"
                ) from error

    def _record_of(self, plugin: object) -> PluginRecord:
        return self._loaded[str(self._manager.get_name(plugin))]

    def _add(self, key: str, name: str, origin: str, load: Callable[[], object]) -> PluginRecord:
        known = self._loaded.get(key)
        if known is not None:
            return known
        record = PluginRecord(name, origin)
        self._loaded[key] = record
        self.records.append(record)
        plugin: object = None
        try:
            plugin = load()
            already = self._manager.get_name(plugin)
            if already is not None:  # an entry point and a `plugins:` entry may name one module
                self._loaded[key] = self._loaded[already]
                self.records.remove(record)
                return self._loaded[key]
            self._manager.register(plugin, key)
            self._manager.check_pending()
            sections = self._sections_of(plugin)
            self._add_stages(plugin, record)
            self.sections |= sections
            self._section_owners |= dict.fromkeys(sections, origin)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code; recorded
            record.fault = _fault(error, plugin)
            if plugin is not None and self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
        return record

    def _sections_of(self, plugin: object) -> dict[str, type[Options]]:
        for implementation in self._manager.hook.rtpipe_sections.get_hookimpls():
            if implementation.plugin is plugin:
                return checked_sections(implementation.function(), self._section_owners)
        return {}

    def _add_stages(self, plugin: object, record: PluginRecord) -> None:
        stages: list[type[Stage[Any]]] = []
        for implementation in self._manager.hook.rtpipe_stages.get_hookimpls():
            if implementation.plugin is plugin:
                stages.extend(
                    _checked(cast("Iterable[type[Stage[Any]]]", implementation.function()))
                )
        added: list[str] = []
        duplicates: list[str] = []
        for stage in stages:
            if stage.kind in self.kinds and self.kinds[stage.kind] is not stage:
                duplicates.append(stage.kind)
                continue
            self.kinds[stage.kind] = stage
            self._owner[stage.kind] = record
            added.append(stage.kind)
        record.kinds = tuple(added)
        record.duplicates = tuple(duplicates)
        if duplicates:
            theirs = ", ".join(f"`{kind}` ({self._owner[kind].origin})" for kind in duplicates)
            record.fault = PluginFault(f"another plugin already has the kind {theirs}")


def _checked(stages: Iterable[type[Stage[Any]]]) -> list[type[Stage[Any]]]:
    """Return `stages`, or raise PluginError for what is no stage or has an impossible kind."""
    from rtpipe.vocabulary import RESERVED

    found = list(stages)
    for stage in found:
        if not (inspect.isclass(stage) and issubclass(stage, tuple(FAMILIES.values()))):
            raise PluginError(f"rtpipe_stages() gave {stage!r}, which is no stage class")
        kind = getattr(stage, "kind", None)
        if not isinstance(kind, str) or not kind.isidentifier():
            raise PluginError(f"{stage.__name__}.kind is {kind!r}; a kind is a word: `my_stage`")
        if kind in RESERVED:
            raise PluginError(f"{stage.__name__}.kind is `{kind}`, a reserved word of the file")
        if not issubclass(stage.options_type, Options):
            raise PluginError(f"the options of {stage.__name__} are no rtpipe.Options model")
    return found


def _is_importable(path: Path) -> bool:
    """Return whether `import NAME` finds it: then it is installed, and its entry points count."""
    try:
        spec = importlib.util.find_spec(path.stem)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == str(source_of(path.resolve()))


def _fault(error: BaseException, plugin: object) -> PluginFault:
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, PluginError):
        text = error.message
    trace = "".join(traceback.format_exception(error))
    path, line = _place(error, plugin)
    return PluginFault(" ".join(text.split()), path, line, trace)


def _place(error: BaseException, plugin: object) -> tuple[Path | None, int | None]:
    """Return the innermost line of the plugin's own that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename), error.lineno
    own: tuple[Path | None, int | None] = (None, None)
    file = getattr(plugin, "__file__", None)
    for frame in traceback.extract_tb(error.__traceback__):
        foreign = frame.filename in _OURS or frame.filename.startswith("<frozen")
        if frame.filename == file or (own == (None, None) and not foreign):
            own = (Path(frame.filename), frame.lineno)
    return own if own[0] is None or own[0].suffix == ".py" else (None, None)
