"""The receiver: it connects again, reads no faster than it plays, and says what is wrong."""

import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from plugins.sources.rtsp.camera import AUDIO, VIDEO, Camera
from plugins.sources.rtsp.serving import encoded, sent_as_a_file, served
from rtpipe import AudioFrame, Backoff, EnvironmentProblem, ExitCode, RtpipeError, StageError
from rtpipe_plugins.media.damage import MediaDamaged
from rtpipe_plugins.sources.rtsp.receiver import Receiver


class Notes:
    """What a receiver told.

    Attributes:
        until_audio: What of it before the first audio: what comes later is another matter.
        times: When audio came (s), and how many samples were there then.
    """

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.until_audio: list[Any] | None = None
        self.times: list[tuple[float, int]] = []
        self.samples = 0
        self.waits = threading.Event()
        self.damage: list[MediaDamaged] = []
        self.enough = threading.Event()
        self.over = threading.Event()
        self.reconnects = 0

    def connected(self, layout: str) -> None:
        self.said.append(layout)

    def received(self, frames: list[AudioFrame]) -> None:
        assert {frame.samples for frame in frames} <= {960}
        if self.until_audio is None:
            self.until_audio = list(self.said)
        self.samples += sum(frame.samples for frame in frames)
        self.times.append((time.monotonic(), self.samples))

    def waiting(self, silent_s: float) -> None:
        self.said.append(("waiting", silent_s))
        self.waits.set()

    def damaged(self, damage: MediaDamaged) -> None:
        self.damage.append(damage)

    def lost(self, reason: str, retry_s: float) -> None:
        self.said.append((reason, retry_s))
        self.reconnects += 1
        if self.reconnects == 3:
            self.enough.set()

    def ended(self, error: RtpipeError | None) -> None:
        self.said.append(error)
        self.over.set()


@contextmanager
def receiving(url: str, **options: Any) -> Iterator[Notes]:
    notes = Notes()
    how = {
        "stream": 0,
        "options": {},
        "timeout_s": 5.0,
        "backoff": Backoff(0.01, 0.02, jitter=0.0),
    } | options
    receiver = Receiver(url=url, listener=notes, **how)
    receiver.start()
    try:
        yield notes
    finally:
        receiver.stop()
        receiver.join(timeout=20)
        assert not receiver.is_alive()


def first_error(url: str, **options: Any) -> RtpipeError:
    with receiving(url, **options) as notes:
        assert notes.over.wait(30)
    assert isinstance(notes.said[0], RtpipeError)
    return notes.said[0]


def test_the_end_of_a_live_stream_is_a_reason_to_connect_again(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.aac", 1.0).read_bytes()
    with (
        served(lambda connection, _: connection.sendall(content)) as port,
        receiving(f"tcp://127.0.0.1:{port}") as notes,
    ):
        assert notes.enough.wait(30)
    assert notes.said[:3] == ["mono", ("the stream ended", 0.01), ("the stream ended", 0.01)]
    assert notes.samples >= 3 * 47_000


def test_pauses_between_attempts_grow_while_nobody_answers(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.aac", 0.5).read_bytes()

    def only_once(connection: socket.socket, number: int) -> None:
        if number == 0:
            connection.sendall(content)

    with (
        served(only_once) as port,
        receiving(f"tcp://127.0.0.1:{port}", backoff=Backoff(0.01, 0.03, jitter=0.0)) as notes,
    ):
        assert notes.enough.wait(30)
    assert [pause for _, pause in notes.said[1:4]] == [0.01, 0.02, 0.03]


def test_a_recording_is_read_no_faster_than_it_is_played_and_ends(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.wav", 1.0).read_bytes()
    began = time.monotonic()
    with (
        served(sent_as_a_file(content)) as port,
        receiving(f"http://127.0.0.1:{port}/tone.wav") as notes,
    ):
        assert notes.over.wait(30)
    assert notes.said == ["mono", None]
    assert notes.samples == 48_000
    ahead_s = [samples / 48_000 - (at - began) for at, samples in notes.times]
    assert max(ahead_s) < 0.06 + 4096 / 48_000  # how early it is handed on, and a packet


def test_a_server_that_hangs_is_left_after_the_timeout() -> None:
    over = threading.Event()
    with served(lambda connection, _: over.wait(30) and None) as port:
        error = first_error(f"tcp://127.0.0.1:{port}", timeout_s=0.3)
        over.set()
    assert isinstance(error, EnvironmentProblem)
    assert "nothing moved for 0.3 s" in error.message


def test_nobody_there() -> None:
    error = first_error("tcp://127.0.0.1:9")
    assert isinstance(error, EnvironmentProblem)
    assert error.message == "cannot reach tcp://127.0.0.1:9: Connection refused"


def test_a_wrong_password_is_told_without_it() -> None:
    def refuse(connection: socket.socket, _: int) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with served(refuse) as port:
        error = first_error(f"http://cam:s3cret@127.0.0.1:{port}/live?token=t0ken")
    assert error.exit_code == ExitCode.NO_PERMISSION
    assert error.message == (
        f"http://***@127.0.0.1:{port}/live?*** refuses the user or the password"
    )


def test_a_stream_without_sound_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "silent.ts"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=duration=1", str(path)],
        check=True,
    )
    with served(lambda connection, _: connection.sendall(path.read_bytes())) as port:
        error = first_error(f"tcp://127.0.0.1:{port}")
    assert isinstance(error, StageError)
    assert error.message == f"tcp://127.0.0.1:{port} has no audio: it holds video"


# -- cameras ---------------------------------------------------------------------------------------

OVER_TCP = {"rtsp_transport": "tcp"}


@contextmanager
def watching(camera: Camera, *, timeout_s: float = 5.0) -> Iterator[Notes]:
    """Receive from a camera, by TCP."""
    with (
        served(camera.conversation()) as port,
        receiving(f"rtsp://127.0.0.1:{port}/x", options=OVER_TCP, timeout_s=timeout_s) as notes,
    ):
        try:
            yield notes
        finally:
            camera.hangs_up.set()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_camera_with_pictures_is_asked_for_its_audio_alone() -> None:
    """Else FFmpeg studies the pictures for seconds before any audio is handed on."""
    camera = Camera(audio=lambda at_s: at_s < 0.5)  # and then no more, however long it is studied
    with watching(camera) as notes:
        until(lambda: notes.samples > 0)
    assert camera.asked[:4] == ["OPTIONS x", "DESCRIBE x", "SETUP audio", "PLAY x"]
    assert notes.until_audio == ["mono"]


# A time-out is FFmpeg's own, in real time. Where one must pass, it may pass late; where none may,
# a busy machine has seconds.


@pytest.mark.slow
def test_a_camera_may_answer_later_than_the_timeout() -> None:
    with watching(Camera(answers_after_s=1.2), timeout_s=1.0) as notes:
        until(lambda: notes.samples > 0)
    assert notes.until_audio == ["mono"]


@pytest.mark.slow
def test_a_camera_whose_audio_begins_late_is_waited_for_and_said() -> None:
    waits = threading.Event()
    camera = Camera(audio=lambda _: waits.is_set())
    with watching(camera, timeout_s=1.0) as notes:
        assert notes.waits.wait(30)
        waits.set()
        until(lambda: notes.samples > 0)
        assert camera.asked.count("PLAY x") == 1
    assert notes.until_audio is not None
    assert set(notes.until_audio) == {"mono", ("waiting", 1.0)}


@pytest.mark.slow
def test_a_camera_whose_audio_never_begins_is_connected_again() -> None:
    camera = Camera(audio=lambda _: False)
    with watching(camera, timeout_s=0.3) as notes:
        until(lambda: notes.reconnects == 1)
    assert notes.said[:3] == ["mono", ("waiting", 0.3), ("waiting", 0.3)]
    assert "nothing moved for 0.3 s" in notes.said[3][0]


@pytest.mark.slow
def test_audio_that_stops_while_other_packets_come_is_a_broken_stream() -> None:
    camera = Camera(audio=lambda at_s: at_s < 0.1)
    with watching(camera, timeout_s=1.0) as notes:
        until(lambda: notes.reconnects == 1)
    assert notes.until_audio == ["mono"]
    assert "nothing moved for 1 s" in notes.said[1][0]


def test_a_camera_without_audio_is_told_what_it_holds() -> None:
    for media in ([VIDEO], [VIDEO, VIDEO]):
        with watching(Camera(media, seconds=0.1)) as notes:
            assert notes.over.wait(30)
        assert isinstance(notes.said[0], StageError)
        assert notes.said[0].message.endswith("/x has no audio: it holds video")


@pytest.mark.slow
def test_a_camera_that_never_answers_is_told_as_one() -> None:
    with watching(Camera([AUDIO], answers_after_s=60), timeout_s=0.3) as notes:
        assert notes.over.wait(30)
    assert isinstance(notes.said[0], EnvironmentProblem)
    assert "nothing moved for 0.9 s" in notes.said[0].message


def test_damage_is_played_around_without_a_new_connection_and_told_once(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.aac", 4.0)
    content, dice = bytearray(path.read_bytes()), random.Random(1)
    for _ in range(40):
        at = dice.randrange(len(content) // 4, len(content) - 4)
        content[at : at + 4] = dice.randbytes(4)
    with (
        served(lambda connection, number: number or connection.sendall(content)) as port,
        receiving(f"tcp://127.0.0.1:{port}", timeout_s=2.0) as notes,
    ):
        assert notes.enough.wait(30)
    assert notes.said[0] == "mono"
    assert notes.samples > 2.5 * 48_000
    assert 1 <= len(notes.damage) <= 2
    assert notes.damage[-1].packets > 1


@pytest.mark.slow
def test_a_recording_whose_clock_begins_anew_is_not_waited_for(tmp_path: Path) -> None:
    whole = b""
    for offset in ("600", "0"):
        words = ("-f", "lavfi", "-i", "sine=d=1", "-c:a", "mp2", "-output_ts_offset", offset)
        subprocess.run(["ffmpeg", "-v", "error", "-y", *words, tmp_path / "one.ts"], check=True)
        whole += (tmp_path / "one.ts").read_bytes()
    with (
        served(sent_as_a_file(whole)) as port,
        receiving(f"http://127.0.0.1:{port}/whole.ts") as notes,
    ):
        assert notes.over.wait(30)
    assert notes.said[1:] == [None]
    assert notes.samples >= 1.9 * 48_000
    assert notes.damage[-1].jumps == 1


def test_a_station_whose_name_is_latin_1_is_heard(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.mp3", 1.0).read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: Radio Z\xfcrich\r\n\r\n"

    def talk(connection: socket.socket, _number: int) -> None:
        connection.recv(4096)
        connection.sendall(head + content)

    with (
        served(talk) as port,
        receiving(f"http://127.0.0.1:{port}/") as notes,
    ):
        assert notes.enough.wait(30) or notes.over.wait(0)
    assert notes.said[0] == "mono"
