"""`rtpipe forget`: deletes what was kept of a conversation, and says what it could not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtpipe import ExitCode, reason_of
from rtpipe.errors import printable
from rtpipe_plugins.commands.forget.deletion import InUse, delete, rewrite
from rtpipe_plugins.commands.forget.search import Found, Wanted, search

if TYPE_CHECKING:
    from collections.abc import Callable

_ELSEWHERE = (
    "not reached from here: what was sent on (webhook, mqtt, exec, stream), what the provider of "
    "the model keeps, copies and backups"
)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--session", default="", help="The `session_id` of the conversation.")
@click.option(
    "--before", metavar="DATE", help="What was written before: 2026-05-01, or with T12:30."
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="This file in the folder, and what lies beside it; may be given again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(
    folder: Path,
    *,
    session: str,
    before: str | None,
    files: tuple[Path, ...],
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete what was kept of a conversation: recordings, transcripts and lines of event files."""
    if sum((bool(session), before is not None, bool(files))) != 1:
        raise click.UsageError("say one of --session, --before and --file")
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {folder}", param_hint="FOLDER")
    wanted = Wanted(session, _date(before), tuple(_inside(folder, each) for each in files))
    found = search(folder, wanted)
    _show(found)
    if not found.files and not found.lines:
        _say(f"nothing to delete in {folder}")
    elif not dry_run:
        if not yes:
            click.confirm("Delete all this?", abort=True)
        left = _delete(found, wanted)
        _say(_ELSEWHERE)
        if left:
            raise SystemExit(ExitCode.FAILED)
        return
    if dry_run:
        _say("nothing was deleted (--dry-run)")
    _say(_ELSEWHERE)


def _show(found: Found) -> None:
    for path, reason in found.files.items():
        _say(f"delete  {path}  ({reason})")
    for path, count in found.lines.items():
        _say(f"delete  {count} line{'s' * (count != 1)} of {path}")
    for path, sessions in found.others.items():
        _say(f"  note  {path} tells of other conversations, too: {', '.join(sorted(sessions))}")
    for path, why in found.unclear.items():
        _say(f"  left  {path}  ({why}; --file deletes it)")


def _delete(found: Found, wanted: Wanted) -> int:
    """Delete and say so; return how much could not be."""
    left = 0
    steps: list[tuple[Path, Callable[[Path], str]]] = [
        *((path, lambda path: f"{path}, {delete(path)} bytes") for path in found.files),
        *((path, lambda path: f"{rewrite(path, wanted)} lines of {path}") for path in found.lines),
    ]
    for path, step in steps:
        try:
            _say(f"deleted  {step(path)}")
        except InUse:
            left += 1
            _say(f"NOT deleted  {path}: it is in use; end the recording or the pipeline first")
        except OSError as error:
            left += 1
            _say(f"NOT deleted  {path}: {reason_of(error)}")
    return left


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.BadParameter(
            f"{text} is no date as 2026-05-01 is", param_hint="--before"
        ) from None


def _inside(folder: Path, path: Path) -> Path:
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
        raise click.BadParameter(f"{path} is not in {folder}", param_hint="--file")
    return path


def _say(text: str) -> None:
    click.echo(printable(text))
