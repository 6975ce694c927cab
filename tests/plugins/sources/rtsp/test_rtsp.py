"""rtsp and url: what is sent comes out evenly and soon, what breaks off comes back, no leaks."""

import asyncio
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from helpers.command import rtpipe
from rtpipe import AudioFrame, Backoff, EnvironmentProblem, ExitCode, RtpipeError, StageError, audio
from rtpipe.testing import Bench, StageRun, joined, run_stage, tone
from rtpipe_plugins.network.addresses import shown
from rtpipe_plugins.sources.rtsp.arrivals import ArrivalBuffer
from rtpipe_plugins.sources.rtsp.receiver import Receiver
from rtpipe_plugins.sources.rtsp.stage import Rtsp, RtspOptions, Url

QUICK = Backoff(0.01, 0.02, jitter=0.0)


def encoded(path: Path, seconds: float, frequency: float = 1000, *, rate: int = 48_000) -> Path:
    with av.open(str(path), "w") as container:
        codec = {".wav": "pcm_s16le", ".aac": "aac", ".mp3": "libmp3lame"}[path.suffix]
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for frame in tone(frequency, seconds=seconds, sample_rate=rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


Conversation = Callable[[socket.socket, int], None]


@contextmanager
def served(talk: Conversation) -> Iterator[int]:
    """Serve on a port; `talk` gets each connection and its number."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)

    def run() -> None:
        for number in range(1000):
            try:
                connection, _ = server.accept()
                with connection:
                    talk(connection, number)
            except OSError:
                if server.fileno() < 0:
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=20)


def sent_in_time(connection: socket.socket, path: Path, seconds: float, *, burst_s: float) -> None:
    """Send a file as fast as it plays, `burst_s` of it at once."""
    content = path.read_bytes()
    began = time.monotonic()
    sent = 0
    while sent < len(content):
        due = round(len(content) * (time.monotonic() - began + burst_s) / seconds)
        connection.sendall(content[sent:due])
        sent = max(sent, due)
        time.sleep(0.01)


def sent_as_a_file(content: bytes) -> Conversation:
    """Answer as a web server does, all at once."""

    def talk(connection: socket.socket, _: int) -> None:
        connection.recv(4096)
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)

    return talk


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


# -- the receiver ----------------------------------------------------------------------------------


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


# -- secrets ---------------------------------------------------------------------------------------


def test_addresses_are_shown_without_secrets() -> None:
    assert shown("rtsp://cam:s3cret@10.0.0.7:554/a?key=x") == "rtsp://***@10.0.0.7:554/a?***"
    assert shown("rtsp://cam:s3@cret@10.0.0.7/a") == "rtsp://***@10.0.0.7/a"
    assert shown("rtsp://10.0.0.7/a") == "rtsp://10.0.0.7/a"
    options = RtspOptions(url="rtsp://cam:s3cret@10.0.0.7/a")
    assert "s3cret" not in repr(options)
    assert "s3cret" not in str(options.model_dump())
    assert options.url == "rtsp://cam:s3cret@10.0.0.7/a"


# -- the jitter buffer -----------------------------------------------------------------------------


def frames(first: int, count: int) -> list[AudioFrame]:
    return [audio.silence(960, pts=n * 960) for n in range(first, first + count)]


def test_bursts_come_out_evenly() -> None:
    """G.711 from some servers comes in packets of 167 ms."""
    buffer = ArrivalBuffer(margin=3, limit=50)
    came = missed = 0
    for tick in range(500):
        arrived = tick * 20 // 167 * 167 // 20
        buffer.push(frames(came, arrived - came))
        came = arrived
        missed += buffer.pull() is None and tick > 100
    assert missed == 0


def test_a_backlog_is_dropped_within_two_seconds() -> None:
    buffer = ArrivalBuffer(margin=3, limit=50)
    buffer.push(frames(0, 100))
    depths = []
    for n in range(100):
        buffer.push(frames(100 + n, 1))
        assert buffer.pull() is not None
        depths.append(len(buffer))
    assert depths[0] == 49
    assert depths[-1] == 3


def test_after_a_gap_a_margin_is_gathered_again() -> None:
    buffer = ArrivalBuffer(margin=3, limit=50)
    buffer.push(frames(0, 3))
    given = [buffer.pull() is not None for _ in range(4)]
    buffer.push(frames(3, 2))
    given.append(buffer.pull() is not None)
    buffer.push(frames(5, 1))
    given.append(buffer.pull() is not None)
    assert given == [True, True, True, False, False, True]


# -- the stage -------------------------------------------------------------------------------------


def test_a_live_stream_comes_out_evenly_and_late_by_little(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.aac", 3.0)

    def talk(connection: socket.socket, _: int) -> None:
        sent_in_time(connection, path, 3.0, burst_s=1.0)

    async def run(port: int) -> StageRun:
        return await run_stage(Url, {"url": f"tcp://127.0.0.1:{port}"}, seconds=2.0)

    with served(talk) as port:
        run = asyncio.run(run(port))
    assert [frame.pts for frame in run.frames] == [n * 960 for n in range(100)]
    at = [audio.meta(frame).captured_at or 0.0 for frame in run.frames]
    assert np.diff(at) == pytest.approx([0.02] * 99)
    data = joined(run.frames)[48_000:72_000, 0]
    assert np.abs(np.fft.rfft(data)).argmax() == 500
    assert audio.level_dbfs(audio.from_pcm(data, sample_rate=48_000, pts=0)) > -23


def test_while_it_is_away_there_is_silence_and_then_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = encoded(tmp_path / "tone.aac", 0.5)
    back = encoded(tmp_path / "back.aac", 0.7, 3000)

    def talk(connection: socket.socket, number: int) -> None:
        sent_in_time(connection, path if number == 0 else back, 0.5, burst_s=0.1)

    async def run(port: int) -> StageRun:
        options = {"url": f"tcp://cam:s3cret@127.0.0.1:{port}", "reconnect": {"initial_s": 0.4}}
        return await run_stage(Url, options, seconds=1.6)

    with caplog.at_level(logging.DEBUG), served(talk) as port:
        run = asyncio.run(run(port))
    assert [event.type for event in run.events][:2] == [
        "stream.disconnected",
        "stream.connected",
    ]
    assert run.events[0].payload() == {"reason": "the stream ended", "retry_s": 0.4}
    data = joined(run.frames)[:, 0]
    levels = [audio.level_dbfs(frame) for frame in run.frames]
    assert levels.count(-120.0) > 10
    first_tone = data[:24_000].astype(float)
    assert 900 < np.abs(np.fft.rfft(first_tone, 48_000)).argmax() < 1100
    loud_again = max(n for n, level in enumerate(levels) if level > -30) * 960
    assert 2900 < np.abs(np.fft.rfft(data[loud_again - 9600 : loud_again], 48_000)).argmax() < 3100
    assert "s3cret" not in caplog.text


def test_without_filling_there_is_a_hole_in_the_times(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.aac", 0.4)

    def talk(connection: socket.socket, _: int) -> None:
        sent_in_time(connection, path, 0.4, burst_s=0.1)

    async def run(port: int) -> StageRun:
        options = {
            "url": f"tcp://127.0.0.1:{port}",
            "fill": "none",
            "reconnect": {"initial_s": 0.2},
        }
        return await run_stage(Url, options, seconds=0.6)

    with served(talk) as port:
        run = asyncio.run(run(port))
    steps = np.diff([frame.pts or 0 for frame in run.frames])
    assert steps.min() == 960
    assert steps.max() > 4 * 960
    assert all(audio.level_dbfs(frame) > -60 for frame in run.frames[3:10])


def test_a_recording_from_a_server_is_played_whole(tmp_path: Path) -> None:
    content = encoded(tmp_path / "tone.wav", 1.2).read_bytes()

    async def run(port: int) -> StageRun:
        return await run_stage(Url, {"url": f"http://127.0.0.1:{port}/tone.wav"})

    with served(sent_as_a_file(content)) as port:
        run = asyncio.run(run(port))
    whole = np.count_nonzero(joined(tone(1000, seconds=1.2)))
    assert np.count_nonzero(joined(run.frames)) == pytest.approx(whole, rel=0.02)


def test_a_first_attempt_that_fails_is_the_surroundings_fault() -> None:
    async def run() -> None:
        async with Bench(Url, {"url": "tcp://127.0.0.1:9"}).opened():
            pass

    with pytest.raises(EnvironmentProblem, match="Connection refused"):
        asyncio.run(run())


def test_rtsp_is_asked_for_over_tcp_and_with_a_timeout() -> None:
    async def options() -> dict[str, str]:
        given = {"url": "rtsp://x/y", "timeout_s": 3, "options": {"user_agent": "kiosk"}}
        stage = Bench(Rtsp, given).stage
        return stage.ffmpeg_options()

    expected = {"rtsp_transport": "tcp", "timeout": "3000000", "user_agent": "kiosk"}
    assert asyncio.run(options()) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "rate"), [("aac", 48_000), ("libopus", 48_000), ("pcm_alaw", 8000)]
)
def test_a_real_rtsp_stream(codec: str, rate: int) -> None:
    """FFmpeg pushes to us: it can serve only such listeners."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"rtsp://127.0.0.1:{port}/live"
    options = {"rtsp_flags": "listen", "listen_timeout": "20"}

    async def run() -> StageRun:
        source = f"sine=1000:sample_rate={rate}"
        pusher = await asyncio.create_subprocess_exec(
            *["sh", "-c", 'sleep 1; exec "$@"', "sh", "ffmpeg", "-loglevel", "error", "-re"],
            *["-f", "lavfi", "-i", source, "-c:a", codec, "-f", "rtsp", "-rtsp_transport", "tcp"],
            url,
        )
        try:
            return await run_stage(
                Rtsp, {"url": url, "timeout_s": 20, "options": options}, seconds=4
            )
        finally:
            pusher.kill()
            await pusher.wait()

    run = asyncio.run(run())
    data = joined(run.frames)[96_000:, 0]
    assert np.count_nonzero(data) > 0.98 * len(data)
    spectrum = np.abs(np.fft.rfft(data[-48_000:] * np.hanning(48_000)))
    assert spectrum.argmax() == 1000
    assert not run.events


def test_a_run_tells_of_a_camera_that_breaks_off_and_comes_back(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.aac", 0.5)

    def talk(connection: socket.socket, _: int) -> None:
        sent_in_time(connection, path, 0.5, burst_s=0.3)

    with served(talk) as port:
        (tmp_path / "camera.yaml").write_text(
            "version: 1\nstages:\n"
            f"  - url: {{url: 'tcp://127.0.0.1:{port}', reconnect: {{initial_s: 0.2}}}}\n"
            "    id: camera\n"
            "  - blackhole\n"
        )
        ended = rtpipe("run", "camera.yaml", "--until", "stream.connected", cwd=tmp_path)
    assert ended.code == 0, ended.err
    told = [" ".join(line.split()[1:]) for line in ended.err.splitlines()]
    assert "camera the stream ended; trying again in 0.2 s" in told
    assert "camera audio comes again" in told
