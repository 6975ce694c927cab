"""`module:function` in a file: a function of the user's."""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from rtpipe import Finding, PluginError, import_file
from rtpipe.examination import missing_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

TargetName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]


def function_at(target: str, folder: Path | None = None) -> Callable[..., Any]:
    """Return the function that `target` names.

    Args:
        target: `module:function`.
        folder: Where a module that is not installed may lie, as `module.py`; such a one comes
            first.

    Raises:
        PluginError: There is no such module, or no such function in it.
    """
    module, _, name = target.partition(":")
    try:
        found: Any = _module(module, folder)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # importing runs code that may raise anything
        raise PluginError(
            f"cannot import {target}: {type(error).__name__}: {error}",
            help="the module must be installed, or lie in a folder of PYTHONPATH",
        ) from error
    if not callable(found):
        raise PluginError(f"{target} is not a function")
    return found  # type: ignore[no-any-return]  # it is callable


def missing_function(target: str, folder: Path | None, option: str) -> Iterator[Finding]:
    """Yield what is wrong with `target`, importing nothing: a module of the user's is parsed.

    Args:
        target: `module:function`.
        folder: As for `function_at`.
        option: Which option names it.
    """
    module, _, name = target.partition(":")
    path = _beside(module, folder)
    if path is None:
        package = module.partition(".")[0]
        if missing_modules([package]):
            help = f"put {package}.py beside the pipeline file, or install it"
            yield Finding("missing", f"there is no module `{package}`", option, help)
        return
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except SyntaxError as error:
        place = f"{path.name}, line {error.lineno}"
        yield Finding("wrong", f"{place}: {error.msg}", option)
        return
    bound = set(_bound(tree))
    if name.partition(".")[0] not in bound and not bound & {"*", "__getattr__"}:
        yield Finding("wrong", f"{path.name} has no `{name}`", option)


def _bound(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module binds anywhere: one that is not among them is not there."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.alias():
                yield node.asname or node.name.partition(".")[0]


def _beside(name: str, folder: Path | None) -> Path | None:
    path = None if folder is None else (folder / name.replace(".", "/")).with_suffix(".py")
    return path if path is not None and path.is_file() else None


def _module(name: str, folder: Path | None) -> ModuleType:
    path = _beside(name, folder)
    if path is None:
        return importlib.import_module(name)
    return import_file(path)
