"""stream: what is sent is received by real receivers; what fails says so, without the password."""

import asyncio
import io
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
from pydantic import ValidationError

from helpers.command import rtpipe
from rtpipe import EnvironmentProblem, ExitCode, RtpipeError, StageError
from rtpipe.testing import cut, joined, noise, run_stage, tone
from rtpipe_plugins.sinks.stream.stage import Stream, StreamOptions
from rtpipe_plugins.sinks.stream.uploader import _escaped

RECEIVER = """
import json, sys
import av, numpy as np
url, options = sys.argv[1], json.loads(sys.argv[2])
pieces = []
with av.open(url, options=options, timeout=(20, 2)) as container:
    stream = container.streams.audio[0]
    resampler = av.AudioResampler("s16", "mono", 48000)
    try:
        for frame in container.decode(stream):
            pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
    except av.error.FFmpegError:
        pass  # silence after the end, and RTMP's own way to end
    data = np.concatenate(pieces)
    middle = data[len(data) // 2 :][:24000]
    print(json.dumps({
        "codec": stream.codec_context.name,
        "rate": stream.sample_rate,
        "seconds": len(data) / 48000,
        "hz": int(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax()) * 2,
    }))
"""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def bound(port: int, protocol: str) -> bool:
    """Return whether somebody waits at `port`; asking by a connection would be taken for a call."""
    table = Path(f"/proc/net/{protocol}").read_text()
    return re.search(rf" 0100007F:{port:04X} 0+:0+ 0[7A] ", table) is not None


async def through(
    url: str, protocol: str, listening: dict[str, str], heard_at: str | None = None, **options: Any
) -> dict[str, Any]:
    """Send two seconds of 1 kHz to a receiver; returns what it heard."""
    receiver = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", RECEIVER, heard_at or url, json.dumps(listening)],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            port = urlsplit(url).port or 0
            while not bound(port, protocol):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
            await run_stage(Stream, {"url": url, **options}, tone(1000, seconds=2.5))
            out, _ = await receiver.communicate()
    finally:
        if receiver.returncode is None:
            receiver.kill()
            await receiver.wait()
    heard: dict[str, Any] = json.loads(out)
    return heard


@pytest.mark.slow
async def test_real_receivers_hear_it(tmp_path: Path) -> None:
    rtp, opus = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    session = tmp_path / "opus.sdp"
    session.write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=audio {opus} RTP/AVP 97\na=rtpmap:97 opus/48000/2\n"
    )
    described = {"protocol_whitelist": "file,udp,rtp"}
    heard = await asyncio.gather(
        through(
            f"rtsp://127.0.0.1:{free_port()}/live",
            "tcp",
            {"rtsp_flags": "listen", "listen_timeout": "20"},
        ),
        through(f"rtmp://127.0.0.1:{free_port()}/live/x", "tcp", {"listen": "1"}),
        through(f"rtp://127.0.0.1:{rtp}", "udp", {}, codec="pcma"),
        through(f"rtp://127.0.0.1:{opus}", "udp", described, str(session)),
        through(f"tcp://127.0.0.1:{free_port()}", "tcp", {"listen": "1"}, layout="stereo"),
    )
    assert [(one["codec"], one["rate"]) for one in heard] == [
        ("aac", 48_000),
        ("aac", 48_000),
        ("pcm_alaw", 8000),
        ("opus", 48_000),
        ("aac", 48_000),
    ]
    assert [one["hz"] for one in heard] == pytest.approx([1000] * 5, abs=4)
    assert [one["seconds"] for one in heard] == pytest.approx([2.5] * 5, abs=0.2)


class Radio:
    """As much of an Icecast server as a source client meets."""

    def __init__(self, answer: bytes, *, takes: int | None = None) -> None:
        self.head = ""
        self.audio = b""
        self._answer = answer
        self._takes = takes
        self._server = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    @contextmanager
    def serving(self) -> Iterator[str]:
        self._thread.start()
        port = self._server.getsockname()[1]
        try:
            yield f"icecast://source:s3cret@127.0.0.1:{port}/kiosk"
        finally:
            self._over.set()
            self._thread.join(20)
            self._server.close()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection:
            connection.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            self.head = head.decode()
            connection.sendall(self._answer)
            while self._takes is None or len(self.audio) < self._takes:
                content = connection.recv(65536)
                if not content:
                    return
                self.audio += content
            if self._takes == 0:
                self._over.wait(20)


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.slow
async def test_a_radio_station() -> None:
    radio = Radio(CONTINUE)
    with radio.serving() as url:
        began = time.monotonic()
        options = {"url": url, "options": {"ice_name": "Kiosk: the [desk]'s | voice"}}
        await run_stage(Stream, options, tone(1000, seconds=1.5))
        assert time.monotonic() - began > 1.3, "servers want it as fast as it plays"
    assert radio.head.startswith("PUT /kiosk HTTP/1.1\r\n")
    assert "Content-Type: application/ogg\r\n" in radio.head
    assert "Authorization: Basic c291cmNlOnMzY3JldA==\r\n" in radio.head
    assert "Ice-Name: Kiosk: the [desk]'s | voice\r\n" in radio.head
    with av.open(io.BytesIO(radio.audio)) as container:
        frames = list(container.decode(audio=0))
    assert sum(frame.samples for frame in frames) == pytest.approx(72_000, abs=960)
    data = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    assert np.abs(np.fft.rfft(data[12_000:60_000])).argmax() == 1000


@pytest.mark.slow
async def test_a_hole_is_silence() -> None:
    radio = Radio(CONTINUE)
    with radio.serving() as url:
        frames = [*tone(seconds=0.2), *cut(joined(list(tone(seconds=0.2))), pts=24_000)]
        await run_stage(Stream, {"url": url}, frames)
    with av.open(io.BytesIO(radio.audio)) as container:
        data = joined(list(container.decode(audio=0)))
    assert len(data) == pytest.approx(0.7 * 48_000, abs=960)


@pytest.mark.slow
async def test_a_jump_of_years_keeps_no_listener_waiting() -> None:
    radio = Radio(CONTINUE)
    with radio.serving() as url:
        frames = [*tone(seconds=0.2), *cut(joined(list(tone(seconds=0.2))), pts=10**12)]
        async with asyncio.timeout(20):
            run = await run_stage(Stream, {"url": url}, frames)
    with av.open(io.BytesIO(radio.audio)) as container:
        data = joined(list(container.decode(audio=0)))
    assert len(data) == pytest.approx(0.4 * 48_000, abs=960)
    assert len(run.of_type("timestamps.rebased")) == 1


# -- failures --------------------------------------------------------------------------------------


async def failure(url: str, **options: Any) -> RtpipeError:
    with pytest.raises(RtpipeError) as caught:
        await run_stage(Stream, {"url": url, **options}, noise(seconds=20))
    assert "s3cret" not in f"{caught.value!r} {caught.value.help}"
    return caught.value


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "icecast", "tcp"])
async def test_nobody_there(scheme: str) -> None:
    error = await failure(f"{scheme}://cam:s3cret@127.0.0.1:9/live")
    assert isinstance(error, EnvironmentProblem)
    assert error.message == f"cannot reach {scheme}://***@127.0.0.1:9/live: Connection refused"


@pytest.mark.slow
async def test_a_wrong_password() -> None:
    with Radio(b"HTTP/1.0 401 Unauthorized\r\n\r\n", takes=0).serving() as url:
        error = await failure(url)
    assert error.exit_code == ExitCode.NO_PERMISSION
    assert re.search(r"icecast://\*\*\*@\S+/kiosk refuses the user or the password", error.message)


@pytest.mark.slow
async def test_a_server_that_goes_away() -> None:
    with Radio(CONTINUE, takes=1000).serving() as url:
        error = await failure(url)
    assert isinstance(error, StageError)
    assert re.fullmatch(
        r"the connection to icecast://\*\*\*@127.0.0.1:\d+/kiosk broke off: "
        r"(Broken pipe|Connection reset by peer)",
        error.message,
    )


@pytest.mark.slow
async def test_a_server_that_never_answers() -> None:
    with Radio(b"", takes=0).serving() as url:
        error = await failure(url, timeout_s=0.5)
    assert "nothing moved for 0.5 s" in error.message


def test_mistakes_in_the_file() -> None:
    for options, message in [
        ({"url": "ftp://x/y"}, "name one of rtsp://"),
        ({"url": "rtp://x:1", "codec": "opium"}, "FFmpeg has no encoder opium"),
    ]:
        with pytest.raises(ValidationError, match=message):
            StreamOptions.model_validate(options)


@pytest.mark.slow
def test_no_password_is_shown(tmp_path: Path) -> None:
    options = StreamOptions(url="icecast://source:s3cret@127.0.0.1:9/x")  # type: ignore[call-arg]
    assert "s3cret" not in f"{options!r} {options.model_dump()}"
    (tmp_path / "p.yaml").write_text(
        "version: 1\nstages:\n  - tone\n  - stream: rtmp://source:s3cret@127.0.0.1:9/x\n"
    )
    for words, code in [(["--debug", "run"], 69), (["print"], 0), (["graph", "--json"], 0)]:
        ended = rtpipe(*words, "p.yaml", cwd=tmp_path)
        assert ended.code == code
        assert "s3cret" not in ended.out + ended.err


def test_what_is_sent_by_default() -> None:
    chosen = [
        StreamOptions.model_validate({"url": url, **more})
        for url, more in [
            ("rtsp://x/y", {}),
            ("icecast://x/y", {"format": "mp3"}),
            ("rtp://x:1", {"codec": "pcmu"}),
        ]
    ]
    assert [(one.container, one.encoder, one.rate) for one in chosen] == [
        ("rtsp", "aac", 48_000),
        ("mp3", "libmp3lame", 48_000),
        ("rtp", "pcm_mulaw", 8000),
    ]
    assert chosen[1].ffmpeg_options()["content_type"] == "audio/mpeg"


def test_escaping() -> None:
    assert _escaped(r"a:b|c'\]", ":]") == r"a\:b|c\'\\\]"
