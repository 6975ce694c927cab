"""WAV files, read a second at a time: the same samples, holes and losses as in small packets."""

import random
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from av.container import InputContainer
from av.error import FFmpegError

from helpers.media_files import write_wav
from rtpipe import audio
from rtpipe_plugins.media.damage import Damage
from rtpipe_plugins.media.decoding import decoded, open_media, pick_stream
from rtpipe_plugins.media.seeking import sought
from rtpipe_plugins.media.wave import open_wave

CODECS = ["u8", "s16le", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw"]


def ffmpeg(*words: str | Path) -> None:
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *words], check=True)


def tone(path: Path, *words: str, seconds: float = 3.3) -> Path:
    ffmpeg("-f", "lavfi", "-i", f"sine=500:r=44100:d={seconds}", *words, path)
    return path


def content(container: InputContainer, start_s: float = 0.0) -> tuple[list[object], list[int]]:
    """Return the samples, each piece with its place, and how large the pieces were."""
    damage = Damage()
    pieces: dict[int, bytes] = {}
    begin = end = -1
    sizes: list[int] = []
    with closing(container):
        stream = pick_stream(container, 0, "it")
        origin = sought(container, stream, start_s)
        for frame in decoded(container, stream, origin=origin, begin_s=start_s, damage=damage):
            pts = frame.pts or 0
            skipped = min(max(round(start_s * frame.sample_rate) - pts, 0), frame.samples)
            begin = begin if pts + skipped == end else pts + skipped
            end = pts + frame.samples
            pieces[begin] = pieces.get(begin, b"") + audio.pcm(frame)[skipped:].tobytes()
            sizes.append(frame.samples)
        heard = {begin: data for begin, data in pieces.items() if data}
        return [heard, damage, stream.layout.name, stream.sample_rate], sizes


def read(path: Path, start_s: float = 0.0) -> tuple[list[object], list[int]]:
    """Return what a file holds, in both ways the same."""
    wave = open_wave(path, {})
    assert wave is not None
    found = content(wave, start_s)
    assert found[0] == content(open_media(str(path)), start_s)[0]
    return found


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("channels", ["1", "2", "6"])
def test_a_packet_holds_a_second_of_any_pcm(tmp_path: Path, codec: str, channels: str) -> None:
    path = tone(tmp_path / "it.wav", "-c:a", f"pcm_{codec}", "-ac", channels)
    _, sizes = read(path)
    assert sizes == [44_100, 44_100, 44_100, 13_230]


@pytest.mark.parametrize("words", [["-rf64", "always"], ["-bitexact"]])
def test_so_it_does_of_its_large_sister(tmp_path: Path, words: list[str]) -> None:
    read(tone(tmp_path / "it.wav", *words))


def test_a_part_of_it_begins_at_its_sample(tmp_path: Path) -> None:
    for start_s in (0.37, 1.2, 2.01, 9.0):
        read(tone(tmp_path / "it.wav"), start_s)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_damaged_loses_no_more(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(tone(tmp_path / "whole.wav", "-ac", str(1 + seed % 2)).read_bytes())
    del data[chance.randrange(100, len(data)) :]
    for _ in range(seed):
        data[chance.randrange(12, 80 if seed % 3 else len(data))] = chance.randrange(256)
    path = tmp_path / "it.wav"
    path.write_bytes(data)
    try:
        wave = open_wave(path, {})
    except (FFmpegError, ValueError) as error:
        with pytest.raises(type(error)):
            open_media(str(path))
        return
    if wave is not None:
        assert content(wave)[0] == content(open_media(str(path)))[0]


def test_other_codecs_in_a_wav_are_left_to_ffmpeg(tmp_path: Path) -> None:
    assert open_wave(tone(tmp_path / "it.wav", "-c:a", "adpcm_ms"), {}) is None
    assert open_wave(tone(tmp_path / "it.flac"), {}) is None
    (tmp_path / "empty.wav").write_bytes(b"")
    assert open_wave(tmp_path / "empty.wav", {}) is None


def test_dts_that_pretends_to_be_stereo_is_found_behind_its_silence(tmp_path: Path) -> None:
    words = ("-ac", "2", "-ar", "48000", "-c:a", "dca", "-strict", "-2")
    dts = tone(tmp_path / "it.dts", *words, seconds=8).read_bytes()
    data = np.frombuffer(bytes(400_000) + dts[: len(dts) // 4 * 4], np.int16).reshape(-1, 2)
    path = write_wav(tmp_path / "it.wav", data)
    with open_media(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "dca"
    assert open_wave(path, {}) is None
