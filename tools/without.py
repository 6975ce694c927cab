"""Takes a package away and looks at what is left: it imports, its commands and its tests run.

    .venv/bin/python -m tools.without rtpipe_webrtc [ARGUMENTS OF PYTEST]

The package's folder is left out of a copy of the tree and its entry point out of the copy's
environment, so that neither an import nor a process of its own can find it. Most packages are
leaves: nobody names them (`named_in` finds who does, however late it imports), so what can break
is that the framework trips over their absence. `_MORE` has what else can be affected.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(sorted(path.parent.name for path in ROOT.glob("plugins/*/__init__.py")))
"""All that can be taken away; the framework cannot."""
NEEDED_BY = {
    "rtpipe_realtime_server": ("rtpipe_plugins.peers.realtime.embedded",),
    "rtpipe_webrtc": ("rtpipe_plugins.peers.realtime", "rtpipe_realtime_server"),
}
"""Who may name a package: `embedded` says that the server is absent, a library's users cannot do
without it. Nobody may name any other."""
_EXCUSED = {"rtpipe_webrtc": NEEDED_BY["rtpipe_webrtc"]}
"""What need not even import then."""
_FRAMEWORK = (
    "tests/pipeline/catalogue",  # finding plugins, and what is told of one that is absent
    "tests/pipeline/cli/test_commands.py",
    "tests/pipeline/cli/test_each.py",
    "tests/pipeline/cli/test_root.py",
    "tests/pipeline/cli/test_run.py",
    "tests/pipeline/language/test_sections.py",
    "tests/pipeline/running/test_extensions.py",
)
_REALTIME = "tests/plugins/peers/realtime"
_MORE = {
    "rtpipe_plugins": (  # no kind is left: what has its own
        "tests/pipeline/language/test_load.py",
        "tests/pipeline/running/test_runtime.py",
        "tests/realtime_server/test_commands.py",
        "tests/webrtc",
    ),
    "rtpipe_realtime_server": (  # whoever can have one embedded
        f"{_REALTIME}/test_embedded.py",
        f"{_REALTIME}/test_embedded_examinations.py",
        f"{_REALTIME}/test_embedded_server.py",
        f"{_REALTIME}/test_options.py",
        f"{_REALTIME}/test_why_not.py",
        f"{_REALTIME}/transports/test_memory.py",
        "tests/plugins/commands",
        "tests/plugins/test_examinations.py",
        "tests/plugins/test_imports.py",
    ),
    "rtpipe_webrtc": (  # the other kinds, and what shows them
        "tests/control/test_surface.py",
        "tests/plugins/transforms/test_gain.py",
        "tests/plugins/sources/test_tone.py",
    ),
}
_COPIED = ("pipeline", "plugins", "tests", "pipelines", "docs", "pyproject.toml", "README.md")


def named_in(package: str, top: Path = ROOT) -> list[str]:
    """Return which modules of other packages name `package`: an import anywhere in them, or text.

    What only type checkers import does not count; text is a module's path, as `LazyKind` takes it.
    """
    paths = [path for part in ("pipeline", "plugins") for path in (top / part).rglob("*.py")]
    found = []
    for path in sorted(paths):
        name = ".".join(path.relative_to(top).with_suffix("").parts[1:]).removesuffix(".__init__")
        if name.partition(".")[0] == package or package not in (text := path.read_text("utf-8")):
            continue
        if any(_names(node, package) for node in _run_by_python(ast.parse(text))):
            found.append(name)
    return found


def _run_by_python(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one, without what stands under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield from _run_by_python(child)


def _names(node: ast.AST, package: str) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] == package for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").partition(".")[0] == package
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith((f"{package}.", f"{package}:"))
    )


def tests_without(package: str) -> tuple[str, ...]:
    """Return the tests that its absence could break."""
    return (*_FRAMEWORK, *_MORE.get(package, ()))


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


def look_at_the_rest(package: str, folder: Path, arguments: Sequence[str] = ()) -> int:
    """Look at what is left in `folder`, where `package` is to be missing; 0 where all is well."""
    python = copy_without(package, folder)
    looked = [python, "-m", "helpers.remainder", *_EXCUSED.get(package, ())]
    beside = os.environ | {"PYTHONPATH": str(folder / "tests")}  # not in it: `plugins` are loaded
    if code := subprocess.call(looked, cwd=folder / ".venv", env=beside):
        return code
    command = [python, "-m", "pytest", "-q", "-m", "not slow", *arguments, *tests_without(package)]
    return subprocess.call(command, cwd=folder)


def main() -> int:
    """Say who names the package that must not, and look at what is left without it."""
    package, *arguments = sys.argv[1:]
    if package not in PACKAGES:
        sys.exit(f"without: one of {', '.join(PACKAGES)}")
    excused = NEEDED_BY.get(package, ())
    wrong = [n for n in named_in(package) if not any(f"{n}.".startswith(f"{e}.") for e in excused)]
    if wrong:
        sys.exit(f"without: {package} is needed by {', '.join(wrong)}")
    with tempfile.TemporaryDirectory() as folder:
        return look_at_the_rest(package, Path(folder), arguments)


if __name__ == "__main__":
    sys.exit(main())
