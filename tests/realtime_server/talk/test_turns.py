"""Where turns begin and end, and what is taken for speech."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from realtime_server.sounds import babble, level, noise, pcm, silence, tone
from rtpipe_realtime_server.media.detector import HOP, HOP_MS, SpeechDetector
from rtpipe_realtime_server.session.session import TurnDetection
from rtpipe_realtime_server.talk.turns import TurnDetector, TurnStarted, TurnStopped

RATE = 16000


def settings(**given: float) -> TurnDetection:
    values = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200, **given}
    return TurnDetection(
        **values, idle_timeout_ms=None, create_response=True, interrupt_response=True
    )  # type: ignore[arg-type]


def hops(pattern: str) -> np.ndarray:
    """`#` is a hop of speech, `.` one of silence."""
    return np.concatenate([np.full(HOP, int(mark == "#"), np.int16) for mark in pattern])


def turns(pattern: str, *, piece: int = 320, **given: float) -> list[TurnStarted | TurnStopped]:
    detector = TurnDetector(lambda hop, _threshold: bool(hop.any()))
    samples = hops(pattern)
    changes = []
    for start in range(0, len(samples), piece):
        changes += detector.feed(samples[start : start + piece], settings(**given))
    return changes


def test_a_turn_starts_with_its_first_hop_less_the_padding_and_ends_with_its_silence() -> None:
    assert turns("." * 20 + "#" * 10 + "." * 10) == [
        TurnStarted(20 * 32 - 300),
        TurnStopped((20 + 10 + 7) * 32),
    ]


@pytest.mark.parametrize("piece", [1, 320, 512, 4000, 100_000])
def test_the_size_of_the_pieces_does_not_matter(piece: int) -> None:
    pattern = "....########.........#####..#######........"
    assert turns(pattern, piece=piece) == turns(pattern)


def test_positions_are_multiples_of_a_hop_and_never_go_back() -> None:
    pattern = "".join(m * n for m, n in zip(itertools.cycle(".#"), range(11, 40), strict=False))
    changes = turns(pattern)
    starts = [change.at_ms for change in changes if isinstance(change, TurnStarted)]
    stops = [change.at_ms for change in changes if isinstance(change, TurnStopped)]
    assert len(starts) > 10
    assert all((at_ms + 300) % HOP_MS == 0 for at_ms in starts)
    assert all(at_ms % HOP_MS == 0 for at_ms in stops)
    assert starts == sorted(set(starts))
    assert stops == sorted(set(stops))


def test_a_second_more_of_silence_shifts_both_positions_by_it() -> None:
    early, late = ([c.at_ms for c in turns("." * n + "#" * 9 + "." * 9)] for n in (20, 51))
    assert [b - a for a, b in zip(early, late, strict=True)] == [31 * 32, 31 * 32]


def test_the_padding_does_not_reach_before_the_call() -> None:
    assert turns("####")[0] == TurnStarted(0)


def test_two_hops_are_no_turn_and_neither_are_they_with_a_gap() -> None:
    assert turns("..##...##.##..") == []


def test_a_pause_shorter_than_the_silence_does_not_end_a_turn() -> None:
    assert len(turns("." * 9 + "####......####......")) == 1
    assert len(turns("." * 9 + "####.......####......")) == 3


def test_the_silence_asked_for_is_rounded_up_to_hops() -> None:
    assert turns("####" + "." * 30, silence_duration_ms=500)[1] == TurnStopped((4 + 16) * 32)
    assert turns("####" + "." * 30, silence_duration_ms=0)[1] == TurnStopped((4 + 1) * 32)


def test_without_turn_detection_only_the_clock_goes_on() -> None:
    detector = TurnDetector(lambda _hop, _threshold: True)
    assert detector.feed(hops("####"), None) == []
    assert detector.now_ms == 4 * 32
    assert detector.feed(hops("###"), settings(prefix_padding_ms=0)) == [TurnStarted(4 * 32)]


def test_turning_it_off_drops_a_turn_that_has_begun() -> None:
    detector = TurnDetector(lambda hop, _threshold: bool(hop.any()))
    detector.feed(hops("####"), settings())
    detector.feed(hops("#"), None)
    assert detector.feed(hops("." * 20), settings()) == []


def heard(samples: np.ndarray, **given: float) -> list[TurnStarted | TurnStopped]:
    before, after = silence(1.0, RATE), silence(1.0, RATE)
    detector = TurnDetector(SpeechDetector())
    return detector.feed(pcm(np.concatenate([before, samples, after])), settings(**given))


@pytest.mark.parametrize("dbfs", [-15, -25, -40])
def test_speech_is_one_turn(dbfs: float) -> None:
    start, stop = heard(level(babble(2.0, RATE), dbfs), silence_duration_ms=500)
    assert isinstance(start, TurnStarted)
    assert isinstance(stop, TurnStopped)
    assert abs(start.at_ms + 300 - 1000) < 150
    assert abs(stop.at_ms - 500 - 3000) < 150


def test_speech_over_the_noise_of_a_room_ends_when_the_speaker_does() -> None:
    room = level(noise(8.0, RATE, tilt=0.5), -45)
    speech = np.concatenate([silence(3.0, RATE), level(babble(2.0, RATE), -20), silence(3.0, RATE)])
    changes = heard(room + speech, silence_duration_ms=500)
    last = changes[-2:]
    assert isinstance(last[0], TurnStarted)
    assert abs(last[0].at_ms + 300 - 4000) < 150
    assert isinstance(last[1], TurnStopped)
    assert abs(last[1].at_ms - 500 - 6000) < 250


@pytest.mark.parametrize(
    "samples",
    [
        silence(3.0, RATE),
        level(tone(440, 3.0, RATE), -10),
        level(tone(1000, 3.0, RATE), -30),
        level(tone(440, 3.0, RATE) + tone(550, 3.0, RATE), -15),
        level(tone(50, 3.0, RATE) + 0.3 * tone(100, 3.0, RATE), -20),
        level(tone(880, 3.0, RATE) * (tone(2, 3.0, RATE) > 0), -15),
        level(noise(3.0, RATE), -20),
        level(noise(3.0, RATE), -50),
        level(noise(3.0, RATE, tilt=0.5), -55),
        level(babble(3.0, RATE), -65),
    ],
    ids=[
        "digital silence", "loud tone", "soft tone", "two tones", "hum", "beeps", "loud noise",
        "soft noise", "soft pink noise", "speech from far away",
    ],
)  # fmt: skip
def test_what_is_no_speech_makes_no_turn(samples: np.ndarray) -> None:
    assert heard(samples) == []


def test_steady_pink_noise_is_a_turn_at_most_until_it_is_known() -> None:
    changes = heard(level(noise(10.0, RATE, tilt=0.5), -20))
    assert all(change.at_ms < 3000 for change in changes)


def test_a_higher_threshold_asks_for_more_of_a_hop() -> None:
    detector, strict = SpeechDetector(), SpeechDetector()
    samples = pcm(level(babble(4.0, RATE), -25)).reshape(-1, HOP)
    kept = [sum(judge(hop, threshold) for hop in samples)
            for judge, threshold in ((detector, 0.1), (strict, 1.0))]  # fmt: skip
    assert kept[0] > kept[1] > 0
