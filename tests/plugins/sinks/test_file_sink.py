"""file_sink: what goes in is what the file holds, whatever happens to the process or the disk."""

import asyncio
import re
import subprocess
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from helpers.media_files import lag, read_tracks, read_wav
from rtpipe import (
    AudioFormat,
    AudioFrame,
    EnvironmentProblem,
    ExitCode,
    FormatError,
    Importance,
    StageError,
    audio,
)
from rtpipe.testing import Bench, check_stage, cut, joined, noise, run_stage, run_virtual, tone
from rtpipe_plugins.sinks.file_sink import FileSink, FileSinkOptions
from rtpipe_plugins.sources.file import File


def written(path: Path, frames: list[AudioFrame], **options: Any) -> None:
    frame_ms = options.pop("frame_ms", 20)
    run_virtual(run_stage(FileSink, {"path": path, **options}, frames, frame_ms=frame_ms))


def peak_hz(data: NDArray[np.floating], sample_rate: int) -> float:
    return int(np.abs(np.fft.rfft(data)).argmax()) * sample_rate / len(data)


@pytest.mark.parametrize("ending", ["wav", "flac", "mka", "opus", "m4a"])
def test_it_keeps_the_contract(tmp_path: Path, ending: str) -> None:
    check_stage(FileSink, {"path": tmp_path / f"out.{ending}", "overwrite": True})


@pytest.mark.parametrize("frame_ms", [20, 200])
def test_a_wav_is_exact_in_rate_layout_and_every_sample(tmp_path: Path, frame_ms: int) -> None:
    data = np.random.default_rng(3).integers(-32768, 32768, (100_003, 2), dtype=np.int16)
    frames = cut(data, 441 * frame_ms // 10, sample_rate=44_100, pts=7)
    written(tmp_path / "out.wav", frames, frame_ms=frame_ms)
    read, rate = read_wav(tmp_path / "out.wav")
    assert rate == 44_100
    assert np.array_equal(read, data)


def test_flac_and_pcm_in_matroska_are_exact_too(tmp_path: Path) -> None:
    frames = noise(seconds=1.234, level_dbfs=-20)
    for name, options in (
        ("a.flac", {}),
        ("b.mka", {"codec": "flac"}),
        ("c.mka", {"codec": "pcm"}),
    ):
        written(tmp_path / name, frames, **options)
        (track,) = read_tracks(tmp_path / name)
        assert np.array_equal(np.rint(track * 32768), joined(frames)[:, 0]), name


@pytest.mark.parametrize("ending", ["opus", "ogg", "mka", "webm", "mp3", "m4a", "mp4", "aac"])
def test_every_ending_makes_a_file_of_the_right_length_and_tone(
    tmp_path: Path, ending: str
) -> None:
    written(tmp_path / f"tone.{ending}", tone(1000, seconds=2.0))
    (track,) = read_tracks(tmp_path / f"tone.{ending}")
    assert len(track) == pytest.approx(96_000, abs=2500)
    assert peak_hz(track[24_000:72_000], 48_000) == 1000
    level = 20 * np.log10(np.sqrt(np.mean(track[24_000:72_000] ** 2)))
    assert level == pytest.approx(-20, abs=0.5)  # LAME turns 0.45 dB down


@pytest.mark.parametrize("ending", ["m4a", "mp4"])
@pytest.mark.parametrize("samples", [0, 480, 1023, 1024, 50_333])
def test_a_finished_mp4_is_not_late_by_the_encoders_priming(
    tmp_path: Path, ending: str, samples: int
) -> None:
    data = np.random.default_rng(4).integers(-3000, 3000, samples, dtype=np.int16)
    written(tmp_path / f"a.{ending}", cut(data) if samples else [])
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / f"a.{ending}"), "-f", "s16le", "-"]
    made = subprocess.run(command, capture_output=True, check=False).stdout
    heard = np.frombuffer(made, np.int16).astype(float)
    assert 0 <= len(heard) - samples < 1024
    if samples > 10_000:
        assert lag(data.astype(float), heard) == 0


def test_rate_and_layout_can_be_chosen(tmp_path: Path) -> None:
    written(tmp_path / "a.wav", tone(1000, seconds=1), sample_rate=16_000, layout="stereo")
    data, rate = read_wav(tmp_path / "a.wav")
    assert rate == 16_000
    assert data.shape == (16_000, 2)


def test_it_asks_for_what_the_codec_takes() -> None:
    def accepts(path: str, **options: Any) -> AudioFormat:
        return FileSink.accepts_for(FileSinkOptions(path=Path(path), **options))

    assert accepts("a.wav") == AudioFormat(None, None, "s16")
    assert accepts("a.opus") == AudioFormat(48_000, None, "s16")
    assert accepts("a.opus", sample_rate=16_000) == AudioFormat(16_000, None, "s16")
    assert accepts("a.flac", layout="mono") == AudioFormat(None, "mono", "s16")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"path": "a.xyz"}, "cannot write xyz: the ending can be .wav, .flac"),
        ({"path": "noending"}, "cannot write a file without an ending"),
        ({"path": "a.wav", "codec": "opus"}, "a WAV file holds pcm"),
        ({"path": "a.mka", "codec": "vhs"}, "FFmpeg has no encoder vhs"),
        ({"path": "a.opus", "sample_rate": 44_100}, "libopus takes a sample_rate of 8000, 12000"),
    ],
)
def test_what_cannot_be_written_is_refused_before_it_runs(
    options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(complaint)):
        FileSinkOptions.model_validate(options)


MANY = ["2.1", "4.0", "quad(side)", "5.1", "5.1(side)", "hexagonal", "7.1(wide)", "8 channels"]
MORE = ["FL+FR+FC+LFE+BL+TFC", "12 channels", "hexadecagonal", "22.2", "64 channels"]


def one_tone_each(layout: str) -> tuple[list[AudioFrame], list[int]]:
    """Return a second of audio with another tone in each channel, and the tones (Hz)."""
    count = av.AudioLayout(layout).nb_channels
    tones = [300 + 50 * channel for channel in range(count)]
    if layout in {"2.1", "5.1", "5.1(side)", "7.1(wide)", "8 channels", MORE[0], "22.2"}:
        tones[2 if layout == "2.1" else 3] = 60  # in codecs, LFE is for low tones
    time_s = np.arange(48_000)[:, None] / 48_000
    data = np.rint(8000 * np.sin(2 * np.pi * time_s * tones)).astype(np.int16)
    frames = [
        audio.from_pcm(data[at : at + 960], sample_rate=48_000, pts=at, layout=layout)
        for at in range(0, 48_000, 960)
    ]
    return frames, tones


@pytest.mark.parametrize("layout", [*MANY, *MORE])
@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        *((ending, None) for ending in ("wav", "flac", "opus", "mka", "webm", "mp3", "m4a", "aac")),
        *(("mka", codec) for codec in ("pcm", "flac")),
    ],
)
def test_no_channel_of_many_is_lost_and_another_layout_is_said(
    tmp_path: Path, layout: str, ending: str, codec: str | None
) -> None:
    frames, tones = one_tone_each(layout)
    path = tmp_path / f"many.{ending}"
    run = run_virtual(run_stage(FileSink, {"path": path, "codec": codec}, frames))
    with av.open(str(path)) as container:
        data = np.concatenate([audio.samples(frame) for frame in container.decode(audio=0)])
    spectrum = np.abs(np.fft.rfft(data[:48_000], axis=0)).max(axis=1)
    floor = 24_000 * 8000 / 32768 / len(tones) / 4
    assert [hz for hz in tones if spectrum[hz] < floor] == []
    said = [event.line() for event in run.events if event.type == "link.downmixed"]
    assert len(said) == (data.shape[1] < len(tones)) or f"{len(tones)} channels in" in said[0]


def test_a_wav_says_which_channels_it_has(tmp_path: Path) -> None:
    for layout in ("5.1(side)", "quad", "7.1(wide)", "FL+FR+FC+LFE+BL+TFC"):
        frames, _ = one_tone_each(layout)
        written(tmp_path / "a.wav", frames, overwrite=True)
        with av.open(str(tmp_path / "a.wav")) as container:
            assert container.streams.audio[0].layout.name == av.AudioLayout(layout).name
            read = np.concatenate([audio.pcm(frame) for frame in container.decode(audio=0)])
        assert np.array_equal(read, joined(frames))


def test_a_hole_becomes_silence_of_the_same_length(tmp_path: Path) -> None:
    loud = np.full(960, 1000, np.int16)
    frames = [*cut(loud), *cut(loud, pts=960 + 150_001), *cut(loud, pts=152_881)]
    written(tmp_path / "out.wav", frames)
    data = read_wav(tmp_path / "out.wav")[0][:, 0]
    expected = np.zeros(153_841, np.int16)
    expected[:960] = expected[150_961:151_921] = expected[152_881:] = 1000
    assert np.array_equal(data, expected)


def test_a_jump_of_years_is_no_hole_and_is_told(tmp_path: Path) -> None:
    frames = tone(seconds=1.0)
    for frame in frames[25:]:
        frame.pts = (frame.pts or 0) + 10**12
    run = run_virtual(run_stage(FileSink, {"path": tmp_path / "a.wav"}, frames))
    assert len(read_wav(tmp_path / "a.wav")[0]) == 48_000
    (event,) = run.of_type("timestamps.rebased")
    assert event.payload()["jump_s"] == pytest.approx(10**12 / 48_000, abs=1)


def test_an_existing_file_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "precious.wav"
    path.write_text("precious")
    with pytest.raises(StageError, match=r"precious\.wav exists already") as caught:
        written(path, tone(seconds=0.1))
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert "overwrite: true" in (caught.value.help or "")
    assert path.read_text() == "precious"
    written(path, tone(seconds=0.1), overwrite=True)
    assert len(read_wav(path)[0]) == 4800


def test_folders_are_made_and_dates_filled_in(tmp_path: Path) -> None:
    written(tmp_path / "a" / "%Y" / "%Y%m%d-%H%M%S.wav", tone(seconds=0.1))
    (path,) = tmp_path.rglob("*.wav")
    assert path.relative_to(tmp_path) == Path("a", "2026", "20260101-000000.wav"), "virtual time's"


def test_a_place_that_cannot_be_written_is_a_matter_of_the_surroundings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentProblem, match=r"cannot write .*(Not a|File ex)"):
        written(tmp_path / "file" / "out.wav", tone(seconds=0.1))


@pytest.mark.parametrize("ending", ["wav", "mka"])
def test_a_full_disk_is_an_error_that_names_the_file(ending: str) -> None:
    with pytest.raises(StageError, match="cannot write /dev/full: No space left on device"):
        written(Path("/dev/full"), noise(seconds=20), format=ending, overwrite=True)


def test_no_audio_at_all_is_a_valid_empty_file(tmp_path: Path) -> None:
    written(tmp_path / "out.wav", [])
    assert read_wav(tmp_path / "out.wav")[0].shape == (0, 1)


def test_a_start_that_failed_elsewhere_leaves_no_file(tmp_path: Path) -> None:
    async def opened_and_closed() -> None:
        async with Bench(FileSink, {"path": tmp_path / "out.wav"}).opened():
            pass

    run_virtual(opened_and_closed())
    assert list(tmp_path.iterdir()) == []


def test_a_wav_is_valid_while_it_is_being_written(tmp_path: Path) -> None:
    """So it is after a kill, too: nothing is left to be done at the end."""
    path = tmp_path / "out.wav"
    seen: list[int] = []

    def look(_: object) -> None:
        with wave.open(str(path)) as file:
            seen.append(file.getnframes())
            assert len(file.readframes(file.getnframes())) == 2 * file.getnframes()

    frames = tone(seconds=2)
    written(path, [*frames[:50], look, *frames[50:], look])  # type: ignore[list-item]
    assert 48_000 - 2 * 9600 <= seen[0] <= 48_000
    assert seen[1] >= 96_000 - 2 * 9600


def test_a_change_of_format_is_refused_rather_than_written_as_noise(tmp_path: Path) -> None:
    frames = [*tone(seconds=0.1), *tone(seconds=0.1, layout="stereo")]
    with pytest.raises(FormatError, match="it cannot go on as s16, stereo"):
        written(tmp_path / "out.wav", frames)


@pytest.mark.parametrize("ending", ["wav", "mka", "opus", "flac"])
def test_what_is_overwritten_stays_until_the_new_file_is_complete(
    tmp_path: Path, ending: str
) -> None:
    """What is there meanwhile is what a kill leaves: the old file, and the new one, readable."""
    path, part = tmp_path / f"a.{ending}", tmp_path / f"a.part.{ending}"
    path.write_text("old")
    seen: list[float] = []

    def look(_: object) -> None:
        assert path.read_text() == "old"
        seen.append(len(read_tracks(part)[0]) / 48_000)

    frames = tone(seconds=3)
    written(path, [*frames, look], overwrite=True)  # type: ignore[list-item]
    assert seen[0] > 2.0
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert len(read_tracks(path)[0]) == pytest.approx(144_000, abs=2500)


def test_what_a_kill_left_is_kept_and_told(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("old")
    (tmp_path / "a.part.wav").write_text("left")
    options = {"path": tmp_path / "a.wav", "overwrite": True}
    run = run_virtual(run_stage(FileSink, options, tone(seconds=0.5)))
    (told,) = run.of_type("file_sink.leftover_kept")
    assert told.importance is Importance.WARNING
    assert told.line() == (
        f"what a killed run wrote to {tmp_path / 'a.part.wav'} is kept in {tmp_path}/a.part-2.wav"
    )
    assert (tmp_path / "a.part-2.wav").read_text() == "left"
    assert not (tmp_path / "a.part.wav").exists()


def test_what_cannot_be_written_whole_replaces_nothing_and_is_not_called_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        def write(self, tracks: object) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr("rtpipe_plugins.sinks.file_sink.open_writer", lambda *_, **__: FullDisk())
    path = tmp_path / "a.wav"
    path.write_text("old")

    told: list[str] = []

    async def run() -> None:
        bench = Bench(FileSink, {"path": path, "overwrite": True})
        bench.bus.subscribe("*", lambda event: told.append(event.type))
        async with bench.opened():
            for frame in tone(seconds=1):
                await bench.stage.consume(frame)

    with pytest.raises(StageError, match="No space left"):
        run_virtual(run())
    assert told == []
    assert path.read_text() == "old"


def test_a_link_is_followed_to_the_file_that_it_names_and_nowhere_else(tmp_path: Path) -> None:
    link, path = tmp_path / "latest.wav", tmp_path / "out" / "a.wav"
    link.symlink_to("out/a.wav")
    for overwrite in (True, False):
        with pytest.raises(StageError, match=r"is a link to out/a\.wav, which does not exist"):
            written(link, tone(seconds=0.1), overwrite=overwrite)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_text("old")
    written(link, tone(seconds=0.1), overwrite=True)
    assert link.is_symlink()
    assert len(read_wav(path)[0]) == 4800


def test_what_is_being_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    written(path, tone(seconds=0.5))

    async def run(*, late: bool) -> None:
        """`late`: the source opens when the sink has already looked."""
        source = Bench(File, {"path": path})
        sink = Bench(FileSink, {"path": path, "overwrite": True})
        if late:
            async with sink.opened(), source.opened():
                for frame in tone(seconds=1):
                    await sink.stage.consume(frame)
        else:
            async with source.opened(), sink.opened():
                pass

    for late in (True, False):
        with pytest.raises(StageError, match="another stage or program"):
            run_virtual(run(late=late))
    assert len(read_wav(path)[0]) == 24_000
    written(path, tone(seconds=0.1), overwrite=True)
    assert len(read_wav(path)[0]) == 4800


async def test_a_tenth_of_a_second_of_a_live_source_is_on_its_way_to_the_disk(
    tmp_path: Path,
) -> None:
    """What waits for a batch to fill is lost to a kill."""
    path = tmp_path / "a.wav"
    bench = Bench(FileSink, {"path": path}, live=True)
    async with bench.opened(), asyncio.timeout(10):
        for frame in noise(seconds=0.1):
            await bench.stage.consume(frame)
        while not path.exists() or path.stat().st_size < 9600:  # noqa: ASYNC110 - a thread's file
            await asyncio.sleep(0.01)
