"""How long a visitor waits: as the pipeline measures it, and as a recording of the room shows it.

    .venv/bin/python benchmarks/latency.py [--turns 10] [--transport webrtc websocket]

Real devices, by a private PulseAudio: see `tests/helpers/latency_room.py`. The far end is the
embedded server with a brain that answers at once, so what is left of `model` is the server's own.
Needs pulseaudio, pulseaudio-utils, libasound2-plugins, libportaudio2.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from devices.pulse import PulseAudio
from helpers.latency_room import take

TURN_S = 3.2


def main() -> None:
    """Hold conversations and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--transport", nargs="+", default=["webrtc", "websocket"])
    arguments = parser.parse_args()
    pulse = PulseAudio()
    try:
        for transport in arguments.transport:
            print(f"{transport}: {arguments.turns} turns, {arguments.turns * TURN_S:.0f} s")
            with tempfile.TemporaryDirectory() as folder:
                asyncio.run(show(pulse, Path(folder), transport, arguments.turns))
    finally:
        pulse.kill()


async def show(pulse: PulseAudio, folder: Path, transport: str, turns: int) -> None:
    """Hold one conversation and print what its turns took."""
    shown = await take(pulse, folder, transport, turns)
    if shown.disturbed:
        print("  the machine was too busy: the device ran dry, and figures are off")
    if len(shown.turns) != len(shown.waits_ms):
        print(f"  measured {len(shown.turns)} turns, and the recording shows {len(shown.waits_ms)}")
        return
    names = [name for name in shown.turns[0] if name.endswith("_ms")]
    for name in names:
        row(name, [turn[name] for turn in shown.turns])
    row("recording", shown.waits_ms)
    pairs = zip(shown.turns, shown.waits_ms, strict=True)
    row("difference", [turn["total_ms"] - waited_ms for turn, waited_ms in pairs])


def row(name: str, values: list[float]) -> None:
    """Print a name, the median, the 95th percentile, and both ends."""
    p50, p95 = np.percentile(values, [50, 95])
    print(f"  {name:14} p50 {p50:7.1f}  p95 {p95:7.1f}  {min(values):7.1f} … {max(values):.1f} ms")


if __name__ == "__main__":
    main()
