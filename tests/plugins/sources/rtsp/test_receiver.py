"""The receiver: it connects again, reads no faster than it plays, and says what is wrong."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plugins.sources.rtsp.serving import encoded, sent_as_a_file, served
from rtpipe import AudioFrame, Backoff, EnvironmentProblem, ExitCode, RtpipeError, StageError
from rtpipe_plugins.sources.rtsp.receiver import Receiver


class Notes:
    """What a receiver told."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.samples = 0
        self.enough = threading.Event()
        self.over = threading.Event()
        self.reconnects = 0

    def connected(self, layout: str) -> None:
        self.said.append(layout)

    def received(self, frames: list[AudioFrame]) -> None:
        assert {frame.samples for frame in frames} <= {960}
        self.samples += sum(frame.samples for frame in frames)

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
        assert notes.over.wait(10)
    assert isinstance(notes.said[0], RtpipeError)
    return notes.said[0]


def test_the_end_of_a_live_stream_is_a_reason_to_connect_again(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.aac", 1.0).read_bytes()
    with (
        served(lambda connection, _: connection.sendall(content)) as port,
        receiving(f"tcp://127.0.0.1:{port}") as notes,
    ):
        assert notes.enough.wait(10)
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
        assert notes.enough.wait(10)
    assert [pause for _, pause in notes.said[1:4]] == [0.01, 0.02, 0.03]


def test_a_recording_is_read_no_faster_than_it_is_played_and_ends(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.wav", 1.0).read_bytes()
    with (
        served(sent_as_a_file(content)) as port,
        receiving(f"http://127.0.0.1:{port}/tone.wav") as notes,
    ):
        assert not notes.over.wait(0.3)
        assert notes.samples < 40_000
        assert notes.over.wait(10)
    assert notes.said == ["mono", None]
    assert notes.samples == 48_000


def test_a_server_that_hangs_is_left_after_the_timeout() -> None:
    with served(lambda connection, _: time.sleep(1.0)) as port:
        error = first_error(f"tcp://127.0.0.1:{port}", timeout_s=0.3)
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
