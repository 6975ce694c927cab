"""Cameras: gst-rtsp-server in a process of its own, which tests may kill, stop and start again."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

_PYTHON = "/usr/bin/python3"
_GI = "import gi; gi.require_version('GstRtspServer', '1.0')"
_APT = (
    "apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly "
    "gstreamer1.0-libav"
)


class Camera:
    """A server on three free ports, which stay the same when it comes back."""

    def __init__(self) -> None:
        with ExitStack() as probes:
            taken = [probes.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            self.ports = [probe.getsockname()[1] for probe in taken]
        self.start()

    def start(self) -> None:
        """Start it; it serves when this returns."""
        self._process = subprocess.Popen(
            [_PYTHON, str(Path(__file__).with_name("server.py")), *map(str, self.ports)],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"serving\n"

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed."""
        return self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it and wait for its end."""
        self._process.kill()
        self._process.communicate()

    def url(self, path: str, *, guard: str = "", user: str = "") -> str:
        """Return an address; `guard`: none, `basic` or `digest`; `user` with a password."""
        port = self.ports[["", "basic", "digest"].index(guard)]
        return f"rtsp://{user and f'{user}@'}127.0.0.1:{port}/{path}"


@pytest.fixture
def camera() -> Iterator[Camera]:
    if subprocess.run([_PYTHON, "-c", _GI], capture_output=True, check=False).returncode != 0:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no gst-rtsp-server: {_APT}")
        pytest.skip(f"no gst-rtsp-server: {_APT}")
    camera = Camera()
    yield camera
    if camera.runs:
        camera.kill()
