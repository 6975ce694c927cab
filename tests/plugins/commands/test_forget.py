"""forget: what was kept of a conversation goes, nothing else, and what was not is said."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtpipe import Event
from rtpipe.testing import Bench, run_virtual, tone
from rtpipe_plugins.commands.forget.command import forget
from rtpipe_plugins.commands.forget.deletion import rewrite
from rtpipe_plugins.commands.forget.search import Wanted
from rtpipe_plugins.disk.appending import AppendedFile
from rtpipe_plugins.disk.locks import lock_to_read
from rtpipe_plugins.peers.realtime.events import RealtimeConnected, UserTranscript
from rtpipe_plugins.sinks.recorder.stage import Recorder
from rtpipe_plugins.subscribers.jsonl import Jsonl
from rtpipe_plugins.subscribers.transcript.stage import Transcript

SESSIONS = ("first", "second")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(forget, [str(each) for each in arguments])


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def conversation(session: str, at: float) -> list[Event]:
    return [
        RealtimeConnected(
            source="realtime",
            at=at,
            call_id=None,
            provider="x",
            model="m",
            host="h",
            session_id=session,
        ),
        UserTranscript(source="realtime", at=at + 0.4, item_id="i", text=f"said in {session}"),
    ]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """What two conversations leave: each a recording, and transcripts in every format."""
    folder = tmp_path / "out"

    async def keep() -> None:
        clock = None
        transcripts = [
            Bench(Transcript, {"path": folder / f"said.{ending}"})
            for ending in ("jsonl", "vtt", "srt")
        ]
        events = Bench(Jsonl, {"path": folder / "events.jsonl"})
        recorder = Bench(Recorder, {"path": folder / "call.mka", "autostart": False}, live=True)
        for bench in (*transcripts, events, recorder):
            await bench.stage.open()
        for n, session in enumerate(SESSIONS):
            told = conversation(session, 2.0 * n)
            for bench in (*transcripts, events, recorder):
                for event in told:
                    bench.bus.publish(event)
                    if bench is not recorder:
                        await bench.stage.on_event(event)  # type: ignore[attr-defined]
            recorder.stage.start()  # type: ignore[attr-defined]
            for frame in tone(seconds=1.0):
                at = 2.0 * n + (frame.pts or 0) / 48_000
                frame.pts = round(at * 48_000)
                clock = recorder.context.clock
                await clock.sleep_until(at)
                await recorder.stage.consume(frame)  # type: ignore[attr-defined]
            recorder.stage.stop()  # type: ignore[attr-defined]
        for bench in (*transcripts, events, recorder):
            await bench.stage.close()
            bench.context.close()

    run_virtual(keep())
    (folder / "call.turns").mkdir()
    (folder / "call.turns" / "001-user.mka").write_bytes(b"a voice")
    (folder / "note.txt").write_text("buy milk", encoding="utf-8")
    return folder


def test_one_conversation_goes_and_the_other_stays(kept: Path) -> None:
    before = tree(kept)
    assert {"call.mka", "call-2.mka", "said-2.jsonl", "said-2.vtt"} <= before.keys()
    result = run(kept, "--session", "first", "--yes")
    assert result.exit_code == 0, result.output
    after = tree(kept)
    gone = {"call.mka", "call.events.jsonl", "call.turns/001-user.mka", "said.jsonl", "said.vtt"}
    assert before.keys() - after.keys() == gone
    assert not (kept / "call.turns").exists()
    assert {name for name in after if after[name] != before[name]} == {"events.jsonl"}
    lines = [json.loads(line) for line in after["events.jsonl"].splitlines()]
    assert [line["session_id"] for line in lines] == ["second", "second"]
    for name in gone:
        assert f"deleted  {kept / name}" in result.output
    assert "deleted  2 lines of" in result.output
    assert f"left  {kept / 'said.srt'}" in result.output  # which does not say whose it is
    assert "webhook, mqtt" in result.output
    left = b"".join(after[name] for name in after if not name.endswith(".srt"))
    assert b"said in first" not in left
    assert b"said in second" in left


def test_a_dry_run_shows_the_same_and_deletes_nothing(kept: Path) -> None:
    before = tree(kept)
    result = run(kept, "--session", "first", "--dry-run")
    assert result.exit_code == 0
    assert f"delete  {kept / 'call.mka'}" in result.output
    assert "delete  2 lines of" in result.output
    assert tree(kept) == before


def test_who_does_not_say_yes_keeps_all(kept: Path) -> None:
    before = tree(kept)
    assert run(kept, "--session", "first").exit_code == 1
    assert tree(kept) == before


def test_a_recording_of_several_conversations_says_so(kept: Path) -> None:
    with (kept / "call.events.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"type": "x", "source": "y", "at": 1, "session_id": "third"}\n')
    result = run(kept, "--session", "first", "--dry-run")
    assert "tells of other conversations, too: third" in result.output


def test_what_is_in_use_is_not_deleted_and_told(kept: Path) -> None:
    lock = lock_to_read(kept / "call.mka")
    assert lock is not None
    try:
        result = run(kept, "--session", "first", "--yes")
    finally:
        os.close(lock)
    assert result.exit_code == 1
    assert f"NOT deleted  {kept / 'call.mka'}: it is in use" in result.output
    assert (kept / "call.mka").exists()


def test_what_was_written_before_a_date_goes(kept: Path) -> None:
    soon = (datetime.now(UTC).astimezone() + timedelta(days=1)).date().isoformat()
    assert "nothing to delete" in run(kept, "--before", "2001-01-01", "--yes").output
    result = run(kept, "--before", soon, "--yes")
    assert result.exit_code == 0
    assert tree(kept).keys() == {"note.txt"}


def test_a_file_goes_with_what_lies_beside_it(kept: Path) -> None:
    before = tree(kept)
    assert run(kept, "--file", kept / "call.mka", "--yes").exit_code == 0
    gone = {"call.mka", "call.events.jsonl", "call.turns/001-user.mka"}
    assert before.keys() - tree(kept).keys() == gone
    (kept / "call-2.jsonl").touch()
    run(kept, "--file", kept / "call-2.jsonl", "--yes")
    assert (kept / "call-2.mka").exists()  # a transcript's name leads to no recording


@pytest.mark.parametrize(
    "arguments", [(), ("--session", "a", "--before", "2026-01-01"), ("--before", "yesterday")]
)
def test_a_question_that_is_none_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).exit_code == 2


def test_no_file_outside_the_folder_and_no_link_is_touched(kept: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mka"
    other.write_bytes(b"x")
    link = kept / "link.mka"
    link.symlink_to(other)
    assert run(kept, "--file", other, "--yes").exit_code == 2
    assert run(kept, "--file", link, "--yes").exit_code == 2
    line = json.dumps({"type": "a", "source": "b", "at": 1, "session_id": "first"})
    (tmp_path / "elsewhere.jsonl").write_text(f"{line}\n", encoding="utf-8")
    (kept / "l.jsonl").symlink_to(tmp_path / "elsewhere.jsonl")
    run(kept, "--session", "first", "--yes")
    assert (tmp_path / "elsewhere.jsonl").read_text(encoding="utf-8") == f"{line}\n"


def test_a_file_that_is_appended_to_meanwhile_loses_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    writer = AppendedFile(path)

    def put(session: str, n: int) -> None:
        writer.append(json.dumps({"session_id": session, "n": n}).encode() + b"\n")

    for n in range(4):
        put(SESSIONS[n % 2], n)

    def others_write(_: int) -> None:
        """All was read, and the new file has not taken the name."""
        monkeypatch.undo()
        put("second", 4)
        put("first", 5)

    monkeypatch.setattr("rtpipe_plugins.commands.forget.deletion.os.fsync", others_write)
    assert rewrite(path, Wanted("first")) == 3
    put("second", 6)
    writer.close()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["n"] for line in lines] == [1, 3, 4, 6]
