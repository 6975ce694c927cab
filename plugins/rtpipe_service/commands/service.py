"""`rtpipe service`: writes a unit, looks whether all is there, renews and removes it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from rtpipe import EnvironmentProblem, ExitCode, RtpipeError, StageError
from rtpipe.errors import printable
from rtpipe_service import checks, making, systemd
from rtpipe_service.trial import GOOD, WITHIN_S, Files, Supervisor, replaced

_PATH = click.Path(path_type=Path)
_SIGNS = {"ok": "ok", "missing": "--", "wrong": "--", "unknown": "??", "odd": "??"}


@click.group()
def service() -> None:
    """Make a pipeline a service of systemd, and look after it."""


def _where(command: Any) -> Any:
    command = click.option("--to", "folder", type=_PATH, metavar="FOLDER", hidden=True)(command)
    return click.option("--user", is_flag=True, help="Of your own manager, not the system's.")(
        command
    )


def _asking(command: Any) -> Any:
    """Add what a service is made by beside its files."""
    for option in (
        click.option("--name", default="", help="Of the unit; else as the pipeline is called."),
        click.option("--as", "owner", default="", metavar="USER", help="Who it runs as."),
        click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set a variable."),
        click.option("--env-file", type=_PATH, help="A file of NAME=VALUE lines, for keys."),
        click.option(
            "--credential",
            "credentials",
            multiple=True,
            metavar="NAME=FILE",
            help="Where ${cred:NAME} is; else /etc/rtpipe/NAME.key.",
        ),
    ):
        command = option(command)
    return _where(command)


@service.command()
@_asking
@click.option("--dry-run", is_flag=True, help="Show the unit, write nothing.")
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="FILE [OVERLAY]...")
def install(files: tuple[Path, ...], *, dry_run: bool, **said: Any) -> None:
    """Write a unit that runs FILE, and say what to type next.

    Its process is watched and started again by its exit code; keys come from files that only root
    reads; a change of FILE that does not become ready within 60 s is rolled back.
    """
    asked = making.Asked(**said)
    made = making.service_of(files, asked)
    text = making.noted(made, made.unit())
    path = asked.path_of(made.name)
    if dry_run:
        click.echo(f"# {path}\n{text}", nl=False)
        return
    _say(f"checked {' '.join(map(str, files))}: it is a pipeline")
    _write(path, text)
    if not systemd.is_running():
        _say("systemd does not run here: it reads the unit at its next start")
    else:
        _systemctl(asked, "daemon-reload")
    scope = " --user" if asked.user else ""
    sudo = "" if asked.user else "sudo "
    who = "" if asked.user else f", as {made.user}"
    click.echo(f"\nnext{who}:")
    for name, key in made.credentials.items():
        click.echo(f"  {sudo}install -D -m 600 /dev/stdin {key}   # paste {name}, then Ctrl-D")
    if made.has_sound:
        click.echo(f"  sudo loginctl enable-linger {made.user or '$USER'}   # sound with no login")
    click.echo(f"  {sudo}rtpipe service check{scope} {made.name}")
    click.echo(f"  {sudo}systemctl{scope} enable --now {made.name}")
    click.echo(f"  {sudo}journalctl{scope} --follow --unit {made.name}")


@service.command()
@_asking
@click.argument("what", metavar="NAME|FILE")
def check(what: str, **said: Any) -> None:
    """Look at everything that a service needs; exits with 69 where something is lacking."""
    asked = making.Asked(**said)
    if Path(what).is_file():
        made = making.service_of([Path(what)], asked)
    else:
        made = making.installed(asked.path_of(making.checked_name(what)))
    unit = asked.path_of(made.name)
    lacking = []
    for found in checks.look(made, unit):
        click.echo(printable(f"{_SIGNS[found.status]}  {found.name}: {found.message}"))
        if found.help:
            click.echo(printable(f"      = help: {found.help}"))
        if found.status in {"missing", "wrong"}:
            lacking.append(found.name)
    if lacking:
        text = f"{made.name} lacks {', '.join(lacking)}"
        raise RtpipeError(text, exit_code=ExitCode.UNAVAILABLE)


@service.command()
@_where
@click.argument("name")
@click.argument("file", type=_PATH)
def update(name: str, file: Path, **said: Any) -> None:
    """Put FILE in the place of the service's file, and start it again.

    The one it had is kept. A new one that does not become ready is taken back.
    """
    asked = making.Asked(**said)
    made = making.installed(asked.path_of(making.checked_name(name)))
    place = made.files[0]
    new = _read(file)
    files = Files(made.files, checks.state_folder(made))
    if not files.has_good:
        _refuse(files.keep())
        _say(f"kept {place} as {place.name}{GOOD}")
    before = _read(place)
    _refuse(replaced(place, new))
    _say(f"put {file} in the place of {place}")
    if not systemd.is_running():
        _say(f"systemd does not run here: it is tried at the next start, for {WITHIN_S:g} s")
        return
    started = systemd.systemctl("restart", made.name, user=asked.user)
    why = files.refused or (started.stderr.strip() if started.returncode else "")
    if not why:
        _refuse(files.keep())  # the service itself may not write there
        _say(f"{made.name} is ready with it")
        return
    refused = place.with_name(f"{place.name}.refused")
    _refuse(replaced(refused, new) or replaced(place, before))
    if started.returncode:
        systemd.systemctl("reset-failed", made.name, user=asked.user)
        systemd.systemctl("restart", made.name, user=asked.user)
    raise StageError(
        f"rolled back: {file} {why}",
        help=f"it is kept as {refused}; `journalctl --unit {made.name}` says more",
    )


@service.command()
@_where
@click.argument("name")
def uninstall(name: str, **said: Any) -> None:
    """Stop a service and remove its unit; its files and what it made stay."""
    asked = making.Asked(**said)
    unit = asked.path_of(making.checked_name(name))
    made = making.installed(unit)
    if systemd.is_running():
        _systemctl(asked, "disable", "--now", name)
    try:
        unit.unlink()
    except OSError as error:
        raise _not_ours(unit, error) from None
    _say(f"removed {unit}")
    if systemd.is_running():
        _systemctl(asked, "daemon-reload")
    stays = [*made.files, *made.credentials.values(), checks.state_folder(made)]
    _say(f"these stay: {', '.join(map(str, stays))}")


@service.command()
@click.option("--within", type=float, default=WITHIN_S, metavar="S", hidden=True)
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="FILE [OVERLAY]...")
def run(files: tuple[Path, ...], *, within: float) -> None:
    """Run FILE as the unit does: a change must become ready, or the last good one runs."""
    command = [sys.executable, "-m", "rtpipe", "run", "--"]
    supervisor = Supervisor(
        Files.of([file.absolute() for file in files]), command, _warn, within_s=within
    )
    raise SystemExit(supervisor.run())


def _write(path: Path, text: str) -> None:
    """Write a unit; the one before it is kept."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text("utf-8") if path.is_file() else None
    except OSError as error:
        raise _not_ours(path, error) from None
    if before == text:
        _say(f"{path} is as it was")
        return
    if before is not None:
        old = path.with_name(f"{path.name}.old")
        _refuse(replaced(old, before.encode()))
        _say(f"kept the unit before it as {old}")
    problem = replaced(path, text.encode(), mode=0o644)
    if problem:
        raise _not_ours(path, OSError(0, problem))
    _say(f"wrote {path}")


def _not_ours(path: Path, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot write {path}: {error.strerror}",
        help="call it with sudo, or with --user for a service of your own",
        exit_code=ExitCode.NO_PERMISSION,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from None


def _refuse(problem: str) -> None:
    if problem:
        raise EnvironmentProblem(problem, exit_code=ExitCode.NO_PERMISSION)


def _systemctl(asked: making.Asked, *arguments: str) -> None:
    done = systemd.systemctl(*arguments, user=asked.user)
    text = f"systemctl {' '.join(arguments)}"
    if done.returncode:
        raise EnvironmentProblem(f"{text}: {done.stderr.strip()}")
    _say(text)


def _say(text: str) -> None:
    click.echo(printable(text))


def _warn(text: str) -> None:
    in_journal = bool(os.environ.get("JOURNAL_STREAM"))
    click.echo(f"{'<4>' if in_journal else ''}{printable(text)}", err=True)
