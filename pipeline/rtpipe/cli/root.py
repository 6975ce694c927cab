"""The command itself: finds its subcommands, and turns what they raise into text and exit codes."""

from __future__ import annotations

import copy
import faulthandler
import importlib
import io
import logging
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click

import rtpipe
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli import process
from rtpipe.cli.command_list import greeting, grouped
from rtpipe.cli.output import Output
from rtpipe.cli.settings import Settings, add_common_options, common_options
from rtpipe.errors import ConfigError, ExitCode, PluginError, RtpipeError, printable
from rtpipe.hookspecs import LazyCommand
from rtpipe.wording.diagnostics import did_you_mean
from rtpipe.wording.rendering import render, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

_COMMANDS = (
    LazyCommand("run", "Run a pipeline.", "rtpipe.cli.commands.run:run"),
    LazyCommand(
        "validate",
        "Check pipeline files without opening anything.",
        "rtpipe.cli.commands.validate:validate",
    ),
    LazyCommand(
        "print", "Print the file as rtpipe understands it.", "rtpipe.cli.commands.show:print_"
    ),
    LazyCommand("graph", "Show which stage reads which.", "rtpipe.cli.commands.show:graph"),
    LazyCommand(
        "stages",
        "List the installed stages, or describe one.",
        "rtpipe.cli.commands.catalog:stages",
    ),
    LazyCommand(
        "events", "List the events that stages publish.", "rtpipe.cli.commands.catalog:events"
    ),
    LazyCommand(
        "plugins",
        "List the plugins and what became of them.",
        "rtpipe.cli.commands.catalog:plugins",
    ),
    LazyCommand(
        "schema", "Print the JSON Schema of a pipeline file.", "rtpipe.cli.commands.catalog:schema"
    ),
    LazyCommand(
        "trust", "Let looking at a folder run the plugins in it.", "rtpipe.cli.commands.trust:trust"
    ),
    LazyCommand(
        "explain",
        "Explain a diagnostic's code, E102 for instance.",
        "rtpipe.cli.commands.explain:explain",
    ),
    LazyCommand(
        "completion",
        "Let a shell complete what is typed after `rtpipe`.",
        "rtpipe.cli.commands.completion:completion",
    ),
)

_PLUGINS = "rtpipe.plugins"
_EXIT_S = 3.0
"""How long Python's own end may take once the command is done."""


class RtpipeGroup(click.Group):
    """The root: our own commands by name, then those that plugins add for this run.

    A plugin's command may have the name of one of ours: it is called where there is an argument
    that ours does not take. `rtpipe events` is ours, `rtpipe events kiosk` the plugin's.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        own = [command.name for command in _COMMANDS]
        eager, lazy = self._of_plugins(ctx)
        return [*own, *sorted({*super().list_commands(ctx), *eager, *lazy}.difference(own))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now; plugins are loaded only for what is not our own."""
        for own in _COMMANDS:
            if own.name == cmd_name:
                return _imported(own)
        known = super().get_command(ctx, cmd_name)
        if known is not None:
            return known
        eager, lazy = self._of_plugins(ctx)
        return _imported(lazy[cmd_name]) if cmd_name in lazy else eager.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with; raise click's usage error if there is none."""
        if not args or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        name, *rest = args
        command = self.get_command(ctx, name)
        if command is None:
            if ctx.resilient_parsing:
                return None, None, rest
            hint = did_you_mean(name, self.list_commands(ctx))
            ctx.fail(f"no command `{name}`{f'; {hint}' if hint else ''}")
        is_own = any(own.name == name for own in _COMMANDS)
        return name, self._one_of_two(ctx, name, command, rest) if is_own else command, rest

    def beside(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command of a plugin that has the name of one of ours, if there is one."""
        eager, lazy = self._of_plugins(ctx)
        return _imported(lazy[name]) if name in lazy else eager.get(name)

    def _one_of_two(
        self, ctx: click.Context, name: str, own: click.Command, args: list[str]
    ) -> click.Command:
        """Return our own command, or the plugin's of the same name where `args` are for that."""
        if _takes(own, args, ctx) and not (ctx.resilient_parsing and not args):
            if not set(ctx.help_option_names) & set(args):
                return own
            other = self.beside(ctx, name)
            if other is not None:
                own = copy.copy(own)
                summary = other.get_short_help_str(200)
                own.epilog = f"With an argument: {summary} `rtpipe {name} ... --help` says more."
            return own
        return self.beside(ctx, name) or own

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin with `incomplete`, none of them imported."""
        from click.shell_completion import CompletionItem

        eager, lazy = self._of_plugins(ctx)
        summaries = {command.name: command.summary for command in (*lazy.values(), *_COMMANDS)}
        for name, command in {**eager, **self.commands}.items():
            if not command.hidden:
                summaries.setdefault(name, command.get_short_help_str(80))
        found = [
            CompletionItem(name, help=summaries[name])
            for name in self.list_commands(ctx)
            if name in summaries and name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing our own."""
        eager, lazy = self._of_plugins(ctx)
        added = []
        for name in {*self.commands, *eager, *lazy}:
            command = self.commands.get(name) or eager.get(name)
            if name in lazy:
                added.append((name, lazy[name].summary))
            elif command is not None and not command.hidden:
                added.append((name, command.get_short_help_str(limit=80)))
        own = ((command.name, command.summary) for command in _COMMANDS)
        for title, rows in grouped(own, added):
            with formatter.section(title):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what it raises becomes text on stderr and an exit code."""
        settings = ctx.ensure_object(Settings)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except RtpipeError as error:
            _fail(ctx, error, settings)
        except Exception as error:
            if settings.debug:
                raise
            text = f"internal error: {type(error).__name__}: {printable(f'{error}')}"
            help = "  = help: run it again with --debug and report what it prints"
            _say(f"{text}\n{help}", settings)
            ctx.exit(ExitCode.FAILED)

    def _of_plugins(
        self, ctx: click.Context
    ) -> tuple[dict[str, click.Command], dict[str, LazyCommand]]:
        """Return the commands that plugins add, by name, and those that are imported when called.

        Kept with the run: this group serves several, with other plugins, in one process.
        """
        if _PLUGINS not in ctx.meta:
            added = click.Group()
            registry = Registry.discover()
            lazy = {command.name: command for command in registry.add_commands(added)}
            for command in added.commands.values():
                add_common_options(command)
            for record in () if ctx.resilient_parsing else registry.faulty:
                _say(
                    printable(
                        f"warning: the plugin `{record.name}` ({record.origin}) cannot be used: "
                        f"{record.error}"
                    )
                )
            ctx.meta[_PLUGINS] = (added.commands, lazy)
        found: tuple[dict[str, click.Command], dict[str, LazyCommand]] = ctx.meta[_PLUGINS]
        return found


def _takes(command: click.Command, args: list[str], ctx: click.Context) -> bool:
    """Return whether a command has a use for each of `args` that is no option."""
    if any(each.nargs < 0 for each in command.params if isinstance(each, click.Argument)):
        return True
    with command.make_context(
        command.name, [], parent=ctx, resilient_parsing=True, ignore_unknown_options=True
    ) as tried:
        try:
            _, left, _ = command.make_parser(tried).parse_args(list(args))
        except click.UsageError:
            return True  # which it can say best itself
    return all(arg.startswith("-") for arg in left)


def _imported(lazy: LazyCommand) -> click.Command:
    module, _, name = lazy.target.partition(":")
    try:
        command: object = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise PluginError(
            f"the command `{lazy.name}` cannot be imported from {lazy.target}: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(command, click.Command):
        raise PluginError(f"{lazy.target} is no click command")
    add_common_options(command)
    return command


def _fail(ctx: click.Context, error: RtpipeError, settings: Settings) -> NoReturn:
    if settings.debug:
        traceback.print_exception(error)
    if isinstance(error, ConfigError):
        text = render(error.diagnostics, colour=settings.colour(sys.stderr))
        _say(f"{text}\n\n{tally(error.diagnostics)}{error.looked_at}", settings)
    else:
        help = f"\n  = help: {error.help}" if error.help else ""
        _say(printable(f"error: {error.message}{help}"), settings)
    ctx.exit(error.exit_code)


def _say(text: str, settings: Settings | None = None, level: int = logging.ERROR) -> None:
    """Write a line to stderr, as far as there is one: the exit code must not depend on it."""
    stderr = Output(sys.stderr)
    stderr.write((settings or Settings()).log_format.dressed(text, level))
    stderr.finish()


@click.group(
    cls=RtpipeGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(rtpipe.__version__, "-V", "--version", prog_name="rtpipe")
@common_options
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A YAML file becomes a live audio pipeline.

    `rtpipe run pipelines/kiosk.yaml` runs one; `rtpipe stages` lists what can stand in it.
    """
    if ctx.invoked_subcommand is None:
        assert isinstance(ctx.command, RtpipeGroup)
        click.echo(greeting(ctx.command.list_commands(ctx)))


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with one of the codes of `rtpipe.errors.ExitCode`."""
    if args is None:
        _prepare_process()
    code: object = ExitCode.OK
    try:
        cli.main(None if args is None else list(args), prog_name="rtpipe", standalone_mode=True)
    except BrokenPipeError:
        code = ExitCode.FAILED
    except SystemExit as ended:
        code = ended.code
    if args is None:
        _leave_within(_EXIT_S, code)
    sys.exit(code)


def _prepare_process() -> None:
    """Make the standard streams safe to write to, and let a crash in C name the line of Python."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # started without it: the next file that is opened must not take its place
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with suppress(OSError, ValueError, RuntimeError):
        faulthandler.enable()
    process.collect_rarely()


def _leave_within(seconds: float, code: object) -> None:
    """Leave with `code` though threads that are stuck keep Python from ending."""

    def leave() -> None:
        time.sleep(seconds)
        stuck = [each.name for each in threading.enumerate() if not each.daemon]
        _say(f"warning: left behind threads that do not end: {', '.join(stuck)}")
        os._exit(code if isinstance(code, int) else ExitCode.FAILED)

    threading.Thread(target=leave, name="rtpipe-exit", daemon=True).start()
