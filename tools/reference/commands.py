"""The page about commands, from click's own tree."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from rtpipe.cli import cli
from tools.reference.markdown import fenced, table

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMON = {"-v", "-q", "--debug", "-h"}
"""Options that almost every command has; described once."""


def commands_page() -> Iterator[str]:
    """Yield the paragraphs about every command."""
    root = _root()
    names = [below for name in cli.list_commands(root) for below in _with_those_below(name)]
    yield "# Commands"
    yield (
        "Data goes to stdout, everything else to stderr. What a command ends with is in "
        "[exit codes](exit-codes.md)."
    )
    yield table(
        ("Command", ""),
        [
            (
                f"[`rtpipe {name}`](#rtpipe-{name.replace(' ', '-')})",
                _command(name).get_short_help_str(200),
            )
            for name in names
        ],
    )
    yield "## Everywhere"
    rows = {row[0]: row for name in names for row in _options(_command(name), root, common=True)}
    yield table(("Option", ""), [*_options(cli, root), *rows.values()], unique=True)
    for name in names:
        command = _command(name)
        context = click.Context(command, info_name=name, parent=root)
        yield f"## rtpipe {name}"
        usage = " ".join(command.collect_usage_pieces(context))
        yield fenced(f"rtpipe {name} {usage}", "text")
        yield inspect.cleandoc(command.help or "").replace("\b\n", "")
        yield table(("Option", ""), _options(command, context))
        beside = cli.beside(root, name)
        if beside is not None and beside is not command:
            context = click.Context(beside, info_name=name, parent=root)
            usage = " ".join(beside.collect_usage_pieces(context))
            yield "With an argument it is another command:"
            yield fenced(f"rtpipe {name} {usage}", "text")
            yield inspect.cleandoc(beside.help or "").replace("\b\n", "")
            yield table(("Option", ""), _options(beside, context))


def _root() -> click.Context:
    return click.Context(cli, info_name="rtpipe", **cli.context_settings)


def _with_those_below(name: str) -> list[str]:
    """Return a command; of a group, those in it."""
    command = _command(name)
    if not isinstance(command, click.Group):
        return [name]
    return [f"{name} {below}" for below in command.list_commands(_root())]


def _command(name: str) -> click.Command:
    command: click.Command | None = cli
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.get_command(_root(), word)
    assert command is not None
    return command


def _options(
    command: click.Command, context: click.Context, *, common: bool = False
) -> list[tuple[str, str]]:
    """Return the rows of a command's options: its own, or those that many commands share."""
    rows: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        is_common = bool(_COMMON & set(parameter.opts)) and command is not cli
        if record is not None and record[1] and is_common is common:
            rows.append((f"`{record[0]}`", record[1]))
    return rows
