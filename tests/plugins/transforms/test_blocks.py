"""Blocks: however a stream is cut, a transform gives the same samples and tells the same."""

from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtpipe import AudioFrame, audio
from rtpipe.stage import Transform
from rtpipe.testing import cut, joined, run_stage, run_virtual, speech_like
from rtpipe_plugins.transforms.delay import Delay
from rtpipe_plugins.transforms.filter import Filter
from rtpipe_plugins.transforms.gain import Gain
from rtpipe_plugins.transforms.level import Level
from rtpipe_plugins.transforms.mix.stage import Mix
from rtpipe_plugins.transforms.mute_gate.stage import MuteGate
from rtpipe_plugins.transforms.resample import Resample
from rtpipe_plugins.transforms.vad import Vad

Chain = list[tuple[type[Transform[Any]], dict[str, Any]]]

CHAINS: dict[str, Chain] = {
    "gain": [(Gain, {"gain_db": -3})],
    "gain, limited": [(Gain, {"gain_db": 12})],
    "vad": [(Vad, {"aggressiveness": 3, "min_silence_ms": 90})],
    "vad, 30 ms": [(Vad, {"frame_ms": 30, "min_speech_ms": 0, "min_silence_ms": 0})],
    "gate": [(Vad, {"min_silence_ms": 60}), (MuteGate, {"mode": "vad"})],
    "gate, at once": [
        (Vad, {"aggressiveness": 3, "min_speech_ms": 20, "min_silence_ms": 20}),
        (MuteGate, {"mode": "vad", "preroll_ms": 0, "ramp_ms": 33}),
    ],
    "gate, closed": [(MuteGate, {"mode": "closed"})],
    "level": [(Level, {"interval_ms": 137.3})],
    "mix": [(Mix, {"gains": {"first": 4}, "duck": {"by": "second"}})],
    "mix, ducked": [(Mix, {"duck": {"by": "first", "attack_ms": 33}})],
    "delay": [(Delay, {"delay_ms": 123})],
    "filter": [(Filter, {"graph": "volume=0.5"})],
    "resample": [(Resample, {"sample_rate": 16_000})],
}


def material(sample_rate: int, channels: int) -> NDArray[np.int16]:
    """Return 3 s: hiss, speech, silence, full scale, speech."""
    rng = np.random.default_rng(7)
    hiss = rng.normal(0, 400, (sample_rate // 3, 1))
    voice = joined(speech_like(seconds=0.9, sample_rate=sample_rate))
    full = np.where(rng.random((sample_rate // 5, 1)) < 0.5, -32768, 32767)
    parts = [hiss, voice, np.zeros((sample_rate // 2 + 13, 1)), full, voice]
    return np.concatenate(parts).astype(np.int16).repeat(channels, axis=1)


def result(
    chain_: Chain, frames: list[AudioFrame]
) -> tuple[list[tuple[int, bytes]], list[dict[str, Any]], list[bool]]:
    """Return the samples between holes, each with its pts; what was told; the marks of speech."""
    told: list[dict[str, Any]] = []
    for stage_type, options in chain_:
        run = run_virtual(run_stage(stage_type, options, frames))
        frames = run.frames
        told += [event.as_dict() | {"at": 0} for event in run.events]
    pieces: list[tuple[int, bytes]] = []
    end = None
    for frame in frames:
        data = audio.pcm(frame).tobytes()
        if frame.pts == end:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + data)
        else:
            pieces.append((frame.pts or 0, data))
        end = (frame.pts or 0) + frame.samples
    marks = [audio.meta(frame).speech or () for frame in frames]
    return pieces, told, list(chain(*marks))


@pytest.mark.parametrize("name", CHAINS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_block_of_any_size_gives_the_samples_and_the_events_of_20_ms(
    name: str, data: st.DataObject
) -> None:
    rate = data.draw(st.sampled_from([48_000, 48_000, 44_100, 16_000]))
    if CHAINS[name][0][0] is Mix:
        rate = 48_000
    sound = material(rate, data.draw(st.sampled_from([1, 1, 2])))
    begin = data.draw(st.integers(0, 3 * rate))
    hole_at = data.draw(st.one_of(st.none(), st.integers(1, len(sound) - 1)))
    sizes = data.draw(
        st.one_of(
            st.sampled_from([[rate // 5], [rate], [2 * rate]]),
            st.lists(st.integers(rate // 400, 2 * rate), min_size=1, max_size=20),
        )
    )

    def stream(sizes: list[int]) -> list[AudioFrame]:
        if hole_at is None:
            return cut(sound, sizes, sample_rate=rate, pts=begin)
        later = begin + hole_at + rate // 7
        return [
            *cut(sound[:hole_at], sizes, sample_rate=rate, pts=begin),
            *cut(sound[hole_at:], sizes, sample_rate=rate, pts=later),
        ]

    assert result(CHAINS[name], stream(sizes)) == result(CHAINS[name], stream([rate // 50]))
