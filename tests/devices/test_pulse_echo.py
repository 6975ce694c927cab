"""A kiosk whose microphone hears its loudspeaker, on real devices: `rtpipe run` over PulseAudio.

`tests/echo` has the same conversations in a room of arithmetic. Here PulseAudio is the room: it
mixes what the virtual loudspeaker plays into the virtual microphone, softer and later.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.pulse import PulseAudio, sound_server
from devices.test_pulse import write_wav
from helpers.command import rtpipe, running
from helpers.event_file import events_in, wait_for_events
from helpers.listening import require_speech
from helpers.room import ECHO_DB, RATE, interruption, questions

pytestmark = pytest.mark.slow
DELAY_MS = 120
PIPELINE = """\
version: 1
stages:
  - mic: {{device: "pulse:vmic"}}
{measure}
  - realtime: {{provider: embedded}}
  - speaker: {{device: "pulse:vspeaker"}}
events:
  - jsonl: events.jsonl
  - match: input_audio_buffer.speech_started
    do: speaker.flush
"""


def pactl(pulse: PulseAudio, *words: str) -> str:
    """Command the sound server."""
    command = ["pactl", *words]
    env = {**os.environ, **pulse.env}
    return subprocess.run(
        command, env=env, check=True, capture_output=True, text=True, timeout=10
    ).stdout


@contextmanager
def room() -> Iterator[PulseAudio]:
    """Run a sound server whose microphone hears its loudspeaker."""
    with sound_server() as pulse:
        loop = ["source=vspeaker.monitor", "sink=vmic_in", f"latency_msec={DELAY_MS}"]
        loop += ["adjust_time=0"]  # no room stretches its echo
        pactl(pulse, "load-module", "module-loopback", *loop)
        streams = pactl(pulse, "list", "short", "sink-inputs").splitlines()
        [echo] = [line.split("\t")[0] for line in streams if "module-loopback.c" in line]
        pactl(pulse, "set-sink-input-volume", echo, f"{ECHO_DB}dB")
        yield pulse


@pytest.fixture
def echoing() -> Iterator[PulseAudio]:
    """A room."""
    with room() as pulse:
        yield pulse


def arrivals(
    pulse: PulseAudio, devices: tuple[str, ...], wav: Path, seconds: float
) -> list[tuple[float, NDArray[np.int16]]]:
    """Play a file from the loudspeaker; return what sources hear, and when each first sample was.

    Good to some 20 ms: by when the samples came out of the sound server.
    """
    env = {**os.environ, **pulse.env}
    form = ["--raw", "--latency-msec=10", "--format=s16le", f"--rate={RATE}", "--channels=1"]
    ears = [
        subprocess.Popen(["parec", *form, "-d", device], env=env, stdout=subprocess.PIPE)
        for device in devices
    ]
    heard = [bytearray() for _ in ears]
    ends = [0.0] * len(ears)
    with selectors.DefaultSelector() as selector:
        for index, ear in enumerate(ears):
            assert ear.stdout is not None
            selector.register(ear.stdout, selectors.EVENT_READ, index)
        while not all(heard):
            _take(selector, heard, ends)
        player = subprocess.Popen(["paplay", "-d", "vspeaker", str(wav)], env=env)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            _take(selector, heard, ends)
    for process in (player, *ears):
        process.kill()
        process.communicate()
    tracks = [np.frombuffer(bytes(data[: len(data) // 2 * 2]), np.int16) for data in heard]
    return [(end - len(x) / RATE, x) for end, x in zip(ends, tracks, strict=True)]


def _take(selector: selectors.BaseSelector, heard: list[bytearray], ends: list[float]) -> None:
    for key, _ in selector.select(1):
        heard[key.data] += os.read(key.fd, 1 << 16)
        ends[key.data] = time.monotonic()


def test_the_room_is_as_far_and_as_loud_as_it_says(echoing: PulseAudio, tmp_path: Path) -> None:
    tone = 8000 * np.sin(2 * np.pi * 997 * np.arange(RATE // 2) / RATE)
    wav = write_wav(tmp_path / "tone.wav", tone.astype(np.int16))
    sound, echo = [
        (began + at[0] / RATE, np.sqrt(np.mean(np.square(x[at[0] : at[-1]], dtype=float))))
        for began, x in arrivals(echoing, ("vspeaker.monitor", "vmic"), wav, 2)
        for at in [np.flatnonzero(np.abs(x) > 500)]
    ]
    assert echo[0] - sound[0] == pytest.approx(DELAY_MS / 1000, abs=0.06)
    assert 20 * np.log10(echo[1] / sound[1]) == pytest.approx(ECHO_DB, abs=0.3)


def test_the_doctor_tells_how_late_the_loudspeaker_is_heard(
    echoing: PulseAudio, tmp_path: Path
) -> None:
    stages = "[mic: {device: pulse:vmic}, blackhole, tone, speaker: {device: pulse:vspeaker}]"
    (tmp_path / "room.yaml").write_text(f"version: 1\nstages: {stages}\n")
    ended = rtpipe("doctor", "--sound", "--json", "room.yaml", cwd=tmp_path, env=echoing.env)
    assert ended.code == 0, ended.err
    [trip] = [each for each in json.loads(ended.out)["checks"] if each["name"] == "round trip"]
    assert trip["status"] == "ok", trip
    told = re.search(r"in it, (\d+) ms after", trip["detail"])
    assert told, trip
    # The room, and what the sound server keeps for a loudspeaker and a microphone.
    assert DELAY_MS < int(told[1]) < DELAY_MS + 200


class Kiosk:
    """A kiosk that runs in the room, a visitor before it, and what has happened."""

    def __init__(self, pulse: PulseAudio, folder: Path) -> None:
        self._pulse = pulse
        self._folder = folder
        self._path = folder / "events.jsonl"

    def say(self, words: NDArray[np.int16]) -> None:
        """Speak into the microphone, to the end."""
        self._pulse.say(write_wav(self._folder / "words.wav", words))

    def until(self, type: str, count: int = 1, seconds: float = 20) -> None:
        """Wait until an event has happened `count` times."""
        wait_for_events(self._path, type, count, seconds)

    def count(self, type: str) -> int:
        return len(self._of(type))

    def said_by_visitors(self) -> list[set[str]]:
        """Return the words that the model took for a visitor's, one set a turn."""
        return self._texts("transcript.user")

    def answers(self) -> list[set[str]]:
        """Return the words of the desk, one set a turn."""
        return self._texts("transcript.assistant")

    def story(self) -> str:
        """Return what happened, for who wonders why a test failed."""
        told = ("input_audio_buffer.speech", "output_audio_buffer", "playback.", "transcript")
        return "\n".join(
            f"{event['at']:.2f} {event['type']} {event.get('text', '')}"
            for event in events_in(self._path)
            if event["type"].startswith((*told, "speaker.", "mic.", "link.dropped"))
        )

    def lost_time(self) -> bool:
        """Return whether audio was lost on its way, which moves the echo."""
        return any(map(self.count, ("speaker.underran", "mic.overran", "link.dropped")))

    def _of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in events_in(self._path) if event["type"] == type]

    def _texts(self, type: str) -> list[set[str]]:
        return [plain(event["text"]) for event in self._of(type)]


def plain(text: str) -> set[str]:
    return set("".join(c if c.isalnum() else " " for c in text.lower().replace("é", "e")).split())


def in_the_room(
    pulse: PulseAudio, folder: Path, measure: str, story: Callable[[Kiosk], None]
) -> Kiosk:
    """Run a kiosk with a `measure` against the echo for as long as the story takes."""
    folder.mkdir(exist_ok=True)
    text = PIPELINE.format(measure=f"  - {measure}" if measure else "")
    (folder / "kiosk.yaml").write_text(text)
    kiosk = Kiosk(pulse, folder)
    with running("run", "kiosk.yaml", cwd=folder, env=pulse.env) as process:
        kiosk.until("realtime.connected", seconds=60)
        kiosk.until("pipeline.started")
        with suppress(AssertionError):  # what is missing, the test says
            story(kiosk)
        process.signal(signal.SIGINT)
        assert process.wait() == 0, "".join(process.lines)
    return kiosk


def until_it_answers_itself(kiosk: Kiosk) -> None:
    """Ask, and then say nothing more."""
    kiosk.say(questions()[0])
    kiosk.until("transcript.user", 2)


def one_question(kiosk: Kiosk) -> None:
    """Ask, hear the whole answer, and give its echo time to be taken for a question."""
    kiosk.say(questions()[0])
    kiosk.until("output_audio_buffer.stopped")
    time.sleep(1)


def an_interruption(kiosk: Kiosk) -> None:
    """Hear one answer to its end, and ask for the café in the middle of the next."""
    one_question(kiosk)
    kiosk.say(questions()[0])
    kiosk.until("output_audio_buffer.started", 2)
    time.sleep(1.5)
    kiosk.say(interruption())
    kiosk.until("output_audio_buffer.stopped", 2)
    time.sleep(1)


@pytest.fixture(scope="module")
def uncancelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Kiosk]:
    """The kiosks that may lose time, each in a room of its own, beside each other: by measure."""
    require_speech()
    stories = {"": until_it_answers_itself, "mute_gate: half_duplex": one_question}
    questions()
    with ThreadPoolExecutor() as visitors, ExitStack() as rooms:
        kiosks = {
            measure: visitors.submit(
                in_the_room,
                rooms.enter_context(room()),
                tmp_path_factory.mktemp("kiosk"),
                measure,
                story,
            )
            for measure, story in stories.items()
        }
        return {measure: kiosk.result() for measure, kiosk in kiosks.items()}


def test_with_nothing_against_it_the_desk_answers_itself(uncancelled: dict[str, Kiosk]) -> None:
    kiosk = uncancelled[""]
    question, own_words = kiosk.said_by_visitors()[:2]
    assert "opening" in question, kiosk.story()
    assert own_words <= kiosk.answers()[0], kiosk.story()
    assert kiosk.count("output_audio_buffer.cleared"), "it interrupted itself"


def test_behind_a_gate_it_never_hears_itself(uncancelled: dict[str, Kiosk]) -> None:
    kiosk = uncancelled["mute_gate: half_duplex"]
    [question] = kiosk.said_by_visitors()
    assert "opening" in question, kiosk.story()
    assert kiosk.count("input_audio_buffer.speech_started") == 1, kiosk.story()
    assert not kiosk.count("output_audio_buffer.cleared")


def test_with_the_echo_cancelled_a_visitor_may_interrupt(
    echoing: PulseAudio, tmp_path: Path
) -> None:
    require_speech()
    interruption()  # spoken before the kiosk needs the machine
    kiosk = in_the_room(echoing, tmp_path / "1", "echo_cancel: speaker", an_interruption)
    if kiosk.lost_time():  # this machine did not keep real time, which moves the echo
        kiosk = in_the_room(echoing, tmp_path / "2", "echo_cancel: speaker", an_interruption)
    heard = kiosk.said_by_visitors()
    assert len(heard) == 3, kiosk.story()
    assert "opening" in heard[0] & heard[1], kiosk.story()
    assert "cafe" in heard[2], kiosk.story()
    assert kiosk.count("output_audio_buffer.cleared") == 1, kiosk.story()
    assert {"ground", "floor"} <= kiosk.answers()[-1], kiosk.story()
