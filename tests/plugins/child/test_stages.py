"""Every stage that starts a process withholds the same from it, and waits for it alone."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.command import rtpipe
from rtpipe import Event
from rtpipe.testing import Bench, noise, run_stage
from rtpipe_plugins.sinks.process import ProcessSink
from rtpipe_plugins.sinks.stream import stage as stream
from rtpipe_plugins.sources.process import Process
from rtpipe_plugins.subscribers.exec import Exec, ExecFailed

DUMP = f'{sys.executable} -c \'import json, os; json.dump(dict(os.environ), open("{{}}", "w"))\''

PIPELINE = """
version: 1
vars: {{where: "${{env:ROOM}}"}}
profiles: {{never: {{vars: {{where: "${{env:OTHER}} ${{cred:door}}"}}}}}}
stages:
  - process: {{command: [sh, -c, {process}]{env}}}
  - process_sink: {{command: [sh, -c, {process_sink}]{env}}}
events:
  - match: pipeline.started
    exec: {{command: [sh, -c, {exec}]{env}}}
"""
SECRETS = {
    "ROOM": "canary",
    "OTHER": "canary",
    "CREDENTIALS_DIRECTORY": "/canary",
    "OPENAI_API_KEY": "canary",
    "MQTT_PASSWORD": "canary",
    "my_token": "canary",
}


@pytest.mark.slow
@pytest.mark.parametrize("back", [[], ["ROOM", "OPENAI_API_KEY"]])
def test_no_child_of_a_pipeline_sees_a_secret_unless_it_is_given_back(
    back: list[str], tmp_path: Path
) -> None:
    def command(kind: str, then: str) -> str:
        return json.dumps(f"{DUMP.format(f'{kind}.json')}; {then}")

    text = PIPELINE.format(
        env=f", env: {json.dumps(back)}" if back else "",
        process=command("process", "head -c 9600 /dev/zero"),
        process_sink=command("process_sink", "cat >/dev/null"),
        exec=command("exec", "cat >/dev/null"),
    )
    (tmp_path / "p.yaml").write_text(text)
    ended = rtpipe("run", "p.yaml", cwd=tmp_path, env={**SECRETS, "PLAIN": "plain"})
    assert ended.code == 0, ended.err
    for kind in ("process", "process_sink", "exec"):
        seen = json.loads((tmp_path / f"{kind}.json").read_text())
        assert {name for name, value in seen.items() if "canary" in value} == set(back), kind
        assert seen["PLAIN"] == "plain"
        assert "PATH" in seen


async def test_what_encodes_a_stream_sees_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploader = tmp_path / "uploader.py"
    uploader.write_text(
        f"import json, os, sys\njson.dump(dict(os.environ), open({str(tmp_path / 'env')!r}, 'w'))\n"
        "print('null', flush=True)\nsys.stdin.buffer.read()\n"
    )
    monkeypatch.setattr(stream, "_UPLOADER", str(uploader))
    monkeypatch.setenv("ICECAST_PASSWORD", "canary")
    await run_stage(stream.Stream, {"url": "icecast://a:b@127.0.0.1:9/x"}, noise(seconds=0.02))
    seen = json.loads((tmp_path / "env").read_text())
    assert "PATH" in seen
    assert "canary" not in seen.values()


async def test_an_uploader_that_cannot_begin_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploader = tmp_path / "uploader.py"
    uploader.write_text("raise SystemExit('no encoder today')\n")
    monkeypatch.setattr(stream, "_UPLOADER", str(uploader))
    with pytest.raises(Exception, match="ended with exit status 1: no encoder today"):
        await run_stage(stream.Stream, {"url": "icecast://a:b@127.0.0.1:9/x"}, noise(seconds=0.02))


# -- something is left in the background -----------------------------------------------------------

BEHIND = "exec 3<&0; sleep 60 <&3 &"
"""It holds input, output and errors."""


async def soon(stage: Any, options: dict[str, Any], steps: Any = ()) -> Bench:
    bench = Bench(stage, options)
    async with asyncio.timeout(20), bench.opened():
        await bench.play(steps)
    return bench


async def test_a_source_ends_with_its_command() -> None:
    bench = await soon(Process, {"command": ["sh", "-c", f"{BEHIND} head -c 96000 /dev/zero"]})
    assert bench.run.samples == 48_000


async def test_a_sink_ends_with_its_command(tmp_path: Path) -> None:
    script = f"{BEHIND} cat >{tmp_path / 'got'}"
    await soon(ProcessSink, {"command": ["sh", "-c", script]}, noise(seconds=1))
    assert (tmp_path / "got").stat().st_size == 96_000


async def test_an_exec_is_free_again_when_its_command_has_ended() -> None:
    script = f"{BEHIND} echo no lamp >&2; exit 3"
    events = [Event(type="a.b")] * 3
    bench = await soon(Exec, {"command": ["sh", "-c", script], "concurrency": 1}, events)
    assert [event.as_dict()["stderr"] for event in bench.run.events] == ["no lamp"] * 3


@pytest.mark.slow
async def test_an_exec_that_takes_too_long_says_what_it_had_said_and_lacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAMP_KEY", "canary")
    script = f"trap '' TERM; {BEHIND} echo where is the key >&2; while :; do sleep 1; done"
    bench = Bench(Exec, {"command": ["sh", "-c", script], "timeout_s": 1.0})
    told = asyncio.Event()
    bench.bus.subscribe("exec.failed", lambda _: told.set())
    async with asyncio.timeout(20), bench.opened():
        await bench.play([Event(type="a.b")])
        await told.wait()
    (failed,) = bench.run.events
    assert isinstance(failed, ExecFailed)
    assert "LAMP_KEY" in failed.withheld
    assert failed.line().startswith("`sh`: took longer than 1 s: where is the key (withheld")
    assert "canary" not in str(failed.as_dict())


async def test_half_a_surrogate_pair_reaches_a_command_as_json(tmp_path: Path) -> None:
    out = tmp_path / "event"
    command = ["sh", "-c", f"cat >{out}"]
    event = ExecFailed(type="lamp.failed", command="lämp", reason="\ud83d")
    bench = await soon(Exec, {"command": command}, [event])
    assert not bench.run.events
    assert json.loads(out.read_bytes())["reason"] == "\ud83d"
    assert "lämp".encode() in out.read_bytes()
