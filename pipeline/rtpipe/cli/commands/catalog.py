"""`rtpipe stages`, `events`, `plugins` and `schema`: what is installed."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from rtpipe.catalogue.plugins import Registry
from rtpipe.catalogue.trust import Trust
from rtpipe.cli.options import json_option, plugin_options, print_json
from rtpipe.cli.settings import Settings, common_options
from rtpipe.errors import ExitCode, RtpipeError, printable, reason_of
from rtpipe.hookspecs import Family
from rtpipe.wording.diagnostics import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtpipe.catalogue.kinds import Kinds

_WIDTH = 96


def _registry(
    plugins_dirs: Sequence[Path], *, trust: bool, whole: bool = True, place: Path | None = None
) -> Registry:
    """Return what is installed, what is in `plugins` of a place, and in some more folders.

    Args:
        plugins_dirs: The folders: who names them asks for their code.
        trust: Whether the code in ./plugins may be run, though nobody trusted this folder before.
        whole: Import every kind, so that those that cannot be are among what is told.
        place: The folder that holds `plugins`; None: this one.
    """
    registry = _looked_for(plugins_dirs, trust=trust, place=place)
    if whole:
        registry.kinds.importable()
    for record in registry.faulty:
        click.echo(
            f"warning: the plugin `{record.name}` ({record.origin}) cannot be used: {record.error}",
            err=True,
        )
    _tell_withheld(registry)
    return registry


def _looked_for(
    plugins_dirs: Sequence[Path], *, trust: bool, place: Path | None = None
) -> Registry:
    registry = Registry.discover()
    if trust:
        registry.trust = Trust(everything=True)
    registry.add_beside(place or Path.cwd())
    for folder in plugins_dirs:
        registry.add_folder(folder)
    return registry


def _tell_withheld(registry: Registry) -> None:
    """Say on one line what was not run, and what lets it run."""
    for withheld in registry.trust.withheld:
        click.echo(f"warning[E404]: {withheld.message}; {withheld.help}", err=True)


@click.command()
@click.argument("kind", required=False)
@json_option
@plugin_options
@common_options
def stages(kind: str | None, plugins_dirs: tuple[Path, ...], *, trust: bool, as_json: bool) -> None:
    """List the installed stages, or describe one: its options, events and actions.

    Plugins are looked for among the installed packages, in ./plugins, and in --plugins-dir.
    """
    registry = _registry(plugins_dirs, trust=trust, whole=as_json and kind is None)
    kinds = registry.kinds
    if kind is not None and kind not in kinds:
        withheld = registry.trust.withheld
        hint = did_you_mean(kind, kinds) or "`rtpipe stages` lists them"
        if withheld:
            hint = f"it may be one of those that were not run: {withheld[0].help}"
        raise click.UsageError(f"no stage is called `{kind}`; {hint}")
    if kind is None and not as_json:
        _list(kinds)
        return
    from rtpipe.catalogue.describe import describe_stage

    wanted = kinds.importable() if kind is None else {kind: kinds[kind]}
    pages = [describe_stage(wanted[name], kinds.owner(name).origin) for name in sorted(wanted)]
    if as_json:
        print_json(pages if kind is None else pages[0])
    else:
        click.echo(_page(pages[0]))


def _list(kinds: Kinds) -> None:
    """Print the kinds by family, from what is known of them without an import."""
    for family in get_args(Family):
        rows = [(name, kinds.summary(name)) for name in kinds.of_family(family)]
        if rows:
            click.echo(f"{family}s")
            click.echo(_table(rows))


@click.command()
@json_option
@plugin_options
@common_options
def events(plugins_dirs: tuple[Path, ...], *, trust: bool, as_json: bool) -> None:
    """List the events that stages publish, for `match:` in a pipeline file."""
    from rtpipe.catalogue.describe import describe_events

    found = describe_events(_registry(plugins_dirs, trust=trust))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            event["type"],
            f"{_told(event)} [{', '.join(event['published_by'])}]",
        )
        for event in found
    ]
    click.echo(_table(rows))


@click.command()
@json_option
@plugin_options
@common_options
def plugins(plugins_dirs: tuple[Path, ...], *, trust: bool, as_json: bool) -> None:
    """List the plugins, where they come from, and what became of them."""
    registry = _looked_for(plugins_dirs, trust=trust)
    _tell_withheld(registry)
    if as_json:
        print_json(
            [
                {
                    "name": r.name,
                    "origin": r.origin,
                    "kinds": list(r.kinds),
                    "adds": registry.adds(r),
                    "error": r.error,
                }
                for r in registry.records
            ]
            + [
                {
                    "name": name,
                    "origin": str(each.folder),
                    "kinds": [],
                    "adds": {},
                    "error": "was not run",
                }
                for each in registry.trust.withheld
                for name in each.names
            ]
        )
    for record in [] if as_json else registry.records:
        click.echo(f"{record.name} ({record.origin})")
        if record.kinds:
            click.echo(_wrapped(", ".join(record.kinds), "  "))
        for what, names in registry.adds(record).items():
            click.echo(_wrapped(f"{what}: {', '.join(names)}", "  "))
        if record.fault is not None:
            click.echo(_wrapped(f"cannot be used: {record.fault.message}", "  "))
            if Settings.current().debug:
                click.echo(record.fault.trace, err=True)
    if registry.faulty:
        click.get_current_context().exit(ExitCode.CONFIGURATION)


@click.command()
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write it into FOLDER, with settings for an editor, in place of printing it.",
)
@plugin_options
@common_options
def schema(plugins_dirs: tuple[Path, ...], folder: Path | None, *, trust: bool) -> None:
    """Print the JSON Schema of a pipeline file, for the plugins that are installed.

    `rtpipe schema --write .` writes `rtpipe.schema.json`; an editor finds it by a pipeline file's
    first line, `# yaml-language-server: $schema=./rtpipe.schema.json`.
    """
    from rtpipe.catalogue.editor import MODELINE, schema_text, write_editor_files

    registry = _registry(plugins_dirs, trust=trust, place=folder)
    if folder is None:
        click.echo(printable(schema_text(registry)), nl=False)
        return
    try:
        written = write_editor_files(folder, registry=registry)
    except OSError as error:
        raise RtpipeError(
            f"cannot write to {folder}: {reason_of(error)}", exit_code=ExitCode.NO_PERMISSION
        ) from None
    for path in written:
        click.echo(f"wrote {printable(str(path))}")
    click.echo(f"begin each pipeline file there with the line\n{MODELINE}", err=True)


def _page(stage: dict[str, Any]) -> str:
    """Return a kind's page, in the manner of gst-inspect."""
    parts = [f"{stage['kind']}, a {stage['family']}"]
    if stage["description"]:
        parts.append(textwrap.indent(stage["description"], "  "))
    facts = [("from", stage["plugin"])]
    if stage["family"] in {"transform", "peer", "sink"}:
        takes = stage["accepts"] or "any audio"
        if stage["frame_ms"]:
            takes += f", in frames of {stage['frame_ms']:g} ms"
        facts.append(("takes", f"{takes}{'; several inputs' if stage['many_inlets'] else ''}"))
    parts.append(_table(facts))
    options = [
        (
            f"{option['name']}{' *' if option['name'] == stage['main'] else ''}",
            " ".join(
                filter(None, [f"{option['type']} ({option['default']}).", option["description"]])
            ),
        )
        for option in stage["options"]
    ]
    if options:
        star = f"   (* a bare value: `{stage['kind']}: value`)" if stage["main"] else ""
        parts.append(f"Options{star}\n{_table(options)}")
    if stage["events"]:
        rows = [(event["type"], _told(event)) for event in stage["events"]]
        parts.append(f"Events\n{_table(rows)}")
    if stage["actions"]:
        rows = [(action["call"], action["summary"]) for action in stage["actions"]]
        parts.append(f"Actions\n{_table(rows)}")
    parts.append(f"Example\n{textwrap.indent(stage['example'], '  ')}")
    return "\n\n".join(parts)


def _told(event: dict[str, Any]) -> str:
    """Return how important an event is, and what it says."""
    return f"({', '.join(event['importance'])}) {event['summary']}".rstrip()


def _table(rows: Iterable[tuple[str, str]]) -> str:
    listed = list(rows)
    width = min(max((len(name) for name, _ in listed), default=0), 30)
    lines: list[str] = []
    for name, text in listed:
        head = f"  {name:{width}}  "
        if len(name) > width and text:
            lines.append(f"  {name}")
            head = " " * (width + 4)
        lines.append(_wrapped(text, head, " " * (width + 4)))
    return "\n".join(lines)


def _wrapped(text: str, head: str, indent: str | None = None) -> str:
    filled = textwrap.fill(
        text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=head if indent is None else indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled or head.rstrip()
