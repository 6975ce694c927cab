"""How much the command says, and in which colours: the options that every command takes."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from rtpipe.wording.log_format import LogFormat

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(slots=True)
class Settings:
    """What the common options say.

    Attributes:
        verbosity: How many `-v` there were, less the `-q`.
        debug: Whether tracebacks are shown and every frame is checked.
        json_log: Whether what is said are lines of JSON.
    """

    verbosity: int = 0
    debug: bool = False
    json_log: bool = False

    def colour(self, stream: IO[str]) -> bool:
        """Return whether `stream` is to be coloured: a terminal, and `NO_COLOR` is not set."""
        return stream.isatty() and not os.environ.get("NO_COLOR")

    @property
    def log_format(self) -> LogFormat:
        """How what is said stands on stderr."""
        return LogFormat.JSON if self.json_log else LogFormat.of_stderr()

    @property
    def log_level(self) -> int:
        """The level of the `rtpipe` logger that `-v` and `-q` ask for."""
        steps = {1: logging.DEBUG, 0: logging.INFO, -1: logging.WARNING}
        return steps[max(-1, min(1, self.verbosity))]

    @classmethod
    def current(cls) -> Settings:
        """Return the settings of the command that is running."""
        return click.get_current_context().ensure_object(cls)


def common_options(command: F) -> F:
    """Add `-v`, `-q` and `--debug`; they may stand before or after the command's name."""
    for _, option in reversed(_OPTIONS):
        command = option(command)
    return command


def add_common_options(command: click.Command) -> None:
    """Let a plugin's command take them, too, but for what it has a use of its own for."""
    taken = {name for parameter in command.params for name in parameter.opts}
    for names, option in _OPTIONS:
        if taken.isdisjoint(names):
            option(command)


def _debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    settings = ctx.ensure_object(Settings)
    settings.debug = settings.debug or value


def _verbose(ctx: click.Context, _: click.Parameter, value: int) -> None:
    _louder(ctx, value)


def _quiet(ctx: click.Context, _: click.Parameter, value: int) -> None:
    _louder(ctx, -value)


def _louder(ctx: click.Context, steps: int) -> None:
    settings = ctx.ensure_object(Settings)
    settings.verbosity += steps
    logging.getLogger("rtpipe").setLevel(settings.log_level)


def _option(*names: str, **attributes: Any) -> tuple[tuple[str, ...], Callable[[Any], Any]]:
    return names, click.option(*names, expose_value=False, **attributes)


_OPTIONS: tuple[tuple[tuple[str, ...], Callable[[Any], Any]], ...] = (
    _option("-v", "--verbose", count=True, callback=_verbose, help="Say more."),
    _option("-q", "--quiet", count=True, callback=_quiet, help="Say less."),
    _option("--debug", is_flag=True, callback=_debug, help="Show tracebacks; check every frame."),
)
