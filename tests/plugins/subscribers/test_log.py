"""log: each event is a line, at its level."""

import logging
from dataclasses import replace

import pytest

from plugins.subscribers.deliveries import STARTED
from rtpipe import Event
from rtpipe.events import LinkDropped, StageFailed, StageFellBack, StageStatusChanged, StageUnwell
from rtpipe.testing import run_stage, run_virtual
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import server_event
from rtpipe_plugins.peers.realtime.events import AssistantTranscript, ServerEvent, UserTranscript
from rtpipe_plugins.subscribers.log import Log


def records(caplog: pytest.LogCaptureFixture, *events: Event, level: str = "debug") -> list[str]:
    """Return what the log holds of some events: the level, and the line."""
    caplog.clear()
    run_virtual(run_stage(Log, {"level": level}, events=events))
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            UserTranscript(text="Where is\nthe café?", item_id="i"),
            "INFO visitor: Where is the café?",
        ),
        (
            AssistantTranscript(text="On the", item_id="i", response_id="r", interrupted=True),
            "INFO model: On the (interrupted)",
        ),
        (StageStatusChanged(source="mic", status="ok"), "DEBUG mic: is ok"),
        (
            StageUnwell(source="mic", status="recovering", detail="unplugged"),
            "INFO mic: is recovering: unplugged",
        ),
        (
            StageFellBack(source="mic", wanted="mic", used="file", reason="no device"),
            "WARNING mic: no device: `file` takes over",
        ),
        (
            StageFailed(source="speaker", error="speaker: gone", policy="fail"),
            "ERROR speaker: gone (on_error: fail)",
        ),
        (
            LinkDropped(source="recorder", dropped_ms=20.0, total_ms=340.0),
            "WARNING recorder: dropped 20 ms of audio, 340 ms in all",
        ),
        (
            replace(
                server_event({"type": "error", "error": {"message": "bad item"}}), source="realtime"
            ),
            "ERROR realtime: the server reports message=bad item",
        ),
        (
            ServerEvent(
                type="response.done",
                source="realtime",
                data={"type": "response.done", "event_id": "e", "response": {"id": 1}, "n": 3},
            ),
            "INFO realtime: response.done n=3",
        ),
        (Event(type="pipeline.ended"), "INFO pipeline: pipeline.ended"),
    ],
)
def test_log_says_each_event_in_one_line(
    event: Event, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert records(caplog, event) == [expected]


def test_log_never_writes_a_long_or_a_broken_line(caplog: pytest.LogCaptureFixture) -> None:
    data = {"note": "many\nwords " * 1000, "other": "z" * 1000}
    (text,) = records(caplog, ServerEvent(type="x.y", data=data))
    assert len(text) <= 400 + len("INFO pipeline: ")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["INFO vad:", "DEBUG rt:", "WARNING recorder:", "ERROR pipeline:"]),
        ("info", ["INFO vad:", "WARNING recorder:", "ERROR pipeline:"]),
        ("warning", ["WARNING recorder:", "ERROR pipeline:"]),
        ("error", ["ERROR pipeline:"]),
    ],
)
def test_log_gives_each_event_its_level_and_leaves_out_what_is_below_its_own(
    level: str, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    delta = server_event({"type": "response.output_audio_transcript.delta", "delta": "H"})
    events = [
        STARTED,
        replace(delta, source="rt"),
        LinkDropped(source="recorder", dropped_ms=20, total_ms=20),
        StageFailed(error="gone", policy="fail"),
    ]
    lines = records(caplog, *events, level=level)
    assert [" ".join(line.split(" ")[:2]) for line in lines] == told
    assert logging.getLogger("rtpipe.stage.log").level == logging.NOTSET
