"""decoding: whatever is damaged is played around and counted, and no time stamp is an order."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe import AudioFormat, AudioFrame, audio
from rtpipe.audio import check_frame
from rtpipe.testing import joined
from rtpipe_plugins.media.damage import Damage, MediaDamaged
from rtpipe_plugins.media.decoding import decoded, open_media, pick_stream

RATE = 48_000


def ffmpeg(*words: str | Path) -> None:
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *words], check=True)


def tone(path: Path, *words: str, hz: int = 500, rate: int = RATE, seconds: float = 2) -> bytes:
    """Return the bytes of a file that is made."""
    ffmpeg("-f", "lavfi", "-i", f"sine={hz}:r={rate}:d={seconds}", *words, path)
    return path.read_bytes()


def read(path: Path, **options: Any) -> tuple[list[AudioFrame], Damage]:
    damage = Damage()
    with closing(open_media(str(path))) as container:
        stream = pick_stream(container, 0, str(path))
        frames = list(decoded(container, stream, damage=damage, **options))
    for before, frame in zip([None, *frames], frames, strict=False):
        check_frame(frame, before)
    return frames, damage


def length_s(frames: list[AudioFrame]) -> float:
    """Return where the last of them ends (s)."""
    return ((frames[-1].pts or 0) + frames[-1].samples) / frames[-1].sample_rate


def told(damage: Damage) -> str:
    event = damage.news()
    return "" if event is None else event.line()


def packets_at(path: Path, stamps_ms: Iterator[int] | list[int]) -> Path:
    """Write a Matroska of 20 ms Opus packets with time stamps of one's own."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        for number, at_ms in enumerate(stamps_ms):
            loud = np.random.default_rng(number).integers(-9000, 9000, (1, 960), dtype=np.int16)
            frame = AudioFrame.from_ndarray(loud, format="s16", layout="mono")
            audio.stamp(frame, sample_rate=RATE, pts=960 * number)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = at_ms
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    return path


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("m4a", "aac"),
        ("ts", "aac"),
        ("m4a", "alac"),
        ("ac3", "ac3"),
        ("eac3", "eac3"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("mka", "libvorbis"),
        ("wma", "wmav2"),
        ("wv", "wavpack"),
    ],
)
def test_no_damage_ends_it_and_what_is_whole_stays_in_its_place(
    tmp_path: Path, ending: str, codec: str, seed: int
) -> None:
    noise = "anoisesrc=d=5:r=48000:a=0.3:seed=1"
    path = tmp_path / f"noise.{ending}"
    more = ("-movflags", "faststart") if ending == "m4a" else ()
    ffmpeg("-f", "lavfi", "-i", noise, "-c:a", codec, *more, path)
    content, dice = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(12):
        at = dice.randrange(len(content) // 4, len(content) * 9 // 10)
        content[at : at + 4] = dice.randbytes(4)
    path.write_bytes(content)
    frames, damage = read(path)
    heard_s = sum(frame.samples / frame.sample_rate for frame in frames)
    assert heard_s + damage.lost_s == pytest.approx(5, abs=0.6)
    if ending != "mka":  # whose demuxer finds no way back into a damaged cluster, and ends
        assert length_s(frames) == pytest.approx(5, abs=0.6)


def test_what_was_lost_is_told_in_packets_and_seconds_once(tmp_path: Path) -> None:
    path = tmp_path / "tone.ts"
    content = bytearray(tone(path, "-c:a", "aac", seconds=20))
    begin, end = len(content) // 4, len(content) * 7 // 10
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)
    frames, damage = read(path)
    assert length_s(frames) == pytest.approx(20, abs=0.2)
    assert damage.lost_s == pytest.approx(9, abs=0.6)
    assert told(damage).endswith(f"{damage.lost_s:.1f} s of damaged audio lost")
    assert not told(damage)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (MediaDamaged(packets=1, lost_s=0.02, jumps=0), "1 damaged packet skipped"),
        (MediaDamaged(packets=0, lost_s=9.0, jumps=0), "9.0 s of damaged audio lost"),
        (
            MediaDamaged(packets=2, lost_s=0.0, jumps=1),
            "2 damaged packets skipped, 1 impossible jump in time ignored",
        ),
    ],
)
def test_damage_in_words(event: MediaDamaged, line: str) -> None:
    assert event.line() == line


@pytest.mark.slow
def test_what_is_whole_has_nothing_to_tell(tmp_path: Path) -> None:
    for ending in ("wav", "mp3", "m4a", "ogg", "opus", "mka", "ts", "flac", "flv"):
        tone(tmp_path / f"tone.{ending}", rate=44_100 if ending == "flv" else RATE)
        _, damage = read(tmp_path / f"tone.{ending}")
        assert damage == Damage(), ending


def test_a_packet_of_another_week_is_not_waited_for(tmp_path: Path) -> None:
    hundred_hours = 100 * 3600 * 1000
    frames, damage = read(
        packets_at(tmp_path / "bomb.mka", [0, 20, hundred_hours, hundred_hours + 20])
    )
    assert length_s(frames) < 0.1
    assert (damage.jumps, damage.lost_s) == (1, 0.0)
    assert "impossible jump" in told(damage)


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    frames, damage = read(packets_at(tmp_path / "hole.mka", [0, 20, 9040, 9060]))
    assert length_s(frames) == pytest.approx(9.08, abs=0.02)
    assert damage.lost_s == pytest.approx(9.0, abs=0.02)


def test_rounded_and_jittering_stamps_are_no_holes(tmp_path: Path) -> None:
    dice = random.Random(1)
    stamps = [20 * n + dice.randint(-9, 9) for n in range(1, 500)]
    frames, damage = read(packets_at(tmp_path / "jitter.mka", sorted(stamps)))
    assert damage == Damage()
    assert length_s(frames) == pytest.approx(499 * 0.02, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(
    stamps=st.lists(st.integers(0, 2**40) | st.integers(0, 5000), min_size=1, max_size=30).map(
        sorted
    )
)
def test_whatever_the_stamps_say_there_is_a_bound_and_no_packet_is_lost(
    tmp_path_factory: pytest.TempPathFactory, stamps: list[int]
) -> None:
    path = packets_at(tmp_path_factory.mktemp("any") / "any.mka", stamps)
    frames, damage = read(path, longest_holes_s=10.0)
    assert sum(frame.samples for frame in frames) >= 960 * len(stamps) - 960
    assert damage.lost_s <= 10 + 2 * 0.02 * len(stamps)


def test_a_clock_that_begins_anew_moves_nothing(tmp_path: Path) -> None:
    """An encoder that was restarted: FFmpeg takes its time for one of 26 hours later."""
    whole = b"".join(
        tone(tmp_path / f"{n}.ts", "-c:a", "mp2", "-output_ts_offset", offset, seconds=3)
        for n, offset in enumerate(("600", "0", "90000"))
    )
    (tmp_path / "whole.ts").write_bytes(whole)
    frames, damage = read(tmp_path / "whole.ts")
    assert length_s(frames) == pytest.approx(9, abs=0.2)
    assert damage.jumps == 2


def test_a_sample_rate_that_changes_makes_no_gaps(tmp_path: Path) -> None:
    first = tone(tmp_path / "a.aac", rate=44_100)
    second = tone(tmp_path / "b.aac", hz=900, seconds=20)
    (tmp_path / "whole.aac").write_bytes(first + second)
    frames, damage = read(tmp_path / "whole.aac")
    assert {frame.sample_rate for frame in frames} == {44_100}
    assert length_s(frames) == pytest.approx(22.1, abs=0.1)
    assert sum(frame.samples for frame in frames) / 44_100 == pytest.approx(22.1, abs=0.1)
    assert damage == Damage()


@pytest.mark.parametrize(("codec", "ending"), [("libopus", "opus"), ("libvorbis", "ogg")])
def test_a_chained_ogg_goes_on_in_whatever_format(tmp_path: Path, codec: str, ending: str) -> None:
    links = [("1", 400), ("2", 900), ("2", 1300), ("1", 2000)]
    whole = b"".join(
        tone(tmp_path / f"{n}.{ending}", "-c:a", codec, "-ac", channels, hz=hz)
        for n, (channels, hz) in enumerate(links)
    )
    (tmp_path / f"whole, with: a name.{ending}").write_bytes(whole)
    frames, damage = read(tmp_path / f"whole, with: a name.{ending}")
    assert {str(AudioFormat.of(frame)) for frame in frames} == {"s16, mono, 48000 Hz"}
    assert length_s(frames) == pytest.approx(8, abs=0.1)
    assert damage == Damage()
    data = joined(frames)[:, 0]
    for number, (_, hz) in enumerate(links):
        begin = round((2 * number + 0.5) * RATE)
        assert np.abs(np.fft.rfft(data[begin : begin + RATE])).argmax() == pytest.approx(hz, abs=1)


@pytest.mark.parametrize("ending", ["wav", "flac", "m4a", "mka", "mp3"])
@pytest.mark.parametrize("odd", [b"F\xfcr", b"\xff\xfe\x00", b"\xc3\x28\x80"])
def test_tags_of_any_bytes_keep_nobody_from_listening(
    tmp_path: Path, ending: str, odd: bytes
) -> None:
    path = tmp_path / f"tone.{ending}"
    title = "X" * len(odd)
    made = tone(path, "-metadata", f"title={title}", "-id3v2_version", "0")
    if ending == "mp3":
        made += b"TAG" + title.encode().ljust(124, b"\0") + b"\x0c"  # ID3v1, Latin-1 by definition
    assert title.encode() in made
    path.write_bytes(made.replace(title.encode(), odd))
    frames, _ = read(path)
    assert length_s(frames) == pytest.approx(2, abs=0.1)
