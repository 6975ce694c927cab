"""What a stage's source says: options that nobody reads, and imports that everybody would pay."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtpipe.stage import Options, Stage

_FRAMEWORK = frozenset(
    {
        "rtpipe",
        "annotated_types",
        "av",
        "click",
        "numpy",
        "pluggy",
        "pydantic",
        "pydantic_core",
        "ruamel",
        "typing_extensions",
        "typing_inspection",
    }
)
"""What rtpipe itself loads to read a file or to run one."""
_ALL_AT_ONCE = {"model_dump", "model_dump_json", "model_copy", "__iter__"}
_MANY_MODULES = 100
_COUNT = "import sys; n = len(sys.modules); import {0}; print(len(sys.modules) - n)"


@lru_cache(maxsize=1)
def in_any_run() -> frozenset[str]:
    """Return the packages that are there whatever the pipeline: rtpipe's, and every plugin's."""
    points = importlib.metadata.entry_points(group="rtpipe")
    return frozenset({*_FRAMEWORK, *(point.module.partition(".")[0] for point in points)})


def unread_options(stage_type: type[Stage[Any]], read: set[str]) -> Iterator[str]:
    """Yield what is wrong with the options that nothing reads.

    Args:
        stage_type: The stage.
        read: Those that were read while it was tried.
    """
    fields = stage_type.options_type.model_fields
    unread = {name for name in fields.keys() - read if not _only_one(fields[name].annotation)}
    if not unread:
        return
    named = set[str]()
    for path in _sources(stage_type):
        named |= _attributes_read(path, path.stat().st_mtime_ns)
    for name in sorted(unread - named):
        yield f"nothing reads its option `{name}`: use `self.options.{name}`, or leave it out"


def _only_one(annotation: object) -> bool:
    """Return whether an option can have one value only, for others to come."""
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def reading(options: Options, read: set[str]) -> Options:
    """Return the same options, of a class that notes which of them are read."""
    given = type(options)

    def noted(self: Options, name: str) -> Any:
        if name in given.model_fields:
            read.add(name)
        elif name in _ALL_AT_ONCE:
            read.update(given.model_fields)
        return given.__getattribute__(self, name)

    made = type(given.__name__, (given,), {"__getattribute__": noted, "__module__": __name__})
    copied = options.model_copy()
    object.__setattr__(copied, "__class__", made)
    return copied


def heavy_imports(stage_type: type[Stage[Any]]) -> Iterator[str]:
    """Yield what is wrong with what the stage's module imports at its top."""
    module = sys.modules.get(stage_type.__module__)
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        return
    imported = _imported(Path(file))
    if "pytest" in imported:  # a stage of a test
        return
    own = {stage_type.__module__.partition(".")[0], *in_any_run(), *sys.stdlib_module_names}
    for name in sorted(imported - own):
        count = _modules_of(name)
        if count > _MANY_MODULES:
            yield (
                f"its module imports {name} at the top, {count} modules, and whoever lists the "
                "stages pays for it: import it in open()"
            )


def _sources(stage_type: type[Stage[Any]]) -> Iterator[Path]:
    """Yield the files in which the stage may use its options: its module's, and those beside it."""
    for each in (*stage_type.__mro__, *stage_type.options_type.__mro__):
        module = sys.modules.get(each.__module__)
        file = getattr(module, "__file__", None)
        if file is None or each.__module__.startswith(("rtpipe.", "pydantic.")):
            continue
        if module is not None and module.__package__:
            yield from Path(file).parent.rglob("*.py")
        elif Path(file).is_file():
            yield Path(file)


@lru_cache(maxsize=512)
def _attributes_read(path: Path, changed_ns: int) -> frozenset[str]:  # noqa: ARG001 - for the cache
    try:
        tree = ast.parse(path.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(found | {text for text in texts if isinstance(text, str)})


def _imported(path: Path) -> set[str]:
    """Return the packages that a module imports when it is imported."""
    try:
        body = ast.parse(path.read_text("utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return set()
    return {name for node in _run_at_once(body) for name in _names(node)}


def _run_at_once(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _run_at_once(node.orelse)
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _run_at_once(node.body)
        else:
            yield node


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level and node.module:
        return {node.module.partition(".")[0]}
    return set()


@lru_cache(maxsize=64)
def _modules_of(package: str) -> int:
    """Return how many modules importing a package brings, seen in another interpreter."""
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", _COUNT.format(package)]
    ran = subprocess.run(  # noqa: S603 - this interpreter
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    last = ran.stdout.split()[-1:]
    return int(last[0]) if ran.returncode == 0 and last and last[0].isdecimal() else 0
