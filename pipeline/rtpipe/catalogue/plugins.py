"""Discovery of plugins, and the registry of the kinds of stage they add.

A plugin is a module with `@hookimpl` functions: an installed one (entry-point group `rtpipe`), a
file in a `plugins/` folder beside the pipeline file, or one that the file names in `plugins:`.
The last two are run only where `trust` allows it.
A broken plugin is recorded with its origin and skipped: the others go on.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import site
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import pluggy

from rtpipe import hookspecs
from rtpipe.catalogue.claims import (
    checked_events,
    checked_model,
    checked_options,
    checked_sections,
)
from rtpipe.catalogue.kinds import Kinds, check_class, check_defaults
from rtpipe.catalogue.modules import import_file, source_of
from rtpipe.catalogue.records import PluginFault, PluginRecord, fault_of
from rtpipe.catalogue.trust import Trust
from rtpipe.errors import PluginError, RtpipeError
from rtpipe.hookspecs import Family, LazyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click

    from rtpipe.catalogue.kinds import StageType
    from rtpipe.events import Event
    from rtpipe.hookspecs import LazyCommand
    from rtpipe.language.graph import Graph
    from rtpipe.running.runtime import Pipeline
    from rtpipe.stage import Options

ENTRY_POINT_GROUP = "rtpipe"

_HOOK = re.compile(r"rtpipe_")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class Registry:
    """The kinds of stage that are installed, each with the plugin it comes from.

    Every registry has a pluggy manager of its own: two of them never see each other's plugins.

    Attributes:
        kinds: Stage classes, by kind.
        records: What became of each plugin.
        trust: Which folders' code may be run, and what was not.
    """

    def __init__(self) -> None:
        self.trust = Trust()
        self.kinds = Kinds()
        self._sections: dict[str, type[Options] | str] = {}
        self._events: dict[str, tuple[type[Event] | str, ...]] = {}
        self.records: list[PluginRecord] = []
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._loaded: dict[str, PluginRecord] = {}
        self._section_owners: dict[str, str] = {}

    @classmethod
    def discover(cls) -> Registry:
        """Return a registry of the installed plugins."""
        registry = cls()
        registry.add_installed()
        return registry

    @property
    def sections(self) -> dict[str, type[Options]]:
        """Models of the top-level keys of a file that plugins add, by key; imported when asked for.

        Raises:
            PluginError: One cannot be imported, or is no model.
        """
        for key, model in self._sections.items():
            if isinstance(model, str):
                self._sections[key] = checked_model(key, model)
        return cast("dict[str, type[Options]]", self._sections)

    @property
    def hook(self) -> pluggy.HookRelay:
        """The hooks of all plugins that were loaded."""
        return self._manager.hook

    @property
    def faulty(self) -> list[PluginRecord]:
        """The plugins that could not be loaded, wholly or in part."""
        return [record for record in self.records if record.fault is not None]

    def add_installed(self) -> None:
        """Load every plugin that an installed distribution announces."""
        points = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        for point in sorted(points, key=lambda point: (point.name != "ships", point.name)):
            dist = point.dist
            origin = f"{dist.name} {dist.version}" if dist is not None else point.value
            self._add(f"entry point {point.value}", point.name, origin, point.load)

    def add_folder(self, folder: Path) -> None:
        """Load every module and package in `folder` whose name has no leading underscore or dot.

        Whoever's they are; a folder that does not exist adds nothing.
        """
        for path in _plugins_in(folder):
            self.add_path(path)

    def add_beside(self, place: Path) -> None:
        """Load what is in the folder `plugins` of `place`, if the code of `place` may be run."""
        folder = place / "plugins"
        found = _plugins_in(folder)
        if found and self.trust.allows(
            place, [folder, *found], [f"plugins/{p.name}" for p in found]
        ):
            for path in found:
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

    def add_commands(self, cli: click.Group) -> list[LazyCommand]:
        """Let every plugin add its commands; one that raises is recorded and skipped.

        Returns:
            Those that are imported when they are called.
        """
        lazy: list[LazyCommand] = []
        for implementation in self._manager.hook.rtpipe_commands.get_hookimpls():
            record = self._record_of(implementation.plugin)
            given = {"cli": cli} if "cli" in implementation.argnames else {}
            try:
                returned = cast("Iterable[LazyCommand] | None", implementation.function(**given))
                lazy.extend(returned or ())
            except Exception as error:  # noqa: BLE001 - a stranger's code; recorded with its origin
                record.fault = fault_of(error, implementation.plugin)
        return lazy

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
                self._record_of(implementation.plugin).fault = fault_of(
                    error, implementation.plugin
                )
            else:
                added += found
        return added

    @property
    def events(self) -> dict[str, tuple[type[Event] | str, ...]]:
        """What plugins publish beside their stages, by plugin; asked for once.

        A plugin that gives anything else is recorded as faulty and skipped.
        """
        for implementation in self._manager.hook.rtpipe_events.get_hookimpls():
            record = self._record_of(implementation.plugin)
            if record.name in self._events:
                continue
            try:
                self._events[record.name] = checked_events(implementation.function())
            except Exception as error:  # noqa: BLE001 - a stranger's code; recorded with its origin
                self._events[record.name] = ()
                record.fault = fault_of(error, implementation.plugin)
        return self._events

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

    def adds(self, record: PluginRecord) -> dict[str, list[str]]:
        """Return what a plugin adds beside kinds, by what it is: names of commands, sections, ….

        What raises is left out: it is told where it is used.
        """
        import click  # a start that lists nothing does without

        hook = self._manager.hook
        found: dict[str, list[str]] = {}
        named: dict[str, tuple[pluggy.HookCaller, Callable[[Any], str]]] = {
            "commands": (hook.rtpipe_commands, lambda each: each.name),
            "sections": (hook.rtpipe_sections, str),
            "options of run": (hook.rtpipe_run_options, lambda each: each.opts[0]),
            "events": (hook.rtpipe_events, lambda each: getattr(each, "type", each)),
        }
        for what, (caller, name) in named.items():
            for implementation in caller.get_hookimpls():
                if self._record_of(implementation.plugin) is record:
                    with suppress(Exception):
                        group = click.Group()
                        given = {"cli": group} if "cli" in implementation.argnames else {}
                        made = cast("Iterable[Any] | None", implementation.function(**given))
                        found[what] = sorted(
                            {*map(name, [*(made or ()), *group.commands.values()])}
                        )
        return found

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
            self._sections |= sections
            self._section_owners |= dict.fromkeys(sections, origin)
            record.fault = record.fault or _unmarked(plugin)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code; recorded
            record.fault = fault_of(error, plugin)
            if plugin is not None and self._manager.is_registered(plugin):
                self._manager.unregister(plugin)
        return record

    def _sections_of(self, plugin: object) -> dict[str, type[Options] | str]:
        for implementation in self._manager.hook.rtpipe_sections.get_hookimpls():
            if implementation.plugin is plugin:
                return checked_sections(implementation.function(), self._section_owners)
        return {}

    def _add_stages(self, plugin: object, record: PluginRecord) -> None:
        stages: list[StageType | LazyKind] = []
        for implementation in self._manager.hook.rtpipe_stages.get_hookimpls():
            if implementation.plugin is plugin:
                stages.extend(
                    cast("Iterable[StageType | LazyKind]", implementation.function()),
                )
        for stage in stages:
            _check(stage)
        verdicts = [(stage.kind, self.kinds.add(stage, record)) for stage in stages]
        record.kinds = tuple(kind for kind, added in verdicts if added)
        record.duplicates = tuple(kind for kind, added in verdicts if not added)
        if record.duplicates:
            theirs = ", ".join(
                f"`{kind}` ({self.kinds.owner(kind).origin})" for kind in record.duplicates
            )
            record.fault = PluginFault(f"another plugin already has the kind {theirs}")


def _unmarked(plugin: object) -> PluginFault | None:
    """Return what is wrong with a plugin of which a function is called like a hook and is none."""
    for name in filter(_HOOK.match, vars(hookspecs)):
        given = getattr(plugin, name, None)
        marks = (f"{hookspecs.PROJECT}_impl", f"{hookspecs.PROJECT}_spec")
        if inspect.isroutine(given) and not any(hasattr(given, mark) for mark in marks):
            code = inspect.unwrap(given).__code__
            message = f"`{name}` has no `@hookimpl` above it, so that nobody calls it"
            return PluginFault(message, Path(code.co_filename), code.co_firstlineno)
    return None


def _check(stage: StageType | LazyKind) -> None:
    """Raise PluginError for what is no stage or has an impossible kind."""
    if isinstance(stage, LazyKind):
        name = f"LazyKind({stage.kind!r})"
        if stage.family not in get_args(Family):
            raise PluginError(f"{name}.family is {stage.family!r}, not one of {get_args(Family)}")
        if not _TARGET.fullmatch(stage.target):
            raise PluginError(f"{name}.target is {stage.target!r}; write `module:Class`")
    else:
        check_class(stage)
        check_defaults(stage.options_type)
        name = stage.__name__
    kind = getattr(stage, "kind", None)
    if not isinstance(kind, str) or not kind.isidentifier():
        raise PluginError(f"{name}.kind is {kind!r}; a kind is a word: `my_stage`")


def is_installed(module: str) -> bool:
    """Return whether a module belongs to an installed package, or is imported already."""
    top = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None:
        return module in sys.modules
    homes = [*site.getsitepackages(), site.getusersitepackages()]
    return module in sys.modules or any(Path(spec.origin).is_relative_to(each) for each in homes)


def _plugins_in(folder: Path) -> list[Path]:
    """Return the modules and packages in a folder that are plugins, and not installed anyway."""
    if not os.path.isdir(folder):  # noqa: PTH112 - a name that no system takes is no folder
        return []
    named = [path for path in sorted(folder.iterdir()) if not path.name.startswith(("_", "."))]
    modules = [
        path
        for path in named
        if source_of(path).is_file() and (path.suffix == ".py" or path.is_dir())
    ]
    return [path for path in modules if not _is_importable(path)]


def _is_importable(path: Path) -> bool:
    """Return whether `import NAME` finds it: then it is installed, and its entry points count."""
    if not path.stem.isidentifier():  # to look for `a.b` would import `a`
        return False
    try:
        spec = importlib.util.find_spec(path.stem)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == str(source_of(path.resolve()))
