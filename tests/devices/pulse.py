"""A private PulseAudio with a virtual microphone and a virtual loudspeaker."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

APT = "apt install pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
_SPEAKER = (
    "module-null-sink sink_name=vspeaker rate=48000 channels=2 "
    "sink_properties=device.description=VirtualSpeaker"
)
_MIC_IN = "module-null-sink sink_name=vmic_in rate=48000 channels=1"
_MIC = (
    "module-remap-source source_name=vmic master=vmic_in.monitor channels=1 "
    "source_properties=device.description=VirtualMic"
)


class PulseAudio:
    """The sound server; tests may kill it, start it again, and unplug its microphone."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rtpipe-pulse-"))
        self.socket = self.folder / "native"
        self.env = {
            "PULSE_SERVER": f"unix:{self.socket}",
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_RUNTIME_PATH": str(self.folder / "pulse"),
            "HOME": str(self.folder / "home"),
        }
        self._children: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Start it; its devices are there when this returns."""
        loads = [
            f"module-native-protocol-unix socket={self.socket}",
            _SPEAKER,
            _MIC_IN,
            _MIC,
        ]
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1"]
        options += ["--high-priority=yes", "--realtime=yes"]  # a busy machine must not cut holes
        self._server = self._spawn(
            ["pulseaudio", *options, *(word for load in loads for word in ("-L", load))]
        )
        for _ in range(200):
            if self._pactl("get-source-volume", "vmic").returncode == 0:
                break
            with suppress(subprocess.TimeoutExpired):
                code = self._server.wait(0.05)
                pytest.fail(f"pulseaudio ended with {code}")
        else:
            pytest.fail("pulseaudio does not serve")
        self._keep_going("vspeaker", "vmic_in")

    def _keep_going(self, *sinks: str) -> None:
        """Wait until null sinks run: without a client that wants it now they render 2 s at once."""
        for sink in sinks:
            form = ["--raw", "--rate=48000", "--latency-msec=10"]  # at 44100 it runs 0.07 % fast
            self._spawn(["pacat", *form, "-d", sink, "/dev/zero"])
        for _ in range(200):  # the block that each rendered before that client came is played first
            if max(self._latencies_s()) < 0.1:
                return
            time.sleep(0.05)
        pytest.fail("pulseaudio's null sinks do not get on")

    def _latencies_s(self) -> list[float]:
        """Return how much each sink has rendered ahead."""
        listed = self._pactl("list", "sinks").stdout.decode()
        return [int(found) / 1e6 for found in re.findall(r"Latency: (\d+) usec", listed)] or [9.0]

    def kill(self) -> None:
        """Kill it, as a crash would; its clients end with it."""
        self._server.kill()
        self.close_children()

    def freeze(self) -> None:
        """Let it hang."""
        self._server.send_signal(signal.SIGSTOP)

    def close_children(self) -> None:
        """End what was started."""
        for child in self._children:
            child.kill()
            child.wait()
        self._children.clear()

    def unplug_mic(self) -> None:
        """Take the microphone away."""
        modules = self._pactl("list", "short", "modules").stdout.decode().splitlines()
        [number] = [line.split()[0] for line in modules if "source_name=vmic " in line]
        self.unload(number)

    def plug_mic(self) -> None:
        """Bring it back."""
        assert self._pactl("load-module", *_MIC.split()).returncode == 0

    def add_mic(self, number: int) -> None:
        """Plug in another microphone: `vmic2`, described as `VirtualMic2`, fed by `vmic2_in`."""
        self.load(*_MIC_IN.replace("vmic_in", f"vmic{number}_in").split())
        mic = _MIC.replace("vmic", f"vmic{number}").replace("VirtualMic", f"VirtualMic{number}")
        self.load(*mic.split())
        self._keep_going(f"vmic{number}_in")

    def add_speaker(self, number: int) -> None:
        """Plug in another loudspeaker: `vspeaker2`, described as `VirtualSpeaker2`."""
        added = _SPEAKER.replace("vspeaker", f"vspeaker{number}")
        self.load(*added.replace("VirtualSpeaker", f"VirtualSpeaker{number}").split())
        self._keep_going(f"vspeaker{number}")

    def load(self, *words: str) -> str:
        """Load a module; return its number."""
        done = self._pactl("load-module", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def unload(self, module: str) -> None:
        """Unload a module by its number."""
        assert self._pactl("unload-module", module).returncode == 0

    def prefer_source(self, name: str) -> None:
        """Make a source the default one."""
        assert self._pactl("set-default-source", name).returncode == 0

    def mute(self, source: str, *, muted: bool) -> None:
        """Mute a source, or no longer."""
        assert self._pactl("set-source-mute", source, str(int(muted))).returncode == 0

    def play(self, sink: str, raw: Path, channels: int) -> None:
        """Play a raw s16 file of 48 kHz into a sink, beside the caller."""
        form = ["--raw", "--format=s16le", "--rate=48000", f"--channels={channels}"]
        self._spawn(["pacat", *form, "--latency-msec=50", "-d", sink, str(raw)])

    def say(self, wav: Path) -> None:
        """Play a file into the microphone, to its end."""
        assert self.saying(wav).wait(timeout=60) == 0

    def saying(self, wav: Path) -> "subprocess.Popen[bytes]":
        """Begin to play a file into the microphone."""
        return self._spawn(["paplay", "--latency-msec=500", "-d", "vmic_in", str(wav)])

    @contextmanager
    def hearing(self, speaker: str = "vspeaker") -> Iterator["Ear"]:
        """Record what a loudspeaker plays."""
        ear = Ear(self.folder / f"{speaker}.raw")
        with ear.path.open("wb") as out:
            command = ["parec", "--raw", "--latency-msec=200", "-d", f"{speaker}.monitor"]
            command += ["--format=s16le", "--rate=48000", "--channels=1"]
            recorder = self._spawn(command, stdout=out)
        try:
            yield ear
        finally:
            recorder.terminate()
            recorder.wait()

    def _pactl(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["pactl", *words],
            env={**os.environ, **self.env},
            capture_output=True,
            check=False,
            timeout=10,
        )

    def _spawn(self, command: list[str], stdout: object = None) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            command,
            env={**os.environ, **self.env},
            stdout=stdout or subprocess.DEVNULL,  # type: ignore[arg-type]
            stderr=subprocess.DEVNULL,
        )
        self._children.append(child)
        return child


class Ear:
    """What was recorded from the loudspeaker so far."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def samples(self) -> NDArray[np.int16]:
        """Mono, 48 kHz."""
        data = self.path.read_bytes()
        return np.frombuffer(data[: len(data) // 2 * 2], np.int16)


@contextmanager
def sound_server() -> Iterator[PulseAudio]:
    """Run a sound server."""
    if not all(shutil.which(command) for command in ("pulseaudio", "pactl", "pacat", "parec")):
        if os.environ.get("CI") == "true":
            pytest.fail(f"no PulseAudio: {APT}")
        pytest.skip(f"no PulseAudio: {APT}")
    server = PulseAudio()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.folder)


@pytest.fixture
def pulse() -> Iterator[PulseAudio]:
    """A running sound server."""
    with sound_server() as server:
        yield server
