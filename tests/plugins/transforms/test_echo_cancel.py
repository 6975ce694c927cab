"""Echo cancellation on its own: a synthetic room, a desk that speaks, a visitor who does too."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from helpers.room import RATE, desk_speech, questions, room
from rtpipe import EnvironmentProblem, StageError, audio
from rtpipe.audio import AudioFrame
from rtpipe.errors import ConfigError
from rtpipe.language.loading import from_text
from rtpipe.testing import Bench, cut, joined, noise, run_virtual, speech_like, tone
from rtpipe_plugins.sound.drift import SHORTENED
from rtpipe_plugins.sound.stretcher import Stretcher
from rtpipe_plugins.transforms.echo_cancel.reference import Reference
from rtpipe_plugins.transforms.echo_cancel.stage import EchoCancel

DELAY_MS = 120
SHIFT = 432  # samples: what the engine holds back
TALKING_S = (14.0, 17.0)


def spoken_over() -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]:
    """Return 20 s: what the desk plays, its echo at -6 dB, and a visitor at `TALKING_S`."""
    played = desk_speech(20.0)
    visitor = np.zeros(len(played))
    said = questions()[0]
    start = round(TALKING_S[0] * RATE)
    visitor[start : start + len(said)] = said
    return played, room(played, DELAY_MS), visitor


def cancelled(
    captured: NDArray[np.floating],
    played: NDArray[np.int16] | None,
    options: dict[str, object] = {},  # noqa: B006 - never written to
    *,
    late: Callable[[int], int] = lambda _: 0,
    layout: str = "mono",
    drift: float = 0.0,
    told: bool = True,
) -> NDArray[np.float64]:
    """Return what leaves the stage, given what the microphone and the loudspeaker hear.

    `late(n)` says by how many near frames the n-th frame of the loudspeaker comes too late. The
    microphone makes what it captured shorter by `drift`, and its frames tell so if they are `told`.
    """
    noisy = captured + np.random.default_rng(3).normal(0, 10, len(captured))
    pcm = np.clip(noisy, -32768, 32767).astype(np.int16)
    near = cut(Stretcher(1).stretch(pcm[:, None], drift)[:, 0], 960)
    for frame in near if told else []:
        audio.meta(frame).extra[SHORTENED] = drift
    far: dict[int, list[AudioFrame]] = {}
    if played is not None:
        speaker = played if layout == "mono" else np.stack([played, played], axis=1)
        for index, frame in enumerate(cut(speaker, 960)):
            far.setdefault(index + late(index), []).append(frame)

    async def run() -> list[AudioFrame]:
        bench = Bench(EchoCancel, {"reference": "speaker", **options})

        def taken(frame: AudioFrame) -> Callable[[object], None]:
            return lambda _: bench.taken("speaker", frame)

        async with bench.opened():
            await bench.play(
                step
                for index, frame in enumerate(near)
                for step in [*map(taken, far.get(index, [])), frame]
            )
        assert [f.pts for f in bench.run.frames] == [f.pts for f in near]
        assert [f.samples for f in bench.run.frames] == [f.samples for f in near]
        return bench.run.frames

    return joined(run_virtual(run()))[:, 0].astype(np.float64)


def level_db(x: NDArray[np.floating], from_s: float, to_s: float) -> float:
    part = x[round(from_s * RATE) : round(to_s * RATE)]
    return float(10 * np.log10(np.mean(np.square(part)) + 1e-3))


def reduction_db(
    echo: NDArray[np.floating], out: NDArray[np.floating], from_s: float, to_s: float
) -> float:
    """Return by how much less echo comes out than went in (ERLE, dB)."""
    return level_db(echo, from_s, to_s) - level_db(out, from_s, to_s)


def likeness(out: NDArray[np.floating], visitor: NDArray[np.floating]) -> float:
    """Return the correlation of what came out with the visitor alone, while he talks."""
    start, end = (round(s * RATE) for s in TALKING_S)
    return float(np.corrcoef(out[start + SHIFT : end + SHIFT], visitor[start:end])[0, 1])


@pytest.mark.slow
def test_the_desks_echo_is_gone_and_the_visitor_is_not() -> None:
    played, echo, visitor = spoken_over()
    out = cancelled(echo + visitor, played)
    assert reduction_db(echo, out, 0, 3) > 15, "from the first word on"
    assert reduction_db(echo, out, 3, 14) > 20
    assert reduction_db(echo, out, 17.5, 20) > 20, "the visitor has not spoilt it"
    assert level_db(out, *TALKING_S) - level_db(visitor, *TALKING_S) == pytest.approx(0, abs=5)
    assert likeness(out, visitor) > 0.7


@pytest.mark.slow
def test_in_an_unknown_room_it_is_silent_while_the_loudspeaker_is_not() -> None:
    played, echo, visitor = spoken_over()
    out = cancelled(echo + np.roll(visitor, -12 * RATE), played)
    assert level_db(out, 0.1, 2.5) < 0, "although a visitor speaks, from 2 s on"
    assert level_db(out, 3.5, 4.4) > level_db(out, 5, 10) + 20, "then he is heard"


def test_without_what_was_played_nothing_is_taken_out() -> None:
    _, echo, visitor = spoken_over()
    out = cancelled(echo + visitor, None)
    assert reduction_db(echo, out, 3, 14) < 3, "the test above would see it"


def test_a_visitor_alone_passes_as_he_is_but_9_ms_later() -> None:
    _, _, visitor = spoken_over()
    out = cancelled(visitor, None)
    assert likeness(out, visitor) > 0.9
    assert level_db(out, *TALKING_S) == pytest.approx(level_db(visitor, *TALKING_S), abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_a_reference_that_comes_unevenly_still_fits(layout: str) -> None:
    played, echo, _ = spoken_over()
    uneven = cancelled(echo, played, late=lambda n: (0, 1, 0, 2)[n % 4], layout=layout)
    assert reduction_db(echo, uneven, 6, 20) > 20


@pytest.mark.slow
def test_a_microphone_that_corrects_its_clock_moves_no_echo() -> None:
    played, echo, _ = (part[: 10 * RATE] for part in spoken_over())
    followed, ignored = (cancelled(echo, played, drift=5e-4, told=told) for told in (True, False))
    reduced_db = reduction_db(echo, followed, 6, 10)
    assert reduced_db > 30
    assert reduced_db > reduction_db(echo, ignored, 6, 10) + 10, "what it is good for"


def test_a_late_loudspeaker_needs_its_delay_said() -> None:
    played = desk_speech(20.0)
    echo = room(played, 700)
    found = cancelled(echo, played)
    said = cancelled(echo, played, {"delay_ms": 700})
    assert reduction_db(echo, found, 10, 20) < 15
    assert reduction_db(echo, said, 10, 20) > 20


def test_noise_is_taken_out_only_where_asked() -> None:
    hiss = joined(noise(seconds=8, level_dbfs=-40))[:, 0].astype(np.float64)
    asked, not_asked = (
        cancelled(hiss, None, {"noise_suppression": wanted}) for wanted in (True, False)
    )
    assert level_db(not_asked, 4, 8) == pytest.approx(level_db(hiss, 4, 8), abs=0.5)
    assert level_db(asked, 4, 8) < level_db(hiss, 4, 8) - 4


def test_a_quiet_visitor_is_raised_only_where_asked() -> None:
    _, _, visitor = spoken_over()
    quiet = visitor * 0.05
    asked, not_asked = (cancelled(quiet, None, {"auto_gain": gain}) for gain in (True, False))
    assert level_db(asked, *TALKING_S) > level_db(not_asked, *TALKING_S) + 6


def test_a_reset_forgets_what_was_said() -> None:
    loud = speech_like(seconds=1.003, level_dbfs=-10)
    quiet = [audio.silence(960, pts=480_000 + n * 960) for n in range(10)]

    async def run() -> list[AudioFrame]:
        bench = Bench(EchoCancel, {"reference": "speaker"})
        async with bench.opened():
            await bench.play([*loud, lambda _: bench.reset(), *quiet])
        return bench.run.frames

    frames = run_virtual(run())
    after = [frame for frame in frames if (frame.pts or 0) >= 480_000]
    assert len(after) == 10
    assert len(frames) == len(loud) - 1 + 10, "the last, not whole, went with the reset"
    assert max(audio.level_dbfs(frame) for frame in after) < -60


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)

    async def run() -> None:
        async with Bench(EchoCancel, {"reference": "speaker"}).opened():
            pass

    with pytest.raises(EnvironmentProblem, match="pywebrtc-audio") as raised:
        run_virtual(run())
    assert "pip install 'rtpipe-media[echo]'" in (raised.value.help or "")


@pytest.mark.parametrize(
    ("reference", "says", "help"),
    [
        ("blackhol", "which there is not", "did you mean `blackhole`?"),
        ("gain", "a transform", "the sinks are"),
    ],
)
def test_a_reference_that_is_no_sink_is_found_before_it_runs(
    reference: str, says: str, help: str
) -> None:
    text = f"version: 1\nstages: [tone, echo_cancel: {reference}, gain: 0, blackhole]\n"
    with pytest.raises(ConfigError) as raised:
        from_text(text)
    [found] = raised.value.diagnostics
    assert found.code == "E118"
    assert says in found.message
    assert help in (found.help or "")


def test_a_reference_that_is_a_sink_is_none_of_its_business() -> None:
    from_text("version: 1\nstages: [tone, echo_cancel: blackhole, gain: 0, blackhole]\n")


def ramp(count: int) -> list[AudioFrame]:
    return cut(np.arange(1, count * 960 + 1).astype(np.int16), 960)


def test_the_reference_begins_with_a_reserve_and_gives_late_what_came_late() -> None:
    frames = ramp(10)
    reference = Reference()
    given = []
    for index in range(14):
        for frame in frames[4:9] if index == 8 else frames[index : index + 1] if index < 4 else []:
            reference.hear(frame)
        given.append(reference.take(960))
    first = [int(part[0]) for part in given]
    assert first[:6] == [0, 0, 1, 961, 1921, 2881], "40 ms, then as it came"
    assert first[6:13] == [0, 0, 3841, 4801, 5761, 6721, 7681], "none is lost"


def test_the_reference_is_made_shorter_as_the_microphone_makes_what_it_hears() -> None:
    frames = tone(seconds=4, frequency=900)
    device = np.concatenate([np.zeros(40 * 48, np.int16), joined(frames)[:, 0]])
    reference, microphone = Reference(), Stretcher(1)
    apart = 0
    for index, frame in enumerate(frames):
        reference.hear(frame)
        shorten = (0.0, 4e-4, 2e-4, -3e-4)[index * 4 // len(frames)]
        block = device[index * 960 : (index + 1) * 960, None]
        near = microphone.stretch(block, shorten)[:, 0]
        apart = max(apart, int(np.abs(reference.take(len(near), shorten) - near.astype(int)).max()))
    assert apart < 30, "of 4600: a hundredth of a sample"


def test_a_burst_is_not_kept() -> None:
    reference = Reference()
    for frame in ramp(20):
        reference.hear(frame)  # 400 ms that no microphone asked for
    for frame in ramp(120):
        reference.hear(frame)
        reference.take(960)
    assert reference.depth <= 0.08 * RATE
    assert reference.take(960).any(), "and it is still there"


def test_a_reference_nobody_takes_does_not_grow() -> None:
    reference = Reference()
    for frame in cut(np.ones(5 * RATE, np.int16), 960):
        reference.hear(frame)
    assert reference.depth == RATE


def test_an_open_without_the_sink_fails() -> None:
    from rtpipe.stage import StageContext

    context = StageContext("echo_cancel", None, lambda _: None, lambda *_: lambda: None)  # type: ignore[arg-type]
    stage = EchoCancel(EchoCancel.options_type(reference="nobody"), context)  # type: ignore[call-arg, arg-type]

    with pytest.raises(StageError, match="nobody"):
        run_virtual(stage.open())
