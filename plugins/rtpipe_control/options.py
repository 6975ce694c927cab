"""What `rtpipe run` and the file ask of the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import click

from rtpipe_control.addresses import HOST, PORT, parse_address

if TYPE_CHECKING:
    from rtpipe import Pipeline
    from rtpipe_control.section import ControlOptions


def run_options() -> list[click.Option]:
    """Return what `rtpipe run` takes."""
    return [
        click.Option(
            ["--control"],
            is_flag=False,
            flag_value=f"{HOST}:{PORT}",
            metavar="[HOST:PORT]",
            callback=_asked,
            help=f"Serve the page and the HTTP interface, at {HOST}:{PORT} if none is said.",
        ),
        click.Option(
            ["--no-control"],
            is_flag=True,
            callback=_from_command_line,
            help="Open nothing by which others can look at the run or steer it.",
        ),
    ]


def _asked(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            parse_address(value)
        except ValueError as error:
            told = f"{error}; behind `--control` stands a file: write it before the option"
            raise click.BadParameter(f"{error}." if ":" in value else f"{told}.") from error
    return value


def _from_command_line(ctx: click.Context, _: click.Parameter, value: bool) -> bool | None:  # noqa: FBT001 - click's way
    """Return None where no command line was read: in a program, which steers by itself."""
    return value if ctx.parent is not None else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be opened beside the private socket.

    Attributes:
        tcp: The page, and how; None: it is not wanted.
        at_a_terminal: Whether a command was typed, and its terminal may be shown what opens the
            page.
        refused: Why what the command line asks for cannot be; "" where it can.
    """

    tcp: ControlOptions | None
    at_a_terminal: bool = False
    refused: str = ""

    @classmethod
    def by(cls, pipeline: Pipeline) -> Wanted | None:
        """Return what the file and the command line ask for; None: nothing at all.

        Nothing is opened on a virtual clock: there, sockets have no time. In a program, that steers
        by itself, only what its file asks for.
        """
        asked: Any = pipeline.run_options.get("control")
        closed: Any = pipeline.run_options.get("no_control")
        section = cast("ControlOptions | None", pipeline.sections.get("control"))
        if closed or (closed is None and section is None) or pipeline.clock.virtual:
            return None
        refused = ""
        if asked is not None:
            from pydantic import ValidationError

            from rtpipe_control.section import ControlOptions

            given = {} if section is None else dict(section)
            try:
                section = ControlOptions.model_validate({**given, "listen": asked})
            except ValidationError as error:
                section, refused = None, error.errors()[0]["msg"].removeprefix("Value error, ")
        return cls(section, at_a_terminal=closed is not None, refused=refused)
