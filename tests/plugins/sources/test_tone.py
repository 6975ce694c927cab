"""tone: the right frequency and level, no seam between frames, the pace of the clock."""

import asyncio
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from rtpipe import audio
from rtpipe.testing import StageRun, check_stage, joined, run_stage, run_virtual
from rtpipe_plugins.sources.tone import Tone, ToneOptions

WAVEFORMS = ["sine", "square", "noise", "silence", "speech_like"]


def toned(options: dict[str, Any], **kwargs: Any) -> StageRun:
    return run_virtual(run_stage(Tone, options, **kwargs))


def samples(options: dict[str, Any]) -> NDArray[np.int16]:
    return joined(toned(options).frames)[:, 0]


def level(data: NDArray[np.int16]) -> float:
    return audio.level_dbfs(audio.from_pcm(data, sample_rate=48_000, pts=0))


@pytest.mark.parametrize("waveform", WAVEFORMS)
@pytest.mark.parametrize("pace", [{}, {"realtime": True}])
def test_it_keeps_the_contract(waveform: str, pace: dict[str, bool]) -> None:
    check_stage(Tone, {"waveform": waveform, "duration_s": 0.5, **pace})


@pytest.mark.parametrize("frequency", [50.0, 440.0, 1000.0, 12_345.6])
def test_a_sine_has_the_frequency_and_nothing_else(frequency: float) -> None:
    data = samples({"frequency": frequency, "duration_s": 2})
    spectrum = np.abs(np.fft.rfft(data * np.blackman(len(data)))) ** 2
    peak = int(spectrum.argmax())
    assert peak * 0.5 == pytest.approx(frequency, abs=0.5)
    spectrum_without = spectrum.copy()
    spectrum_without[max(0, peak - 8) : peak + 9] = 0
    assert 10 * np.log10(spectrum_without.sum() / spectrum.sum()) < -60


@pytest.mark.parametrize("waveform", ["sine", "square", "noise"])
@pytest.mark.parametrize("level_dbfs", [-6.0, -20.0, -50.0])
def test_the_level_is_the_one_asked_for(waveform: str, level_dbfs: float) -> None:
    data = samples({"waveform": waveform, "level_dbfs": level_dbfs, "duration_s": 1})
    assert level(data) == pytest.approx(level_dbfs, abs=0.1)


def test_no_seam_between_frames_of_any_length() -> None:
    options = {"frequency": 441.7, "duration_s": 20.0}
    live, batch = toned(options), toned(options, frame_ms=200)
    assert live.frames[0].samples == 960
    assert batch.frames[0].samples == 9600
    ideal = np.sin(2 * np.pi * 441.7 * np.arange(20 * 48_000) / 48_000) * 32767 * 0.1 * 2**0.5
    assert np.abs(joined(live.frames)[:, 0] - ideal).max() < 0.51
    assert np.array_equal(joined(live.frames), joined(batch.frames))


def test_its_length_is_exact() -> None:
    run = toned({"duration_s": 1.0105})
    assert run.samples == 48_504
    assert [frame.samples for frame in run.frames[-2:]] == [960, 504]


def test_noise_is_the_same_for_a_seed_and_white() -> None:
    first = samples({"waveform": "noise", "duration_s": 2})
    assert np.array_equal(first, samples({"waveform": "noise", "duration_s": 2}))
    assert not np.array_equal(first, samples({"waveform": "noise", "duration_s": 2, "seed": 1}))
    bands = [band.mean() for band in np.array_split(np.abs(np.fft.rfft(first)[1:]) ** 2, 8)]
    assert max(bands) / min(bands) < 1.2


def test_speech_like_speaks_and_pauses() -> None:
    vad = pytest.importorskip("webrtcvad").Vad(2)
    run = toned({"waveform": "speech_like", "duration_s": 6})
    verdicts = [vad.is_speech(bytes(frame.planes[0])[:1920], 48_000) for frame in run.frames]
    for start in range(0, 300, 100):  # 100 frames are a phrase of 65 and a pause of 35
        assert sum(verdicts[start : start + 65]) > 55
        assert sum(verdicts[start + 75 : start + 100]) == 0
    assert level(joined(run.frames[:65])[:, 0]) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize(("waveform", "loudest"), [("sine", -3.0), ("noise", -4.7), ("square", 0)])
def test_what_would_clip_is_refused(waveform: str, loudest: float) -> None:
    data = samples({"waveform": waveform, "level_dbfs": loudest - 0.1, "duration_s": 0.5})
    assert np.abs(data.astype(int)).max() <= 32767
    if loudest:
        with pytest.raises(ValidationError, match=r"clip: level_dbfs can be -\d+\.\d at"):
            ToneOptions(waveform=waveform, level_dbfs=loudest + 0.1)


def test_the_loudest_speech_does_not_wrap_round() -> None:
    data = samples({"waveform": "speech_like", "level_dbfs": -10.3, "duration_s": 2})
    assert 30_000 < np.abs(data.astype(int)).max() <= 32_767


def test_in_real_time_it_takes_its_time() -> None:
    async def timed() -> tuple[StageRun, float]:
        await asyncio.sleep(0.007)
        run = await run_stage(Tone, {"duration_s": 3, "realtime": True})
        return run, asyncio.get_running_loop().time()

    run, ended_at = run_virtual(timed())
    assert run.samples == 3 * 48_000
    assert 2.96 <= ended_at <= 3.03
    at = [audio.meta(frame).captured_at for frame in run.frames]
    assert at == pytest.approx([at[0] + 0.02 * n for n in range(150)])
    assert at[0] == pytest.approx(0.013), "0.02 by the loop: a tick that all pipelines share"


def test_otherwise_it_takes_none() -> None:
    async def timed() -> float:
        await run_stage(Tone, {"duration_s": 60})
        return asyncio.get_running_loop().time()

    assert run_virtual(timed()) == 0.0
