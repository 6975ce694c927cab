"""The speech detector: what it takes for the room."""

from __future__ import annotations

import numpy as np
import pytest

from rtpipe.testing import joined, speech_like
from rtpipe_realtime_server.media.detector import HOP, SpeechDetector


@pytest.mark.parametrize("phase", range(0, HOP, HOP // 8))
def test_what_was_said_before_digital_silence_is_no_noise_of_the_room(phase: int) -> None:
    said = joined(speech_like(seconds=1.2, sample_rate=16_000))[:, 0]
    zeros = np.zeros(16_000 * 5, np.int16)
    heard = np.concatenate([zeros[:phase], *[said, zeros] * 3])
    hops = heard[: len(heard) // HOP * HOP].reshape(-1, HOP)
    detector = SpeechDetector()
    at_s = [index * HOP / 16_000 for index, hop in enumerate(hops) if detector(hop, 0.5)]
    for turn in range(3):
        begin = turn * 6.2
        assert sum(begin <= each < begin + 1.3 for each in at_s) > 20, turn


@pytest.mark.parametrize("pause_s", [0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0])
def test_after_any_pause_of_digital_silence_speech_is_speech(pause_s: float) -> None:
    said = joined(speech_like(seconds=1.2, sample_rate=16_000))[:, 0]
    zeros = np.zeros(int(16_000 * pause_s), np.int16)
    heard = np.concatenate([zeros, *[said, zeros] * 4])
    hops = heard[: len(heard) // HOP * HOP].reshape(-1, HOP)
    detector = SpeechDetector()
    at_s = [index * HOP / 16_000 for index, hop in enumerate(hops) if detector(hop, 0.5)]
    for turn in range(4):
        begin = pause_s + turn * (1.2 + pause_s)
        assert sum(begin <= each < begin + 1.3 for each in at_s) > 20, turn
