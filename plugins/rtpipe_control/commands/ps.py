"""`rtpipe ps`: which pipelines run, and which of them need somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from rtpipe import RtpipeError
from rtpipe_control import sockets
from rtpipe_control.client import RunEnded, snapshots
from rtpipe_control.commands.words import clock, hung, print_json, safe, say, styled

if TYPE_CHECKING:
    from pathlib import Path

_WITHIN_S = 4.0
_LONGEST_NAME = 20
_IN_JSON = ("run", "name", "state", "now", "pid", "file", "page", "started_at", "version")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ps(*, as_json: bool) -> None:
    """List the pipelines of yours that run.

    Under each stands what is not as it should be, and where its page is. As root, those of the
    system's services are among them.
    """
    runs = [
        _seen(path, answer)
        for path, answer in snapshots(sockets.found(), _WITHIN_S)
        if not isinstance(answer, RunEnded)
    ]
    if as_json:
        print_json([_as_json(run) for run in runs])
        return
    if not runs:
        say("no pipeline of yours runs here")
        return
    head = min(max(4, *(len(safe(run.get("run"))) for run in runs)), _LONGEST_NAME)
    click.echo(styled(f"{'NAME':{head}}  {'STATE':8}  {'UP':9}  FILE", dim=True))
    for run in runs:
        for line in _lines(run, head):
            click.echo(line)


def _lines(run: dict[str, Any], head: int) -> list[str]:
    name = safe(run.get("run"))
    lines = [] if len(name) <= head else [name]
    up = clock(_number(run["now"])) if "now" in run else ""
    shown = "" if lines else name
    row = f"{safe(run.get('state')):8}  {up:9}  {safe(run.get('file', ''))}"
    lines.append(f"{shown:{head}}  {row}".rstrip())
    for trouble in _troubles(run):
        lines += [styled(hung(f"{'':{head}}  ", trouble, head + 4), fg="yellow")]
    if run.get("page"):
        lines.append(f"{'':{head}}  {safe(run['page'])}")
    return lines


def _seen(path: Path, answer: dict[str, Any] | RtpipeError) -> dict[str, Any]:
    """Return what a socket answered, if a run can have answered it; else that it did not."""
    if isinstance(answer, RtpipeError):
        return _silent(path.stem, answer.message)
    try:
        _lines(answer, 4)
    except (TypeError, KeyError, AttributeError, ValueError):
        return _silent(path.stem, "what answers is no pipeline")
    return answer


def _silent(name: str, error: str) -> dict[str, Any]:
    return {"run": name, "state": "silent", "error": safe(error)}


def _as_json(run: dict[str, Any]) -> dict[str, Any]:
    if "error" in run:
        return run
    return {name: run.get(name) for name in _IN_JSON} | {
        "condition": (run.get("condition") or {}).get("text", ""),
        "troubles": list(_troubles(run)),
    }


def _troubles(run: dict[str, Any]) -> list[str]:
    """Return what is not as it should be with a run, a sentence each."""
    if "error" in run:
        return [run["error"]]
    alerts = (run.get("condition") or {}).get("alerts") or []
    told = [safe(alert.get("text")) for alert in alerts]
    told_of = {alert.get("stage") for alert in alerts}
    stages = run["stages"]
    for stage in stages:
        if stage["status"] in {"recovering", "failed"} and stage.get("id") not in told_of:
            detail = f": {stage['detail']}" if stage.get("detail") else ""
            told.append(safe(f"`{stage.get('id')}` is {stage.get('status')}{detail}."))
    standing_in = [
        f"{stage['id']} ({', '.join(filter(None, (stage['kind'], wanted.get('away'))))})"
        for stage in stages
        if (wanted := stage.get("wanted"))
    ]
    if standing_in:
        told.append(safe(f"Stand-ins: {', '.join(standing_in)}."))
    lost = [
        f"{link['from']} to {link['to']} {ms:.0f} ms"
        for link in run["links"]
        if (ms := _number(link.get("dropped_ms")) + _number(link.get("refused_ms"))) >= 1
    ]
    lost += [
        f"{each['lost_frames']} frames in {each['id']}" for each in stages if each["lost_frames"]
    ]
    if lost:
        told.append(safe(f"Audio lost: {', '.join(lost)}."))
    return told


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
