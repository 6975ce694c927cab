"""`rtpipe ctl`: what can be done with a running pipeline, and doing it, from a shell."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from rtpipe.documents import read_call
from rtpipe.errors import ActionError, ExitCode
from rtpipe_control import sockets
from rtpipe_control.client import Client, RunEnded, snapshots, understood
from rtpipe_control.commands import completion
from rtpipe_control.commands.words import (
    condition,
    head_columns,
    hung,
    listed,
    print_json,
    safe,
    say,
    styled,
)

_WITHIN_S = 2.0
_TROUBLE = {"warning", "error"}
_LONGEST_ARGUMENTS = 24
_YES_OR_NO = {"True": "yes", "False": "no", "None": ""}


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", required=False, shell_complete=completion.runs)
@click.argument("called", metavar="[STAGE.ACTION]", required=False, shell_complete=completion.calls)
@click.argument("values", nargs=-1, metavar="[ARGUMENT]...", shell_complete=completion.values)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def ctl(
    ctx: click.Context,
    name: str | None,
    called: str | None,
    values: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Do something with a stage of a running pipeline.

    With a NAME alone: list what can be done with that run. With nothing: say what runs.

    \b
        rtpipe ctl kiosk mute_gate.close
        rtpipe ctl kiosk gain.set -6
        rtpipe ctl kiosk 'gain.set(gain_db=-6)'
        rtpipe ctl kiosk realtime.say "We close in ten minutes."
        rtpipe ctl kiosk stop        let it play out what is queued, and end
        rtpipe ctl kiosk link        print a link that opens its page once

    Values are read as in a pipeline file. What is refused ends with 1.
    """  # noqa: D301 - `\b`: click is not to fill what follows
    if name is None:
        _say_what_runs(as_json=as_json)
    elif called is None:
        shown = Client.of(name).snapshot(recent=False)
        with understood(name):
            print_json(_as_json(shown)) if as_json else _list(shown)
    elif called in {"stop", "link"}:
        if values:
            raise click.UsageError(f"`{called}` takes no arguments")
        done = Client.of(name).post(f"/api/{called}", {})
        print_json(done) if as_json else click.echo(safe(done["result"], None))
    else:
        ctx.exit(_act(name, called, values, as_json=as_json))


def _act(name: str, called: str, values: tuple[str, ...], *, as_json: bool) -> int:
    """Carry out an action; returns the exit code."""
    try:
        call = read_call(called, values)
        client = Client.of(name)
        done = client.act(call.stage, call.action, call.args, call.kwargs)
    except ActionError as error:
        error.help = error.help or f"`rtpipe ctl {name}` lists what can be done"
        raise
    with understood(name):
        event = done.get("event") or {}
        is_trouble = event.get("importance") in _TROUBLE
    if as_json:
        print_json(done)
    elif event:
        click.echo(safe(event.get("line"), None), err=is_trouble)
    elif done.get("outcome"):
        say(f"{called}: begun; what comes of it is not known yet: `rtpipe events {name}` tells it")
    elif done["result"] is not None:
        click.echo("\n".join(_in_words(done["result"])))
    elif sys.stderr.isatty():  # a script knows by the exit code
        say(f"{call.stage}.{call.action}: done")
    return ExitCode.FAILED if is_trouble else ExitCode.OK


def _in_words(result: Any) -> list[str]:
    """Return what an action returned as lines: rows of values as a table, else JSON."""
    rows = result if isinstance(result, list) else []
    if not rows or not all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        return [safe(json.dumps(result, ensure_ascii=False), None)]
    table = [[safe(key).upper() for key in rows[0]]]
    table += [[_YES_OR_NO.get(f"{each}", safe(each)) for each in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(f"{each:{width}}" for each, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _say_what_runs(*, as_json: bool) -> None:
    found = snapshots(sockets.found(), _WITHIN_S)
    runs = [
        safe(answer["run"]) if isinstance(answer, dict) and "run" in answer else path.stem
        for path, answer in found
        if not isinstance(answer, RunEnded)
    ]
    if as_json:
        print_json(runs)
    elif runs:
        click.echo("\n".join(runs))
        say(f"`rtpipe ctl {runs[0]}` lists what can be done with it")
    else:
        say("no pipeline of yours runs here; `rtpipe run FILE` starts one")


def _as_json(shown: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"call": f"{stage['id']}.{action['name']}", **action}
        for stage in shown["stages"]
        for action in stage["actions"]
    ]


def _list(shown: dict[str, Any]) -> None:
    """Print what can be done, by stage; what every stage has stands once, at the end."""
    click.echo(condition(shown))
    groups = [
        (stage, [each for each in stage["actions"] if each["name"] != "flush"])
        for stage in shown["stages"]
    ]
    for stage, actions in groups:
        wanted = stage.get("wanted")
        if not actions and not wanted:
            continue
        click.echo()
        about = f"{safe(stage['id'])}  {safe(stage['summary'])}"
        click.echo(styled(hung("", about, 2), bold=True))
        if wanted:
            reason = f": {safe(wanted['reason'])}" if wanted["reason"] else ""
            told = f"A stand-in, `{safe(stage['kind'])}`{reason}."
            click.echo(styled(hung("  ", told, 4), fg="yellow"))
        rows = [(_written(safe(stage["id"]), each), each) for each in actions]
        head = head_columns(text for text, _ in rows)
        for text, action in rows:
            why_not = f"Not now: {safe(action['why_not'])}. " if action["why_not"] else ""
            for line in listed([(text, f"{why_not}{safe(action['summary'])}")], head):
                click.echo(styled(line, dim=bool(why_not)))
    every = [("STAGE.flush", "Drop what is buffered in any of the stages and after it.")]
    every += [(name, text) for name, text in completion.OF_THE_RUN.items()]
    click.echo()
    for line in listed(sorted(every), head_columns(name for name, _ in every)):
        click.echo(line)


def _written(stage: str, action: dict[str, Any]) -> str:
    """Return how an action is typed: `gain.set GAIN_DB`; in brackets what may be left out."""
    names = [
        name.upper() if argument["required"] else f"[{name}]"
        for argument in action["arguments"]
        if (name := safe(argument["name"]))
    ]
    text = " ".join(names)
    if len(text) > _LONGEST_ARGUMENTS:
        text = f"{text[: _LONGEST_ARGUMENTS - 1].rstrip(' [')}…"
    return f"{stage}.{safe(action['name'])} {text}".rstrip()
