"""`module:function` in a file: a function of the user's."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from rtpipe import PluginError

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
    path = None if folder is None else (folder / name.replace(".", "/")).with_suffix(".py")
    if path is None or not path.is_file():
        return importlib.import_module(name)
    # Under a name of its own: two pipelines may each have a `tools.py` beside them.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:10]
    unique = f"rtpipe_module_{path.stem}_{digest}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module
