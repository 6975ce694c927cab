"""`rtpipe replay`: a recorded call again, in virtual time, and what is other than it was."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import rtpipe
from rtpipe import ExitCode, RtpipeError
from rtpipe.errors import printable
from rtpipe.testing import isolated, run_virtual, swallowed
from rtpipe_replay.record import Record

if TYPE_CHECKING:
    from rtpipe import Event, Pipeline, PipelineSpec

_PATH = click.Path(path_type=Path)
_KINDS = {"source": "replayed", "peer": "replayed_peer"}
_WHO = {"transcript.user": "visitor", "transcript.assistant": "model"}
_BESIDE = ("stage.", "plugin.", "replay.", "control.")
"""Events that tell of the run and not of the call."""


@click.command()
@click.argument("folder", type=_PATH)
@click.argument("file", type=_PATH, required=False)
@click.option("--out", type=_PATH, metavar="FOLDER", help="Where it writes; else FOLDER/replay.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Change a value.")
@click.option("--profile", metavar="NAME", help="Apply one of the file's profiles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--trust", is_flag=True, help="Run the folder's plugins, this once.")
def replay(folder: Path, file: Path | None, out: Path | None, **said: Any) -> None:
    """Run what `rtpipe run --record FOLDER` kept again, in no time, the same each time.

    Sources and peers give what they gave, at the same times, through FILE or the pipeline that was
    recorded. Nothing outside is touched. Prints what was said, and what is other than it was.
    """
    record = Record(folder)
    path = file or Path(record.head["file"])
    place = (out or folder / "replay").absolute()
    if place.exists():
        if not (place / ".replay").exists():
            raise RtpipeError(
                f"{place} is there already, and no replay wrote it", exit_code=ExitCode.USAGE
            )
        shutil.rmtree(place)
    place.mkdir(parents=True)
    (place / ".replay").touch()
    pipeline = _pipeline(record, path, place, said)
    events: list[Event] = []
    pipeline.bus.subscribe("*", events.append)
    run_virtual(pipeline.run())
    _report(record, events, place, as_json=said["as_json"])


def _pipeline(record: Record, path: Path, place: Path, said: dict[str, Any]) -> Pipeline:
    """Return the pipeline with the record in the place of what gave its audio."""
    choices: dict[str, Any] = {"profile": said["profile"], "trust": said["trust"]}
    home = path.absolute().parent
    first = rtpipe.load(path, sets=said["sets"], **choices)
    sets = [*said["sets"], *swallowed(first.spec)]
    for stage in first.spec.stages:
        family = record.head["families"].get(stage.id)
        if family is not None:
            options = {"record": str(record.folder.absolute()), "of": stage.id}
            sets.append(f"{stage.id}={json.dumps({_KINDS[family]: options})}")

    def revised(spec: PipelineSpec) -> PipelineSpec:
        outside = [stage.id for stage in spec.stages if stage.stage_type.external]
        if outside:
            raise RtpipeError(
                f"the record has nothing of `{outside[0]}`, which needs what is outside",
                help="replay a file whose sources and peers have the ids of the recorded one's",
                exit_code=ExitCode.CONFIGURATION,
            )
        return isolated(spec, home, place)

    return rtpipe.load(path, sets=sets, revise=revised, **choices)


def _report(record: Record, events: list[Event], place: Path, *, as_json: bool) -> None:
    words = [
        {"at": round(event.at, 2), "who": _WHO[event.type], "text": event.payload()["text"]}
        for event in events
        if event.type in _WHO
    ]
    before = _counted(event["type"] for event in record.events())
    after = _counted(event.type for event in events)
    other = {
        name: {"then": before[name], "now": after[name]}
        for name in sorted(before.keys() | after.keys())
        if before[name] != after[name]
    }
    if as_json:
        told = {"words": words, "other": other, "out": str(place)}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for line in words:
        minutes, seconds = divmod(line["at"], 60)
        stamp = f"{minutes:02.0f}:{seconds:04.1f}"
        click.echo(printable(f"{stamp}  {line['who']:>8}  {line['text']}"))
    for name, count in other.items():
        click.echo(printable(f"other: {name}: {count['then']} then, {count['now']} now"), err=True)
    if not other:
        click.echo("all that happened happened again", err=True)
    click.echo(printable(f"written: {place}"), err=True)


def _counted(types: Any) -> Counter[str]:
    return Counter(type for type in types if not type.startswith(_BESIDE))
