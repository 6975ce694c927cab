"""`module:function` in a file: a function of the user's."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from rtpipe import PluginError, import_file
from rtpipe_plugins.child.source import beside

if TYPE_CHECKING:
    from collections.abc import Callable
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


def _module(name: str, folder: Path | None) -> ModuleType:
    path = beside(name, folder)
    if path is None:
        return importlib.import_module(name)
    return import_file(path)
