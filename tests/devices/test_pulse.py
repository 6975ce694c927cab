"""Real devices: what is said arrives, what is played is heard, and what is unplugged comes back."""

from __future__ import annotations

import signal
import time
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from helpers.command import ROOT, copy_pipelines, running
from helpers.event_file import events_in, wait_for_events
from helpers.listening import require_speech, tracks, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from devices.pulse import PulseAudio

pytestmark = [pytest.mark.slow, pytest.mark.alone]
RATE = 48_000

LISTENING = """\
version: 1
stages:
  - mic: {device: "pulse:vmic"}
  - file_sink: said.wav
  - tone: {frequency: 997, level_dbfs: -6, duration_s: 3}
    id: tone
  - speaker: {device: "pulse:vspeaker"}
    from: tone
events:
  - log: info
  - jsonl: events.jsonl
"""


def write_wav(path: Path, data: NDArray[np.int16], rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(data.tobytes())
    return path


def offset_of(part: NDArray[np.int16], whole: NDArray[np.int16]) -> int:
    """Return where `part` stands in `whole`, by cross-correlation."""
    size = 1 << (len(part) + len(whole)).bit_length()
    spectrum = np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size))
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(whole)]))


def snr_db(heard: NDArray[np.int16], frequency: float) -> float:
    """Return how far all that is not the tone stands below it."""
    x = heard.astype(float)
    phase = 2 * np.pi * frequency * np.arange(len(x)) / RATE
    basis = np.stack([np.sin(phase), np.cos(phase), np.ones(len(x))], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
    return float(10 * np.log10(np.mean(fitted**2) / np.mean((x - fitted) ** 2)))


def test_what_is_said_arrives_bit_by_bit_and_a_tone_is_heard_clean(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    """On a machine too busy for it the stages say so; then it is done again."""
    for attempt in range(4):
        folder = tmp_path / f"{attempt}"
        folder.mkdir()
        told = check_both_ways(pulse, folder)
        if not told & {"speaker.underran", "mic.overran"}:
            return
    pytest.fail("this machine is too busy for sound")


def check_both_ways(pulse: PulseAudio, folder: Path) -> set[str]:
    """Check a recording and a tone, unless trouble was told; return the types of all events."""
    noise = np.random.default_rng(1).normal(0, 3000, 2 * RATE).astype(np.int16)
    wav = write_wav(folder / "noise.wav", noise)
    (folder / "listening.yaml").write_text(LISTENING)
    events = folder / "events.jsonl"
    with (
        pulse.hearing() as ear,
        running("run", "listening.yaml", cwd=folder, env=pulse.env) as process,
    ):
        wait_for_events(events, "playback.started", 1, 20)
        pulse.say(wav)
        stopped = wait_for_events(events, "playback.stopped", 1, 20)[-1]
        time.sleep(0.3)  # what was said last is still on its way
        process.signal(signal.SIGINT)
        assert process.wait() == 0, "".join(process.lines)
    told = {event["type"] for event in events_in(events)}

    if "mic.overran" not in told:
        [said] = tracks(folder / "said.wav", rate=RATE)
        at = offset_of(noise, said)
        assert np.array_equal(said[at : at + len(noise)], noise)
    if "speaker.underran" not in told:
        tone = np.flatnonzero(np.abs(ear.samples) > 3000)
        assert tone[-1] - tone[0] == pytest.approx(3 * RATE, abs=RATE // 100)
        assert snr_db(ear.samples[tone[0] + 2400 : tone[-1] - 2400], 997) >= 50
        assert stopped["position_s"] == pytest.approx(3.0, abs=0.002)
    return told


FALLING_BACK = """\
version: 1
stages:
  - mic: {device: "pulse:vmic", on_lost: fallback}
    fallback: {tone: {frequency: 440, realtime: true}}
  - file_sink: said.wav
events:
  - jsonl: events.jsonl
"""


def test_who_will_not_wait_has_the_fallback_instead(pulse: PulseAudio, tmp_path: Path) -> None:
    (tmp_path / "falling.yaml").write_text(FALLING_BACK)
    events = tmp_path / "events.jsonl"
    with running("run", "falling.yaml", cwd=tmp_path, env=pulse.env) as process:
        wait_for_events(events, "pipeline.started", 1, 20)
        pulse.kill()
        [fell] = wait_for_events(events, "stage.fell_back", 1, 5)
        assert fell["reason"] == "pulse:vmic is gone"
        time.sleep(1)  # of the tone
        process.signal(signal.SIGINT)
        assert process.wait() == 0, "".join(process.lines)
    [said] = tracks(tmp_path / "said.wav", rate=RATE)
    assert snr_db(said[-RATE // 2 :], 440) > 60


def test_a_sound_server_that_hangs_keeps_nobody_from_quitting(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    (tmp_path / "listening.yaml").write_text(LISTENING)
    events = tmp_path / "events.jsonl"
    with running("run", "listening.yaml", cwd=tmp_path, env=pulse.env) as process:
        wait_for_events(events, "playback.started", 1, 20)
        pulse.freeze()
        wait_for_events(events, "device.lost", 2, 10)
        process.signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, "".join(process.lines)
    assert [*tracks(tmp_path / "said.wav", rate=RATE)], "what was recorded is whole"


def halves(wav: Path, folder: Path) -> list[Path]:
    """Cut a recording in the silence in its middle, give each half a second to end in."""
    with wave.open(str(wav)) as source:
        rate = source.getframerate()
        data = np.frombuffer(source.readframes(source.getnframes()), np.int16)
    tenths = np.abs(data[: len(data) // (rate // 10) * (rate // 10)]).reshape(-1, rate // 10)
    quiet = tenths.max(axis=1) < 300
    best, run = (0, 0), 0
    spoken = np.flatnonzero(~quiet)
    for index in range(spoken[0], spoken[-1]):
        run = run + 1 if quiet[index] else 0
        best = max(best, (run, index))
    middle = (best[1] - best[0] // 2) * (rate // 10)
    second = np.zeros(rate, np.int16)
    return [
        write_wav(folder / f"{name}.wav", np.concatenate([part, second]), rate)
        for name, part in (
            ("first", data[:middle][-6 * rate :]),
            ("second", data[middle : (spoken[-1] + 1) * (rate // 10)][-6 * rate :]),
        )
    ]


def heard_words(samples: NDArray[np.int16]) -> list[str]:
    whole = samples[: len(samples) // 3 * 3].reshape(-1, 3)
    return words(np.rint(whole.mean(axis=1)).astype(np.int16))


def test_the_kiosk_on_real_devices_outlives_its_sound_server_and_its_microphone(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    require_speech()
    folder = copy_pipelines(tmp_path)
    first, second = halves(ROOT / "pipelines" / "audio" / "visitor.wav", tmp_path)
    env = {**pulse.env, "KIOSK_MIC": "pulse:vmic", "KIOSK_SPEAKER": "pulse:vspeaker"}
    with running("run", "pipelines/kiosk.yaml", cwd=tmp_path, env=env) as kiosk:
        kiosk.wait_for("connected to", timeout=60)
        until = time.monotonic() + 30
        while not (found := [*folder.glob("out/[0-9]*[0-9].jsonl")]):
            assert time.monotonic() < until, kiosk.lines
            time.sleep(0.05)
        [events] = found
        wait_for_events(events, "pipeline.started", 1, 20)
        with pulse.hearing() as ear:
            pulse.say(first)
            wait_for_events(events, "output_audio_buffer.stopped", 1, 30)
            time.sleep(0.5)  # the last word is on its way from the call to the loudspeaker
        answer = heard_words(ear.samples)
        assert len({"open", "morning", "evening", "tuesday", "sunday"} & set(answer)) >= 3, answer

        pulse.kill()
        wait_for_events(events, "device.lost", 2, 5)
        pulse.start()
        wait_for_events(events, "device.returned", 2, 5)
        pulse.unplug_mic()
        wait_for_events(events, "device.lost", 3, 5)
        pulse.plug_mic()
        wait_for_events(events, "device.returned", 3, 5)

        with pulse.hearing() as ear:
            pulse.say(second)
            wait_for_events(events, "output_audio_buffer.stopped", 2, 30)
            time.sleep(0.5)
        answer = heard_words(ear.samples)
        assert len({"cafe", "ground", "floor", "main", "stairs"} & set(answer)) >= 3, answer
        kiosk.signal(signal.SIGINT)
        assert kiosk.wait() == 0, "".join(kiosk.lines)

    told = events_in(events)
    types = [event["type"] for event in told]
    assert types.count("realtime.connected") == 1
    assert not {"stage.restarted", "stage.failed"} & set(types)
    lost = [(e["source"], e["reason"]) for e in told if e["type"] == "device.lost"]
    assert sorted(lost[:2]) == [("mic", "is gone"), ("speaker", "is gone")]
    assert lost[2][0] == "mic"
    stops = [e for e in told if e["type"] == "playback.stopped"]
    responses = [e["response"]["id"] for e in told if e["type"] == "response.done"]
    assert {e["response_id"] for e in stops} == set(responses)
    assert max(e["played_ms"] for e in stops) > 2000


GOING_BACK = """\
version: 1
stages:
  - mic: {device: "pulse:vmic", on_lost: fallback}
    fallback:
      file: {path: visitor.wav, realtime: true, loop: true}
      return_after_s: 1
  - vad: 2
  - file_sink: said.wav
events:
  - jsonl: events.jsonl
"""


def test_a_microphone_that_is_back_is_gone_back_to_and_no_sentence_is_cut(
    pulse: PulseAudio, tmp_path: Path
) -> None:
    (tmp_path / "visitor.wav").write_bytes((ROOT / "pipelines/audio/visitor.wav").read_bytes())
    (tmp_path / "back.yaml").write_text(GOING_BACK)
    noise = np.random.default_rng(1).normal(0, 3000, RATE).astype(np.int16)
    wav, events = write_wav(tmp_path / "noise.wav", noise), tmp_path / "events.jsonl"
    with running("run", "back.yaml", cwd=tmp_path, env=pulse.env) as process:
        wait_for_events(events, "pipeline.started", 1, 20)
        pulse.unplug_mic()
        wait_for_events(events, "stage.still_away", 1, 20)
        wait_for_events(events, "vad.speech_started", 1, 20)
        pulse.plug_mic()
        [back] = wait_for_events(events, "stage.returned", 1, 60)
        pulse.say(wav)
        time.sleep(0.5)  # what was said last is still on its way
        process.signal(signal.SIGINT)
        assert process.wait() == 0, "".join(process.lines)
    assert back["paused"]
    told = events_in(events)
    speech = [e["type"] for e in told if e["type"].startswith("vad.") and e["at"] < back["at"]]
    assert speech[-1] == "vad.speech_stopped"
    [said] = tracks(tmp_path / "said.wav", rate=RATE)
    assert offset_of(noise, said) > 0
    lost = {"link.dropped", "stage.failed", "mic.overran"} & {event["type"] for event in told}
    assert not lost
    at = offset_of(noise, said)
    before = said[at - 3 * RATE : at]  # the end of the sentence, the pause, the microphone
    loud = np.flatnonzero(np.abs(before) > 1000)
    assert not len(loud) or len(before) - loud[-1] > 0.4 * RATE
    assert snr_of(noise, said[at : at + len(noise)]) > 60


def snr_of(wanted: NDArray[np.int16], heard: NDArray[np.int16]) -> float:
    wrong = heard.astype(float) - wanted.astype(float)
    return float(10 * np.log10(np.mean(wanted.astype(float) ** 2) / max(np.mean(wrong**2), 1e-9)))
