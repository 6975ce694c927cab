"""What is written of an event: whose conversation it is, and its words or none."""

import json
from pathlib import Path

from rtpipe import Event
from rtpipe.bus import Bus
from rtpipe.clock import Clock
from rtpipe.stage import StageContext
from rtpipe.testing import Bench, run_virtual
from rtpipe_plugins.disk.records import Records
from rtpipe_plugins.peers.realtime.events import (
    RealtimeConnected,
    RealtimeRolledOver,
    ServerEvent,
    UserTranscript,
)
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.transcript.stage import Transcript


def connected(session_id: str, at: float, source: str = "realtime") -> Event:
    call = {"call_id": None, "provider": "x", "model": "m", "host": "h"}
    return RealtimeConnected(source=source, at=at, session_id=session_id, **call)  # type: ignore[arg-type]


def records(*events: Event, words: bool = True) -> Records:
    bus = Bus()
    made = Records(StageContext("x", Clock(), bus.publish, bus.subscribe), words=words)
    made.listen()
    for event in events:
        bus.publish(event)
    return made


def rolled(session_id: str, at: float) -> Event:
    return RealtimeRolledOver(
        source="realtime", at=at, call_id=None, items=0, forced=False, session_id=session_id
    )


def test_an_event_belongs_to_the_conversation_of_its_time() -> None:
    made = records(connected("a", 1.0), rolled("b", 5.0))
    sessions = [made.session(Event(type="x", source="vad", at=at)) for at in (0.5, 1.0, 4.9, 7.0)]
    assert sessions == ["", "a", "a", "b"]


def test_of_two_peers_each_has_its_own() -> None:
    made = records(connected("a", 1.0, "left"), connected("b", 2.0, "right"))
    assert made.session(Event(type="x", source="left", at=3.0)) == "a"
    assert made.session(Event(type="x", source="right", at=3.0)) == "b"
    assert made.session(Event(type="x", source="vad", at=3.0)) == "b"


def test_a_servers_own_session_does_not_hide_it() -> None:
    made = records(connected("a", 1.0))
    event = ServerEvent(type="session.updated", source="realtime", at=2.0, data={"session": {}})
    assert made.of(event).as_dict()["session_id"] == "a"


def test_without_words_numbers_and_ids_are_left() -> None:
    made = records(connected("a", 1.0), words=False)
    said = UserTranscript(source="realtime", at=2.0, item_id="i", text="my name is Ada")
    assert made.of(said).as_dict() == {
        "type": "transcript.user",
        "source": "realtime",
        "at": 2.0,
        "item_id": "i",
        "session_id": "a",
    }
    deep = ServerEvent(type="x", source="realtime", at=2.0, data={"n": 1, "item": {"text": "Ada"}})
    assert "Ada" not in json.dumps(made.of(deep).as_dict())


def test_jsonl_without_words_holds_none(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(Jsonl, {"path": tmp_path / "x.jsonl", "words": False})
        async with bench.opened():
            bench.bus.publish(connected("a", 0.0))
            said = UserTranscript(source="realtime", at=1.0, item_id="i", text="my name is Ada")
            await bench.play([said])

    run_virtual(run())
    line = json.loads((tmp_path / "x.jsonl").read_text("utf-8"))
    assert (line["session_id"], line["type"], "text" in line) == ("a", "transcript.user", False)


def test_a_transcript_begins_a_new_file_with_each_conversation(tmp_path: Path) -> None:
    async def run() -> None:
        bench = Bench(Transcript, {"path": tmp_path / "x.vtt"})
        async with bench.opened():
            for at, session in ((1.0, "a"), (2.0, "a"), (3.0, "b")):
                bench.bus.publish(connected(session, at))
                said = UserTranscript(source="realtime", at=at, item_id="i", text=f"at {at}")
                await bench.play([said])

    run_virtual(run())
    first, second = ((tmp_path / name).read_text("utf-8") for name in ("x.vtt", "x-2.vtt"))
    assert first.startswith("WEBVTT\n\nNOTE session a\n\n1\n")
    assert ("at 2.0" in first, "at 3.0" in first) == (True, False)
    assert "NOTE session b" in second
