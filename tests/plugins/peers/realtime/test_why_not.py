"""Why an action of a call cannot be done now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rtpipe
from helpers.packages import needs_server
from rtpipe.testing import run_pipeline

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_server

SCRIPT = """
turns:
  - {transcribe: Where is the café?, say: On the left., sound: {tone_hz: 600, duration_s: 1}}
"""


def test_what_can_be_done_in_a_call_depends_on_what_goes_on(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(SCRIPT)
    pipeline = rtpipe.loads(
        """
version: 1
stages:
  - tone: {waveform: speech_like, duration_s: 2, realtime: true}
  - realtime: {provider: embedded, transport: memory, script: script.yaml}
  - blackhole
""",
        path=tmp_path / "pipeline.yaml",
    )
    refused: dict[str, dict[str, str]] = {}

    def note(when: str) -> None:
        refused.setdefault(when, dict(pipeline.refusals()["realtime"]))

    pipeline.bus.subscribe("turn.*", lambda event: note(event.type))

    def pressed(_event: object) -> None:
        note("started")
        pipeline.perform("realtime", "press")
        note("pressed")
        pipeline.perform("realtime", "release")
        note("released")

    pipeline.bus.subscribe("pipeline.started", pressed)
    pipeline.bus.subscribe("realtime.disconnected", lambda _: note("over"))
    run_pipeline(pipeline)
    always = {
        "answer_call": "no call of a function waits",
        "approve": "nothing waits for approval",
        "deny": "nothing waits for approval",
    }
    quiet = {**always, "cancel": "the model is not speaking"}
    assert refused["started"] == {**quiet, "release": "nothing was pressed"}
    assert refused["pressed"] == quiet
    assert refused["released"]["release"] == "nothing was pressed"
    assert refused["turn.answer_started"] == {**always, "release": "nothing was pressed"}


def test_without_a_call_nothing_but_a_flush_can_be_done(tmp_path: Path) -> None:
    from rtpipe import Bus, Clock, StageContext
    from rtpipe_plugins.peers.realtime import Realtime, RealtimeOptions

    bus = Bus()
    ctx = StageContext("realtime", Clock(), bus.publish, bus.subscribe)
    stage = Realtime(RealtimeOptions(provider="embedded"), ctx)
    assert {stage.why_not(name) for name in stage.actions()} == {
        "no call stands",
        "no call of a function waits",
    }
    assert stage.why_not("flush") == ""
