"""Actions for programs in a call with a server: a function answered, an item created."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.peers.realtime.embedded_call import in_call
from rtpipe import StageError

SCRIPT = """
turns:
  - call: {name: open_door, arguments: {which: north}}
  - say: It is open.
"""
TOOL = {"type": "function", "name": "open_door", "parameters": {"type": "object"}}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "dialog.yaml"
    path.write_text(SCRIPT)
    return path


@pytest.mark.slow
async def test_a_program_answers_a_function_and_the_model_goes_on(
    ctx: Any, patient_link: Any, published: Any, script: Path
) -> None:
    async with in_call(ctx, patient_link, script=script, tools=[TOOL]) as (stage, _, _):
        stage.text("Open the door!")
        called = await published.wait_for("tool.called")
        assert called.arguments == {"which": "north"}
        stage.answer_call("it is open", call_id=called.call_id)
        said = await published.wait_for("transcript.assistant")
        assert said.text == "It is open."
        outputs = [
            event.data["item"]["output"]
            for event in published.of("conversation.item.added")
            if event.data["item"]["type"] == "function_call_output"
        ]
        assert outputs == ["it is open"]
        with pytest.raises(StageError, match="no call waits"):
            stage.answer_call("again")


async def test_a_program_creates_any_item(
    ctx: Any, patient_link: Any, published: Any, script: Path
) -> None:
    async with in_call(ctx, patient_link, script=script, tools=[TOOL]) as (stage, _, _):
        content = [{"type": "input_text", "text": "The museum closes in ten minutes."}]
        stage.create_item("message", role="system", content=content)
        first = (await published.wait_for("conversation.item.added")).data["item"]
        assert (first["role"], first["content"]) == ("system", content)
        stage.create_item("message", previous_item_id=first["id"], role="user", content=content)
        second = await published.wait_for("conversation.item.added", 2)
        assert second.data["previous_item_id"] == first["id"]
        assert published.of("response.created") == []


async def test_there_is_nothing_to_approve_or_deny(
    ctx: Any, patient_link: Any, script: Path
) -> None:
    async with in_call(ctx, patient_link, script=script) as (stage, _, _):
        for decide in (stage.approve, stage.deny):
            with pytest.raises(StageError, match="no request of `buy` waits for approval"):
                decide(name="buy")


async def test_what_could_not_be_used_is_counted_at_the_end(
    ctx: Any, patient_link: Any, published: Any, script: Path
) -> None:
    faults = {"malformed_every": 1}
    async with in_call(ctx, patient_link, script=script, faults=faults):
        pass
    (told, *_) = published.of("realtime.event_invalid")
    json.dumps(told.as_dict())
    (disconnected,) = published.of("realtime.disconnected")
    assert disconnected.invalid_events >= 1


PIPELINE = """
version: 1
stages:
  - tone: {waveform: silence, duration_s: 60, realtime: true}
  - realtime:
      provider: embedded
      script: dialog.yaml
      tools: [{type: function, name: open_door}]
  - blackhole
events:
  - jsonl: events.jsonl
  - match: pipeline.started
    do: [realtime.text("Open the door!")]
  - match: tool.called
    where: {name: open_door}
    do: ['realtime.answer_call(output={open: true}, name=open_door)']
"""


@pytest.mark.slow
def test_a_route_answers_a_function(script: Path) -> None:
    path = script.with_name("pipeline.yaml")
    path.write_text(PIPELINE)
    command = [sys.executable, "-m", "rtpipe", "run", path, "--until", "transcript.assistant"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    lines = script.with_name("events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [e["output"] for e in events if e["type"] == "tool.returned"] == ['{"open":true}']
    assert [e["text"] for e in events if e["type"] == "transcript.assistant"] == ["It is open."]
    assert not [e for e in events if e["type"] == "route.failed"]
