"""What is left when a package is taken away: `python -m helpers.remainder` in such a tree.

Says what does not work: a module that cannot be imported, a command that cannot say what it takes
or list what there is. `tools/without.py` makes the tree, and an interpreter for it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LISTS = ("stages", "events", "plugins", "schema")


def modules() -> Iterator[str]:
    """Yield the name of every module of the tree, but for what only starts a program."""
    for top in ("pipeline", "plugins"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT / top).with_suffix("").parts)
            if not name.endswith("__main__"):
                yield name.removesuffix(".__init__")


def unimportable(excused: tuple[str, ...]) -> Iterator[str]:
    """Yield what cannot be imported and is in none of the `excused` packages."""
    for name in modules():
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            if not any(name == room or name.startswith(f"{room}.") for room in excused):
                yield f"import {name}: {error!r}"


def unusable() -> Iterator[str]:
    """Yield which commands fail to say what they take, or to list what there is."""
    import click
    from click.testing import CliRunner

    from rtpipe.cli import cli

    def paths(group: click.Group, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name in group.list_commands(click.Context(group)):
            yield (*above, name)
            command = group.get_command(click.Context(group), name)
            if isinstance(command, click.Group):
                yield from paths(command, (*above, name))

    asked = [(*path, "--help") for path in paths(cli, ())] + [(name,) for name in LISTS]
    for words in asked:
        result = CliRunner().invoke(cli, words)
        if result.exit_code:
            yield f"rtpipe {' '.join(words)}: {result.exit_code}, {result.exception!r}"


def main() -> int:
    """Write what does not work; return how many that is."""
    wrong = [*unimportable(tuple(sys.argv[1:])), *unusable()]
    sys.stdout.write("".join(f"{line}\n" for line in wrong))
    return min(len(wrong), 100)


if __name__ == "__main__":
    sys.exit(main())
