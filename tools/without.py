"""Takes a package away and runs the fast tests of the rest.

    .venv/bin/python -m tools.without rtpipe_webrtc [ARGUMENTS OF PYTEST]

The package's folder is left out of a copy of the tree and its entry point out of the copy's
environment, so that neither an import nor a process of its own can find it. What is tested is the
framework and each other package that does not import it; the tests of the whole (behaviour, docs,
judges) need all of them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = {
    "rtpipe": "tests/pipeline",
    "rtpipe_control": "tests/control",
    "rtpipe_plugins": "tests/plugins",
    "rtpipe_realtime_server": "tests/realtime_server",
    "rtpipe_service": "tests/service",
    "rtpipe_webrtc": "tests/webrtc",
}
"""Where each package's own tests stand."""
NEEDS = {"rtpipe_webrtc": ("rtpipe_plugins", "rtpipe_realtime_server")}
"""Libraries: who cannot do without them."""
_COPIED = ("pipeline", "plugins", "tests", "pipelines", "docs", "pyproject.toml", "README.md")


def copy_without(package: str, folder: Path) -> Path:
    """Make a tree without `package` in `folder`; returns the interpreter that sees only that."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("out"))
        else:
            shutil.copy(ROOT / name, folder / name)
    shutil.rmtree(folder / "plugins" / package)
    venv.create(folder / ".venv", with_pip=False)
    python = folder / ".venv" / "bin" / "python"
    ours = Path(
        subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        ).strip()
    )
    # Plain lines: the installed packages come along, what their own .pth files add does not. Those
    # of another environment, which such a file may have added here, do.
    installed = [path for path in sys.path if Path(path).name.endswith("-packages")]
    paths = (folder / "pipeline", folder / "plugins", *installed)
    (ours / "paths.pth").write_text("".join(f"{path}\n" for path in paths))
    _announce(package, ours)
    return python


def _announce(package: str, site: Path) -> None:
    """Write what an installed distribution announces, without `package`'s entry points."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = ["[rtpipe]"]
    for name, module in project["entry-points"]["rtpipe"].items():
        if module != package:
            lines.append(f"{name} = {module}")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def main() -> int:
    """Run the fast tests of the rest; return pytest's exit code."""
    package, *arguments = sys.argv[1:]
    if package not in TESTS or package == "rtpipe":
        sys.exit(f"without: one of {', '.join(name for name in TESTS if name != 'rtpipe')}")
    gone = {package, *NEEDS.get(package, ())}
    rest = [tests for name, tests in TESTS.items() if name not in gone]
    with tempfile.TemporaryDirectory() as folder:
        python = copy_without(package, Path(folder))
        command = [python, "-m", "pytest", "-q", "-m", "not slow", *arguments, *rest]
        return subprocess.call(command, cwd=folder)


if __name__ == "__main__":
    sys.exit(main())
