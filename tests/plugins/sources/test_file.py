"""file: every sample of the file, once, with honest times; and clear words about what is wrong."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.media_files import lag, write_wav
from rtpipe import AudioFormat, AudioFrame, ExitCode, StageError, audio
from rtpipe.audio import check_frame
from rtpipe.testing import Bench, StageRun, check_stage, joined, run_stage, run_virtual
from rtpipe_plugins.sources.file import File, FileOptions


def played(path: Path, **options: Any) -> StageRun:
    seconds = options.pop("seconds", None)
    frame_ms = options.pop("frame_ms", 200)
    options["path"] = path
    return run_virtual(run_stage(File, options, seconds=seconds, frame_ms=frame_ms))


@pytest.fixture
def noise() -> NDArray[np.int16]:
    """An odd number of stereo samples that no codec would leave as they are."""
    return np.random.default_rng(1).integers(-32768, 32768, (100_003, 2), dtype=np.int16)


@pytest.fixture
def wav(tmp_path: Path, noise: NDArray[np.int16]) -> Path:
    return write_wav(tmp_path / "noise.wav", noise, 44_100)


def encoded(path: Path, *, seconds: float = 3.0) -> Path:
    ffmpeg("-f", "lavfi", "-i", f"sine=1000:sample_rate=48000:duration={seconds}", path)
    return path


def ffmpeg(*words: str | Path) -> None:
    subprocess.run(["ffmpeg", "-loglevel", "error", *words], check=True)


def test_it_keeps_the_contract(wav: Path) -> None:
    check_stage(File, {"path": wav})
    check_stage(File, {"path": wav, "realtime": True, "loop": True, "start_s": 1.7})


@pytest.mark.parametrize("frame_ms", [20, 200])
def test_every_sample_of_a_wav_in_its_own_format(
    wav: Path, noise: NDArray[np.int16], frame_ms: int
) -> None:
    run = played(wav, frame_ms=frame_ms)
    assert np.array_equal(joined(run.frames), noise)
    assert {str(AudioFormat.of(frame)) for frame in run.frames} == {"s16, stereo, 44100 Hz"}
    assert {frame.samples for frame in run.frames[:-1]} == {44_100 * frame_ms // 1000}
    assert [frame.pts for frame in run.frames[:2]] == [0, 44_100 * frame_ms // 1000]


def test_24_bit_and_many_channels_become_s16_and_stay_many(tmp_path: Path) -> None:
    data = np.random.default_rng(2).integers(-(2**31), 2**31, (1, 6 * 5000), dtype=np.int32)
    with av.open(str(tmp_path / "six.wav"), "w") as container:
        stream = container.add_stream("pcm_s32le", rate=48_000, layout="5.1")
        frame = av.AudioFrame.from_ndarray(data, format="s32", layout="5.1")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
    run = played(tmp_path / "six.wav")
    assert run.frames[0].layout.name == "5.1"
    error = joined(run.frames).ravel() - data[0] / 65536
    assert np.abs(error).max() <= 1


@pytest.mark.parametrize("ending", ["flac", "mp3", "m4a", "ogg", "mka", "opus"])
def test_compressed_files_keep_their_length_and_tone(tmp_path: Path, ending: str) -> None:
    run = played(encoded(tmp_path / f"tone.{ending}"), frame_ms=20)
    assert run.samples == pytest.approx(144_000, abs=1024)
    data = joined(run.frames)[:, 0]
    assert np.abs(np.fft.rfft(data[24_000:72_000])).argmax() == 1000
    previous = None
    for frame in run.frames:
        check_frame(frame, previous)
        previous = frame
    assert (run.frames[0].pts, run.frames[-1].pts) == (0, run.samples - run.frames[-1].samples)


@pytest.mark.parametrize(("start_s", "duration_s"), [(0.5, 1.0), (0.0, 0.3333), (2.0, 10.0)])
def test_a_part_of_it_is_exact(
    wav: Path, noise: NDArray[np.int16], start_s: float, duration_s: float
) -> None:
    run = played(wav, start_s=start_s, duration_s=duration_s)
    begin, length = round(start_s * 44_100), round(duration_s * 44_100)
    assert np.array_equal(joined(run.frames), noise[begin : begin + length])
    assert run.frames[0].pts == 0


@pytest.mark.parametrize("ending", ["flac", "ogg", "mka", "m4a"])
def test_a_part_of_a_compressed_file(tmp_path: Path, ending: str) -> None:
    run = played(encoded(tmp_path / f"tone.{ending}"), start_s=1.3, duration_s=1.0)
    assert run.samples == pytest.approx(48_000, abs=100)
    assert run.frames[0].pts == 0


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mka", ["libopus"]),
        ("a.webm", ["libopus"]),
        ("frames-of-60-ms.mka", ["libopus", "-frame_duration", "60"]),
        ("frames-of-2.5-ms.mka", ["libopus", "-frame_duration", "2.5"]),
        ("of-any-length.webm", ["libvorbis"]),
        ("44100.mka", ["aac", "-ar", "44100"]),
        ("a.flv", ["aac", "-ar", "44100"]),
        ("a.mka", ["flac"]),
        ("a.opus", ["libopus"]),
        ("a.m4a", ["aac"]),
        ("a.mp3", ["libmp3lame"]),
    ],
)
@pytest.mark.parametrize("start_s", [0.01, 0.5, 1.01, 3.7, 11.333])
def test_it_starts_to_the_sample_where_time_stamps_are_rounded(
    tmp_path: Path, name: str, codec: list[str], start_s: float
) -> None:
    pulses = tmp_path / "pulses.wav"
    data = np.random.default_rng(5).normal(0, 3000, 48_000 * 13)
    write_wav(pulses, data.astype(np.int16))
    ffmpeg("-i", pulses, "-c:a", *codec, tmp_path / name)
    whole = joined(played(tmp_path / name).frames)[:, 0].astype(float)
    run = played(tmp_path / name, start_s=start_s, duration_s=1.0)
    rate = run.frames[0].sample_rate
    part, begin = joined(run.frames)[:, 0].astype(float), round(start_s * rate)
    assert run.frames[0].pts == 0
    assert len(part) == rate
    assert lag(whole[begin : begin + rate], part) == 0


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "m4a", "opus", "mka", "webm"])
@pytest.mark.parametrize("start_s", [3.5, 1e6])
def test_a_start_behind_the_end_is_said(tmp_path: Path, ending: str, start_s: float) -> None:
    run = played(encoded(tmp_path / f"tone.{ending}"), start_s=start_s)
    assert run.frames == []
    (said,) = run.of_type("file.start_behind_end")
    assert f"start_s {start_s:g} is behind the end of" in said.line()
    assert said.line().endswith(", at 3.0 s")
    assert run.of_type("media.damaged") == []


def test_a_fifo_is_a_file_too(tmp_path: Path, wav: Path, noise: NDArray[np.int16]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(wav.read_bytes()), daemon=True)
    writer.start()
    run = played(fifo, start_s=1.5)
    assert np.array_equal(joined(run.frames), noise[round(1.5 * 44_100) :])
    writer.join(10)


@pytest.mark.slow
def test_a_fifo_that_nobody_writes_to_keeps_no_process_alive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    line = f"file {tmp_path / 'fifo'} ! blackhole"
    command = [sys.executable, "-m", "rtpipe", "run", "--for", "0.2", "-x", line]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        timer = threading.Timer(3, process.terminate)
        timer.start()
        assert process.wait(20) is not None
        timer.cancel()


def test_in_a_loop_it_goes_on_without_a_seam(wav: Path, noise: NDArray[np.int16]) -> None:
    run = played(wav, loop=True, seconds=6.0)
    expected = np.concatenate([noise] * 3)[: run.samples]
    assert np.array_equal(joined(run.frames), expected)
    ends = np.cumsum([frame.samples for frame in run.frames])
    assert [frame.pts for frame in run.frames[1:]] == list(ends[:-1])


def test_in_real_time_it_takes_its_time_and_says_when(wav: Path) -> None:
    async def timed() -> tuple[StageRun, float]:
        run = await run_stage(File, {"path": wav, "realtime": True})
        return run, asyncio.get_running_loop().time()

    run, ended_at = run_virtual(timed())
    assert ended_at == pytest.approx(100_003 / 44_100, abs=0.021)
    at = [audio.meta(frame).captured_at for frame in run.frames]
    assert at == pytest.approx([0.02 * n for n in range(len(at))])


@pytest.mark.parametrize("ending", ["flac", "m4a"])
def test_a_damaged_file_is_played_around_the_damage(tmp_path: Path, ending: str) -> None:
    path = encoded(tmp_path / f"tone.{ending}", seconds=10)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 10] = b"\xa5" * (len(content) // 10)
    path.write_bytes(content)
    run = played(path)
    last = run.frames[-1]
    assert ((last.pts or 0) + last.samples) / 48_000 == pytest.approx(10, abs=0.5)
    assert run.samples > 7 * 48_000
    previous = None
    for frame in run.frames:
        check_frame(frame, previous)
        previous = frame


def test_what_a_damaged_file_has_lost_is_told_once_and_is_no_failure(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.flac", seconds=10)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 10] = bytes(len(content) // 10)
    path.write_bytes(content)
    run = played(path)
    (event,) = run.of_type("media.damaged")
    lost_s = 10 - run.samples / 48_000
    assert lost_s > 0.5
    assert event.payload()["lost_s"] == pytest.approx(lost_s, abs=0.1)


def test_each_pass_of_a_loop_tells_of_new_damage_in_growing_figures(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.ts", seconds=2)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) * 3 // 4] = bytes(len(content) // 4)
    path.write_bytes(content)
    events = played(path, loop=True, seconds=5.0).of_type("media.damaged")
    lost = [event.payload()["lost_s"] for event in events]
    assert lost[1] == pytest.approx(2 * lost[0], abs=0.02)


@pytest.mark.parametrize("heard", [1, 7])
def test_a_failure_that_was_read_ahead_of_is_told_when_it_is_due_and_else_to_nobody(
    wav: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, heard: int
) -> None:
    def failing(*_: object, **__: object) -> Iterator[AudioFrame]:
        for second in range(7):
            yield audio.silence(48_000, pts=48_000 * second, sample_rate=48_000)
        raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input", "")

    monkeypatch.setattr("rtpipe_plugins.media.decoding.decoded", failing)

    async def main() -> None:
        bench = Bench(File, {"path": wav}, frame_ms=1000)
        async with bench.opened() as bench:
            assert isinstance(bench.stage, File)
            stream = bench.stage.frames()
            for _ in range(heard):
                await anext(stream)
            await bench.stage._thread.start(lambda: None)  # after what is read ahead
            if heard == 7:
                with pytest.raises(StageError):
                    await anext(stream)
            await stream.aclose()

    asyncio.run(main())
    gc.collect()
    assert not caplog.records


def test_what_cannot_be_read_any_further_is_said_in_a_sentence(
    wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> Iterator[AudioFrame]:
        yield audio.silence(48_000, pts=0, sample_rate=48_000)
        raise av.error.InvalidDataError(1094995529, "Invalid data found when processing input", "")

    monkeypatch.setattr("rtpipe_plugins.media.decoding.decoded", failing)
    with pytest.raises(StageError) as caught:
        played(wav)
    assert caught.value.message == (
        f"{wav} cannot be read beyond 0.0 s: Invalid data found when processing input"
    )


def test_a_file_of_which_nothing_can_be_decoded_is_an_error(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.ac3")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        starts = [packet.pos for packet in container.demux() if packet.size]
    for start in starts:
        content[start + 5 : start + 60] = b"\xff" * 55
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"nothing of .* can be decoded"):
        played(path)


def test_a_missing_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"there is no file .*nothing\.wav") as caught:
        played(tmp_path / "nothing.wav")
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert caught.value.help


def test_what_is_not_audio_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("Hello, I am a text.")
    with pytest.raises(StageError, match=r"FFmpeg cannot read .*text\.wav: Invalid data"):
        played(tmp_path / "text.wav")
    with pytest.raises(StageError, match="Is a directory"):
        played(tmp_path)
    ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1", tmp_path / "silent.mp4")
    with pytest.raises(StageError, match=r"silent\.mp4 has no audio: it holds video"):
        played(tmp_path / "silent.mp4")


def test_a_stream_that_is_not_there_is_listed(wav: Path) -> None:
    with pytest.raises(StageError, match="no audio stream 1") as caught:
        played(wav, stream=1)
    assert "0: pcm_s16le stereo 44100 Hz" in (caught.value.help or "")


def test_the_second_stream_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "two.mka"
    low = ("-f", "lavfi", "-i", "sine=400:duration=1")
    high = ("-f", "lavfi", "-i", "sine=2000:duration=1")
    ffmpeg(*low, *high, "-map", "0", "-map", "1", "-c:a", "flac", path)
    data = joined(played(path, stream=1).frames)[:, 0]
    assert np.abs(np.fft.rfft(data)).argmax() == 2000


def test_an_empty_file_gives_nothing_and_does_not_loop(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "empty.wav", np.zeros(0, np.int16))
    assert played(path).frames == []
    with pytest.raises(StageError, match="no audio to loop"):
        played(path, loop=True)


@pytest.mark.parametrize(
    ("format", "dtype"), [("s16le", "<i2"), ("s16be", ">i2"), ("f32le", "<f4"), ("s32le", "<i4")]
)
def test_samples_without_a_header(
    tmp_path: Path, noise: NDArray[np.int16], format: str, dtype: str
) -> None:
    path = tmp_path / "noise.raw"
    scale = {"i2": 1.0, "f4": 1 / 32768, "i4": 65536.0}[dtype[1:]]
    path.write_bytes((noise.astype(float) * scale).astype(dtype).tobytes())
    run = played(path, format=format, sample_rate=44_100, channels=2, start_s=1)
    assert np.array_equal(joined(run.frames), noise[44_100:])
    assert {(f.sample_rate, f.layout.name) for f in run.frames} == {(44_100, "stereo")}


def test_a_telephone_recording_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "call.raw"
    ffmpeg("-f", "lavfi", "-i", "sine=1000:sample_rate=8000:duration=2", "-f", "mulaw", path)
    run = played(path, format="mulaw", sample_rate=8000)
    heard = joined(run.frames)[:, 0]
    assert len(heard) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 2 * 1000  # 2 s: half a hertz a bin


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "s16le"}, "give `sample_rate`"),
        ({"sample_rate": 8000}, "`sample_rate` is for samples without a header"),
        ({"format": "wav", "channels": 2}, "`channels` is for samples without a header"),
    ],
)
def test_a_file_is_described_once(wav: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FileOptions(path=wav, **options)


def test_a_format_that_ffmpeg_does_not_know_is_found_by_looking(wav: Path) -> None:
    [finding] = File.examine(FileOptions(path=wav, format="s17le"))
    assert (finding.status, finding.option) == ("wrong", "format")
    assert not list(File.examine(FileOptions(path=wav, format="wav")))


@pytest.mark.parametrize("channel", [1, 2])
def test_one_channel_of_a_file(wav: Path, noise: NDArray[np.int16], channel: int) -> None:
    run = played(wav, channel=channel, start_s=0.5, duration_s=1)
    assert {f.layout.name for f in run.frames} == {"mono"}
    assert np.array_equal(joined(run.frames)[:, 0], noise[22_050:66_150, channel - 1])


def test_a_channel_that_is_not_there(wav: Path) -> None:
    with pytest.raises(StageError, match="has no channel 3, only 2") as caught:
        played(wav, channel=3)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
