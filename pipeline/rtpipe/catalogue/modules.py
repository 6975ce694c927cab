"""Importing a file of the user's, wherever it lies: a plugin, or a module beside the pipeline."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from rtpipe.errors import PluginError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def source_of(path: Path) -> Path:
    """Return the file that is executed for a module: a package's is its `__init__.py`."""
    return path / "__init__.py" if path.is_dir() else path


def import_file(path: Path, *, again: bool = False) -> ModuleType:
    """Import a module by its path, under a name that no other file has.

    Two pipelines may each have a `tools.py` beside them.

    Args:
        path: A file, or the folder of a package.
        again: Execute it though it has been imported: it may have changed.

    Raises:
        PluginError: It is no Python module.
        Exception: Whatever its code raises.
    """
    path = path.resolve()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:10]
    name = f"rtpipe_file_{path.stem}_{digest}"
    if name in sys.modules and not again:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, source_of(path), submodule_search_locations=[str(path)] if path.is_dir() else None
    )
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
