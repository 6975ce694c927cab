"""How long the kiosk takes from its start to its first RTP packet, with a server that runs.

    python -m benchmarks.subjects.first_packet

The visitor is a file (`--profile file`). A socket that hears the loopback interface sees the
packet; for that the process must be root. The kiosk has the core of this process, the server
another.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.subjects.processes import cpu_s
from benchmarks.subjects.serving import serving

ROOT = Path(__file__).parents[2]
_EVERY_PROTOCOL = 0x0003
_IPV4, _UDP = 0x0800, 17
_PATIENCE_S = 30.0


def main() -> None:
    """Print the time and the CPU time (ms)."""
    mine = os.sched_getaffinity(0)
    others = os.sched_getaffinity(1) - mine or mine
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ignore = shutil.ignore_patterns("out")
        shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=ignore)
        with serving(folder, ["taskset", "-c", ",".join(map(str, others))]) as env:
            figures = _run(folder, env)
    print(json.dumps(figures))


def _run(folder: Path, env: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "rtpipe", "run", "-q", "pipelines/kiosk.yaml"]
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL)) as wire:
        wire.bind(("lo", _IPV4))
        wire.settimeout(_PATIENCE_S)
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--profile", "file"],
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as kiosk:
            try:
                while _sender_of_rtp(wire.recv(4096)) not in _ports(kiosk.pid):
                    if kiosk.poll() is not None:
                        raise SystemExit(f"the kiosk ended with {kiosk.returncode}")
                    if time.perf_counter() - began > _PATIENCE_S:
                        raise SystemExit("no packet came")
                wall = time.perf_counter() - began
                spent = cpu_s(kiosk.pid)
            finally:
                kiosk.kill()
    return {"wall ms": wall * 1e3, "CPU ms": spent * 1e3}


def _sender_of_rtp(packet: bytes) -> int | None:
    """Return the port that sent it, if an IPv4 packet holds UDP and that RTP."""
    head = (packet[0] & 15) * 4
    rtp = packet[head + 8 : head + 10]
    if packet[9] != _UDP or len(rtp) < 2 or rtp[0] >> 6 != 2 or 192 <= rtp[1] <= 223:
        return None  # 192 to 223 is RTCP, beside it STUN and DTLS have other first bits
    return int.from_bytes(packet[head : head + 2], "big")


def _ports(pid: int) -> set[int | None]:
    """Return the UDP ports that a process has; with None: never what is not RTP."""
    sockets: set[str] = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets |= set(re.findall(r"socket:\[(\d+)\]", str(link.readlink())))
        except FileNotFoundError:
            continue
    lines = [line.split() for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]]
    return {int(line[1].partition(":")[2], 16) for line in lines if line[9] in sockets}


if __name__ == "__main__":
    main()
