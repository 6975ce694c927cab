"""transcript: what was said, when, and how much of it was heard."""

import errno
import json
import shutil
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rtpipe import EnvironmentProblem, Event, StageError
from rtpipe.testing import Bench, check_stage, run_stage, run_virtual
from rtpipe_plugins.peers.realtime.events import AssistantTranscript, ServerEvent, UserTranscript
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted, PlaybackStopped
from rtpipe_plugins.subscribers.transcript.stage import Transcript, TranscriptOptions

ANSWER = "On the left you will find the café, and on the right the cloakroom."  # 67 characters


def server(type: str, at: float, **data: str) -> ServerEvent:
    return ServerEvent(type=type, at=at, source="realtime", data=data)


def asked(
    start: float, end: float, text: str = "Where is\nthe café?", id: str = "i1"
) -> list[Event]:
    return [
        server("turn.user_started", start, item_id=id),
        server("turn.user_stopped", end, item_id=id),
        UserTranscript(text=text, item_id=id, at=end + 0.7, source="realtime"),
    ]


def answered(start: float, end: float, text: str = ANSWER, id: str = "r1") -> list[Event]:
    return [
        server("turn.answer_started", start, response_id=id),
        server("turn.answer_stopped", end, response_id=id),
        AssistantTranscript(
            text=text, item_id=f"of {id}", response_id=id, interrupted=False, at=end + 0.1
        ),
    ]


def cut(start: float, end: float, text: str = ANSWER, id: str = "r1") -> list[Event]:
    return [
        server("turn.answer_started", start, response_id=id),
        server("turn.answer_stopped", end, response_id=id),
        AssistantTranscript(
            text=text, item_id=f"of {id}", response_id=id, interrupted=True, at=end + 0.1
        ),
    ]


def written(path: Path, events: Iterable[Event], **options: Any) -> str:
    """Return the transcript of what passes on the bus; the route lets transcript.* through only."""

    async def main() -> None:
        bench = Bench(Transcript, {"path": path, **options})
        async with bench.opened():
            for event in events:
                bench.bus.publish(event)
                if event.type.startswith("transcript."):
                    await bench.play([event])

    run_virtual(main())
    return path.read_text(encoding="utf-8")


def turns(path: Path, events: Iterable[Event], **options: Any) -> list[dict[str, Any]]:
    lines = written(path, events, format="jsonl", **options).splitlines()
    return [json.loads(line) for line in lines]


# --- the formats


def test_txt_has_a_line_for_each_turn(tmp_path: Path) -> None:
    text = written(tmp_path / "x.txt", [*asked(3725.4, 3727), *cut(3728, 3729)])
    assert text == (f"[01:02:05] user: Where is the café?\n[01:02:08] assistant: {ANSWER} …\n")


def test_srt_has_numbered_cues(tmp_path: Path) -> None:
    events = [*asked(1.25, 2.5), *answered(3, 8.0004, "That --> way.")]
    assert written(tmp_path / "x.srt", events) == (
        "1\n00:00:01,250 --> 00:00:02,500\nuser: Where is the café?\n\n"
        "2\n00:00:03,000 --> 00:00:08,000\nassistant: That → way.\n\n"
    )


def test_vtt_says_who_speaks_and_escapes(tmp_path: Path) -> None:
    assert written(tmp_path / "x.vtt", asked(1.25, 2.5, "<b> & --> c")) == (
        "WEBVTT\n\n1\n00:00:01.250 --> 00:00:02.500\n<v user>&lt;b&gt; &amp; --&gt; c\n\n"
    )


def test_jsonl_has_an_object_for_each_turn(tmp_path: Path) -> None:
    assert turns(tmp_path / "x.jsonl", asked(1.25, 2.5)) == [
        {
            "start": 1.25,
            "end": 2.5,
            "speaker": "user",
            "text": "Where is the café?",
            "interrupted": False,
            "status": "completed",
        }
    ]


@pytest.mark.parametrize("ending", ["srt", "vtt"])
def test_ffmpeg_reads_the_subtitles(tmp_path: Path, ending: str) -> None:
    import av

    path = tmp_path / f"x.{ending}"
    written(path, [*asked(1, 2), *answered(3, 4), *asked(5, 6, id="i2")])
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
    assert [float(p.pts * p.time_base) for p in packets] == [1.0, 3.0, 5.0]  # type: ignore[operator]


# --- times


def test_a_typed_turn_lasts_a_moment(tmp_path: Path) -> None:
    typed = UserTranscript(text="Hello", item_id="typed", at=4.0)
    (turn,) = turns(tmp_path / "x", [typed])
    assert (turn["start"], turn["end"]) == (4.0, 4.001)


def test_words_that_come_late_do_not_begin_before_the_line_above(tmp_path: Path) -> None:
    """Players expect it of subtitles, and the answer may be known before the question."""
    question, answer = asked(1, 2), answered(3, 4)
    path = tmp_path / "x"
    first, second = turns(path, [*question[:2], *answer, question[2]])
    assert (first["speaker"], first["start"]) == ("assistant", 3.0)
    assert (second["speaker"], second["start"], second["end"] > 3.0) == ("user", 3.0, True)


def test_what_is_no_speech_is_left_out(tmp_path: Path) -> None:
    events = [
        Event(type="vad.speech_started"),
        UserTranscript(text="  \n", item_id="i"),
        Event(type="transcript.of_something_else"),
    ]
    assert turns(tmp_path / "x", events) == []


# --- what was heard


def heard(path: Path, events: list[Event]) -> str:
    """Return what was written of the last answer: "" for nothing."""
    found = [
        turn["text"]
        for turn in turns(path, events, heard_only=True)
        if turn["speaker"] == "assistant" and turn["interrupted"]
    ]
    assert len(found) <= 1
    return found[0] if found else ""


def test_without_heard_only_an_answer_is_whole(tmp_path: Path) -> None:
    (turn,) = turns(tmp_path / "x", cut(3, 4))
    assert (turn["text"], turn["interrupted"]) == (ANSWER, True)


def test_an_answer_that_was_heard_to_its_end_is_whole(tmp_path: Path) -> None:
    (turn,) = turns(tmp_path / "x", answered(3, 3.5), heard_only=True)
    assert turn["text"] == ANSWER


def test_of_one_that_was_cut_the_words_that_were_heard(tmp_path: Path) -> None:
    assert heard(tmp_path / "x", cut(3, 4)) == "On the left you"  # 15 characters a second


def test_no_half_words(tmp_path: Path) -> None:
    assert heard(tmp_path / "x", cut(3, 3.9)) == "On the left"


def test_the_speed_of_the_voice_is_learnt(tmp_path: Path) -> None:
    slow = answered(0, 13.4, id="r0")  # 5 characters a second
    assert heard(tmp_path / "x", [*slow, *cut(20, 23)]) == "On the left you"


def test_one_that_was_cut_after_its_last_word_is_whole(tmp_path: Path) -> None:
    assert heard(tmp_path / "x", cut(3, 30)) == ANSWER


def test_one_that_never_began_to_sound_was_not_heard(tmp_path: Path) -> None:
    assert heard(tmp_path / "x", cut(3, 4)[2:]) == ""


def test_what_the_loudspeaker_played_counts_and_not_what_the_server_sent(tmp_path: Path) -> None:
    """It began 400 ms later, and was flushed 100 ms before the server heard of it."""
    started, cleared, said = cut(3, 4.5)
    playback = [PlaybackStarted(position_s=0, at=3.4), PlaybackStopped(position_s=1, at=4.4)]
    assert heard(tmp_path / "x", [started, *playback, cleared, said]) == "On the left you"


def test_a_pause_in_an_answer_belongs_to_it(tmp_path: Path) -> None:
    started, cleared, said = cut(3, 4)
    playback = [
        PlaybackStarted(position_s=0, at=3.0),
        PlaybackStopped(position_s=0, at=3.3),
        PlaybackStarted(position_s=0, at=3.7),
    ]
    assert heard(tmp_path / "x", [started, *playback, cleared, said]) == "On the left you"


def test_a_loudspeaker_that_sounds_on_from_an_answer_to_the_next(tmp_path: Path) -> None:
    events = [PlaybackStarted(position_s=0, at=1.0), *cut(3, 4)]
    assert heard(tmp_path / "x", events) == "On the left you"


def test_what_waited_for_the_loudspeaker_was_not_heard(tmp_path: Path) -> None:
    earlier = [PlaybackStarted(position_s=0, at=0), PlaybackStopped(position_s=1, at=1)]
    assert heard(tmp_path / "x", [*earlier, *cut(3, 4)]) == ""


def test_a_loudspeaker_that_knows_the_response_is_believed(tmp_path: Path) -> None:
    """Its playback log counts the response's own sound."""
    started, cleared, said = cut(3, 9)
    stopped = PlaybackStopped(position_s=1, played_ms=1000, response_id="r1", at=9.0)
    assert heard(tmp_path / "x", [started, stopped, cleared, said]) == "On the left you"


# --- the file


def test_the_file_is_whole_after_each_turn(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.jsonl"

    async def main() -> None:
        bench = Bench(Transcript, {"path": path})
        async with bench.opened():
            assert path.read_text(encoding="utf-8") == ""
            for count in (1, 2, 3):
                await bench.play([UserTranscript(text="x", item_id="i")])
                lines = path.read_text(encoding="utf-8").splitlines()
                assert len([json.loads(line) for line in lines]) == count

    run_virtual(main())


def test_each_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    first = written(tmp_path / "x.vtt", asked(1, 2))
    written(tmp_path / "x.vtt", asked(1, 2, "Again?"))
    assert (tmp_path / "x.vtt").read_text(encoding="utf-8") == first
    assert "Again?" in (tmp_path / "x-2.vtt").read_text(encoding="utf-8")


def test_the_date_stands_in_the_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with Bench(Transcript, {"path": tmp_path / "%Y" / "x.srt"}).opened():
            pass

    run_virtual(main())
    (path,) = tmp_path.rglob("x.srt")
    assert path.parent.name.isdigit()


def test_a_turn_that_does_not_fit_is_taken_back_and_the_next_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.srt"
    writes: list[int] = []

    class SmallDisk:
        """A file on a disk that is full for the second turn, after a part of it."""

        def __init__(self, file: FileIO) -> None:
            self._file = file

        def write(self, data: Any) -> int:
            writes.append(len(data))
            if len(writes) == 2:
                return self._file.write(data[:7])
            if len(writes) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
            return self._file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    async def main() -> None:
        bench = Bench(Transcript, {"path": path})
        async with bench.opened():
            appended = bench.stage._file  # type: ignore[attr-defined]
            appended._file = SmallDisk(appended._file)
            await bench.play([UserTranscript(text="one", item_id="i", at=1)])
            with pytest.raises(StageError, match="No space left"):
                await bench.play([UserTranscript(text="two", item_id="i", at=2)])
            await bench.play([UserTranscript(text="three", item_id="i", at=3)])

    run_virtual(main())
    assert path.read_text(encoding="utf-8") == (
        "1\n00:00:01,000 --> 00:00:01,001\nuser: one\n\n"
        "2\n00:00:03,000 --> 00:00:03,001\nuser: three\n\n"
    )


def test_it_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        written(tmp_path / "file" / "x.txt", [])


def test_a_format_must_be_known() -> None:
    with pytest.raises(ValidationError, match=r"\.txt, \.srt, \.vtt, \.jsonl"):
        TranscriptOptions(path=Path("x.doc"))
    assert TranscriptOptions(path=Path("x.doc"), format="txt").format == "txt"


@pytest.mark.parametrize("ending", ["txt", "srt", "vtt", "jsonl"])
def test_it_keeps_the_contract(tmp_path: Path, ending: str) -> None:
    check_stage(Transcript, {"path": tmp_path / f"x.{ending}", "heard_only": True})


def test_a_link_that_leads_nowhere_makes_no_file_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("elsewhere.txt")
    said = [asked(1.0, 2.0)[-1]]
    run_virtual(run_stage(Transcript, {"path": tmp_path / "a.txt"}, events=said))
    assert "Where is the café?" in (tmp_path / "a-2.txt").read_text(encoding="utf-8")
    assert not (tmp_path / "elsewhere.txt").exists()


# --- whatever is said

ODD = st.text(
    st.sampled_from(
        "\0\x01\x1a\x1b\x7f\x85\x9b\u2028\ufeff\ufffe\uffff\ud800-><&{}\\\n\r\t 1:a,é\u202e"
    )
)
SAID = st.lists(st.text(st.characters(), max_size=30) | ODD, min_size=1, max_size=4)


def spoken(texts: list[str]) -> list[Event]:
    return [
        UserTranscript(text=f"a{text}z", item_id=f"i{number}", at=float(number))
        for number, text in enumerate(texts)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["srt", "vtt"])
@given(texts=SAID)
def test_a_player_reads_each_turn_whatever_was_said(ending: str, texts: list[str]) -> None:
    import av

    with TemporaryDirectory() as folder:
        path = Path(folder) / f"x.{ending}"
        written(path, spoken(texts))
        with av.open(str(path)) as container:
            packets = [bytes(packet) for packet in container.demux() if packet.size]
    assert len(packets) == len(texts)
    for packet in packets:
        words = packet.decode()
        assert words.endswith("z")
        assert "\n" not in words


@pytest.mark.slow
@given(texts=SAID)
def test_text_and_data_have_one_line_for_each_turn(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        lines = written(Path(folder) / "x.txt", spoken(texts)).splitlines()
        turned = turns(Path(folder) / "x.jsonl", spoken(texts))
    assert len(lines) == len(turned) == len(texts)
    for line, turn in zip(lines, turned, strict=True):
        assert line.endswith(f"user: {turn['text']}")
        assert line.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)


def test_a_transcript_that_was_removed_is_begun_anew_with_its_header(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.vtt"

    async def main() -> None:
        bench = Bench(Transcript, {"path": path})
        async with bench.opened():
            await bench.play(spoken(["", ""])[:1])
            shutil.rmtree(path.parent)
            await bench.play(spoken(["", ""])[1:])

    run_virtual(main())
    assert path.read_text(encoding="utf-8").startswith("WEBVTT\n\n2\n00:00:01.000")
