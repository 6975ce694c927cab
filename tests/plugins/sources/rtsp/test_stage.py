"""rtsp and url: what is sent comes out evenly and soon, what breaks off comes back, no leaks."""

import asyncio
import logging
import socket
from pathlib import Path

import numpy as np
import pytest

from helpers.command import rtpipe
from plugins.sources.rtsp.camera import Camera
from plugins.sources.rtsp.serving import encoded, sent_as_a_file, sent_in_time, served
from rtpipe import EnvironmentProblem, audio
from rtpipe.testing import Bench, StageRun, joined, run_stage, tone
from rtpipe_plugins.network.addresses import shown
from rtpipe_plugins.sources.rtsp.stage import Rtsp, RtspOptions, Url

# -- secrets ---------------------------------------------------------------------------------------


def test_addresses_are_shown_without_secrets() -> None:
    assert shown("rtsp://cam:s3cret@10.0.0.7:554/a?key=x") == "rtsp://***@10.0.0.7:554/a?***"
    assert shown("rtsp://cam:s3@cret@10.0.0.7/a") == "rtsp://***@10.0.0.7/a"
    assert shown("rtsp://10.0.0.7/a") == "rtsp://10.0.0.7/a"
    options = RtspOptions(url="rtsp://cam:s3cret@10.0.0.7/a")
    assert "s3cret" not in repr(options)
    assert "s3cret" not in str(options.model_dump())
    assert options.url == "rtsp://cam:s3cret@10.0.0.7/a"


# -- the stage -------------------------------------------------------------------------------------


@pytest.mark.slow
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


@pytest.mark.slow
def test_late_audio_that_is_left_out_is_told(tmp_path: Path) -> None:
    path = encoded(tmp_path / "tone.aac", 4.0)

    def talk(connection: socket.socket, number: int) -> None:
        if number == 0:
            sent_in_time(connection, path, 4.0, burst_s=3.0)

    async def run(port: int) -> StageRun:
        return await run_stage(Url, {"url": f"tcp://127.0.0.1:{port}"}, seconds=2.5)

    with served(talk) as port:
        run = asyncio.run(run(port))
    told = [event.payload() for event in run.events if event.type == "stream.trimmed"]
    assert told
    assert sum(event["trimmed_ms"] for event in told) == pytest.approx(told[-1]["total_ms"])
    assert 1800 < told[-1]["total_ms"] < 3000  # of 3 s at most one is kept, and given up later


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_rtsp_is_asked_for_over_tcp() -> None:
    async def options() -> dict[str, str]:
        given = {"url": "rtsp://x/y", "timeout_s": 3, "options": {"user_agent": "kiosk"}}
        stage = Bench(Rtsp, given).stage
        return stage.ffmpeg_options()

    expected = {"rtsp_transport": "tcp", "user_agent": "kiosk"}
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
    assert {event.type for event in run.events} <= {"stream.trimmed"}  # by how busy this machine is


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_camera_whose_audio_begins_late_is_silent_until_then_and_says_so() -> None:
    camera = Camera(audio=lambda at_s: at_s > 0.5)

    async def run(port: int) -> StageRun:
        given = {"url": f"rtsp://127.0.0.1:{port}/x", "user": "cam", "password": "p/w"}
        return await run_stage(Rtsp, {**given, "timeout_s": 0.4}, seconds=1.2)

    with served(camera.conversation()) as port:
        run = asyncio.run(run(port))
    assert [event.type for event in run.events] == ["stream.waiting", "stream.connected"]
    assert run.events[0].line() == "connected, but no audio has come for 0.4 s"
    levels = [audio.level_dbfs(frame) for frame in run.frames]
    assert len(levels) == 60
    assert set(levels[:15]) == {-120.0}
    assert all(level > -30 for level in levels[-10:])
