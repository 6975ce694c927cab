"""The floor of the batch section: a loop over blocks of a file, and numpy.

    python -m benchmarks.subjects.batch_numpy IN.wav OUT.wav BLOCK_MS

Printed: the CPU time from the first read to the last write, without imports.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.subjects.gated_speech import HEADER, RATE, Detector, Gate, softer


def run(source: Path, target: Path, block: int) -> None:
    """Do the work; both files are WAV files of s16 mono 48 kHz."""
    detector, gate = Detector(), Gate()
    scratch = np.empty(block, np.float32)
    with source.open("rb", 1 << 16) as read, target.open("wb", 1 << 16) as write:
        write.write(read.read(HEADER))
        while len(data := bytearray(read.read(2 * block))) == 2 * block:
            samples = np.frombuffer(data, np.int16)
            softer(samples, scratch)
            for due in gate.process(samples, detector.hear(samples)):
                write.write(due.data)
        for due in gate.finish():
            write.write(due.data)


def main() -> None:
    """Do what the command line asks for."""
    source, target, block_ms = sys.argv[1:]
    wall, cpu = time.perf_counter(), time.process_time()
    run(Path(source), Path(target), RATE * int(block_ms) // 1000)
    spent = {"CPU s": time.process_time() - cpu, "inner wall s": time.perf_counter() - wall}
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
