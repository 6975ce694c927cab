"""What ships tells a person of its events: each has its importance and a line."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import rtpipe_plugins
from rtpipe import Event, Importance
from rtpipe.catalogue.plugins import Registry
from rtpipe.cli.narration import Narrator
from rtpipe.events import CORE_EVENTS, SubscriberOverflowed
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import (
    BENIGN_CODES,
    SERVER_EVENTS,
    server_event,
)
from rtpipe_plugins.peers.realtime.events import (
    RealtimeDisconnected,
    RealtimeLost,
    RealtimeReconnecting,
)
from rtpipe_plugins.sinks.recorder.events import (
    RecorderFailed,
    RecorderPaused,
    RecorderRecovered,
    RecorderResumed,
    RecorderSplit,
    RecorderStartedByAction,
    RecorderStopped,
)
from rtpipe_plugins.sinks.speaker.events import (
    SpeakerMuted,
    SpeakerUnderran,
    SpeakerUnmuted,
    SpeakerVolumeChanged,
)
from rtpipe_plugins.soundcard.events import (
    DeviceChanged,
    DeviceLost,
    DeviceMuted,
    DeviceRefused,
    DeviceReturned,
    DeviceUnmuted,
)
from rtpipe_plugins.sources.mic.stage import MicMuted, MicOverran, MicUnmuted
from rtpipe_plugins.sources.rtsp.stage import StreamConnected, StreamDisconnected
from rtpipe_plugins.subscribers.exec import ExecFailed
from rtpipe_plugins.subscribers.mqtt import MqttDisconnected
from rtpipe_plugins.subscribers.webhook import WebhookFailed

ONLY_LOGGED = {
    "device.drift_measured",
    "key.pressed",
    "key.released",
    "latency.turn_measured",
    "lines.line",
    "link.flushed",
    "mcp.called",
    "mcp.returned",
    "mcp.tools_listed",
    "mute_gate.closed",
    "mute_gate.opened",
    "pipeline.started",
    "playback.started",
    "playback.stopped",
    "realtime.calling",
    "realtime.media_measured",
    "realtime.response_cancelled",
    "recorder.segment_started",
    "recorder.turn_recorded",
    "tool.called",
    "tool.returned",
    "turn.answer_cut",
    "turn.answer_started",
    "turn.answer_stopped",
    "turn.user_started",
    "turn.user_stopped",
    "vad.speech_started",
    "vad.speech_stopped",
}
"""INFO, and by decision: what goes as it should and happens often."""


def shipped() -> Iterator[type[Event]]:
    """Yield every event class that the framework or a kind publishes, but for a server's own."""
    registry = Registry()
    registry.add_module("rtpipe_plugins")
    published = {entry for kind in registry.kinds.values() for entry in kind.publishes}
    for event in sorted({*CORE_EVENTS, *published}, key=str):
        assert not isinstance(event, str), f"{event} declares no importance"
        if event.type not in SERVER_EVENTS:
            yield event


EVENTS = list(shipped())


def example(event: type[Event]) -> Event:
    """Return an event whose texts have more lines than one."""
    texts = ("two\nlines", "more")
    given = {"str": texts[0], "float": 1.5, "int": 2, "bool": True, "tuple[str, ...]": texts}
    return event(
        **{
            field.name: given.get(f"{field.type}")
            for field in dataclasses.fields(event)
            if field.default is dataclasses.MISSING
        }
    )


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_event_that_ships_says_how_important_it_is(event: type[Event]) -> None:
    declared = any("importance" in vars(base) for base in event.__mro__ if base is not Event)
    assert declared != (event.type in ONLY_LOGGED), "declare it, or decide that it is only logged"
    assert event.line is not Event.line or event.importance < Importance.NOTICE, "write a line"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_line_is_one_line(event: type[Event]) -> None:
    made = example(event)
    made.line()  # by itself, and not by the reader's fallback
    line = Narrator().line(made)
    if line is not None:
        assert "\n" not in line.text
        assert event.type not in line.text


def test_trouble_is_never_only_logged() -> None:
    ends = ("failed", "lost", "overran", "underran", "dropped", "stalled", "fell_back",
            "reconnecting", "recovered", "device.returned", "overflowed")  # fmt: skip
    trouble = [event for event in EVENTS if event.type.endswith(ends)]
    assert len(trouble) >= len(ends)
    assert [event for event in trouble if event.importance < Importance.WARNING] == []


def test_every_class_of_an_event_can_be_published() -> None:
    """None was written and forgotten: a stage that makes it lists it."""
    for module in pkgutil.walk_packages(rtpipe_plugins.__path__, "rtpipe_plugins."):
        if "realtime_server" not in module.name:
            importlib.import_module(module.name)

    def below(base: type[Event]) -> Iterator[type[Event]]:
        for each in base.__subclasses__():
            yield each
            yield from below(each)

    ours = {each for each in below(Event) if each.__module__.startswith("rtpipe_plugins.")}
    named = {each for each in ours if each.type and each.type not in SERVER_EVENTS}
    assert named - set(EVENTS) == set()


@pytest.mark.parametrize(
    ("event", "importance", "text"),
    [
        (
            StreamDisconnected(reason="the stream ended", retry_s=2.0),
            "WARNING",
            "the stream ended; trying again in 2 s",
        ),
        (StreamConnected(), "WARNING", "audio comes again"),
        (SpeakerUnderran(count=3), "WARNING", "ran out of audio in the middle of a sound, 3 times"),
        (MicOverran(count=1), "WARNING", "lost audio between the device and the pipeline, 1 times"),
        (DeviceLost(device="USB", reason="is gone", direction="input"), "WARNING", "USB is gone"),
        (DeviceChanged(device="A", previous="B", asked="a"), "NOTICE", "uses A now"),
        (DeviceRefused(device="A", reason="is gone"), "WARNING", "cannot use A: is gone"),
        (MicMuted(), "NOTICE", "is muted"),
        (MicUnmuted(), "NOTICE", "is no longer muted"),
        (SpeakerMuted(), "NOTICE", "is muted"),
        (SpeakerUnmuted(), "NOTICE", "is no longer muted"),
        (SpeakerVolumeChanged(volume=0.5), "NOTICE", "plays at volume 0.5"),
        (DeviceReturned(device="USB", away_s=3.2), "WARNING", "USB is back after 3 s"),
        (DeviceMuted(device="USB"), "WARNING", "USB is muted at the sound server"),
        (DeviceUnmuted(device="USB"), "WARNING", "USB is no longer muted"),
        (
            RecorderRecovered(path="a-2.mka", lost_s=1.5),
            "WARNING",
            "goes on in a-2.mka, 1.5 s lost",
        ),
        (
            RecorderStartedByAction(path="a.mka", tracks=(), zero_s=0.0, started_at=""),
            "NOTICE",
            "records to a.mka",
        ),
        (RecorderPaused(path="a.mka"), "NOTICE", "paused: nothing goes into a.mka"),
        (
            RecorderResumed(path="a.mka", paused_s=12.4),
            "NOTICE",
            "goes on in a.mka after a pause of 12 s",
        ),
        (
            RecorderSplit(path="a.mka", duration_s=9.0),
            "NOTICE",
            "wrote a.mka (9 s) and goes on in another file",
        ),
        (
            RecorderStopped(path="a.mka", duration_s=0.0, segments=0, lost_s=0.0),
            "NOTICE",
            "stopped before anything was recorded",
        ),
        (RecorderFailed(path="a.mka", error="full"), "ERROR", "cannot write a.mka: full"),
        (
            RecorderStopped(path="a.mka", duration_s=9.0, segments=2, lost_s=0.5),
            "NOTICE",
            "wrote a.mka (9 s), 0.5 s lost",
        ),
        (RealtimeDisconnected(reason="we hung up"), "NOTICE", "disconnected: we hung up"),
        (RealtimeLost(reason="gone"), "WARNING", "disconnected: gone"),
        (
            RealtimeReconnecting(attempt=2, reason="no route", pause_s=1),
            "WARNING",
            "calling again (2): no route",
        ),
        (MqttDisconnected(host="b", reason="away"), "WARNING", "cannot deliver to b, events wait"),
        (
            WebhookFailed(host="h", event="x.y", status=401, reason="Unauthorized"),
            "ERROR",
            "h refused `x.y`: 401 Unauthorized",
        ),
        (
            ExecFailed(command="logger", reason="ended with exit status 3", stderr="a\nno bulb\n"),
            "ERROR",
            "`logger`: ended with exit status 3: no bulb",
        ),
        (
            ExecFailed(command="logger", reason="was killed by SIGKILL", withheld=("A", "B")),
            "ERROR",
            "`logger`: was killed by SIGKILL (withheld from its environment: A, B)",
        ),
        (SubscriberOverflowed(lost=7), "WARNING", "too slow: 7 events were lost to it"),
        (
            server_event({"type": "error", "error": {"code": "x", "message": "no"}}),
            "ERROR",
            "the server reports code=x message=no",
        ),
    ],
    ids=lambda value: value.type if isinstance(value, Event) else None,
)
def test_trouble_reaches_the_terminal_without_a_log(
    event: Event, importance: str, text: str
) -> None:
    line = Narrator().line(event)
    assert line is not None
    assert line.importance is Importance[importance]
    assert line.text.startswith(text)


@pytest.mark.parametrize(
    ("type", "importance"),
    [
        ("response.output_audio.delta", "DETAIL"),
        ("conversation.item.added", "DETAIL"),
        ("response.done", "INFO"),
        ("conversation.item.input_audio_transcription.failed", "ERROR"),
        ("mcp_list_tools.failed", "DETAIL"),
        ("novel.thing", "INFO"),
    ],
)
def test_a_servers_event_is_as_important_as_its_name(type: str, importance: str) -> None:
    assert server_event({"type": type}).importance is Importance[importance]


@pytest.mark.parametrize("code", sorted(BENIGN_CODES))
def test_a_race_that_everybody_loses_is_no_error_to_a_person(code: str) -> None:
    event = server_event({"type": "error", "error": {"code": code}})
    assert event.importance is Importance.DETAIL
    assert event.type == "error"
