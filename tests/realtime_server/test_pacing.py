"""The clock of the audio that goes out."""

from __future__ import annotations

import asyncio

import numpy as np

from rtpipe_realtime_server.calls.peer_connection import PacedTrack


async def test_after_a_stall_there_is_no_burst() -> None:
    track = PacedTrack(lambda: np.zeros(960, np.int16), 0.0)
    loop = asyncio.get_running_loop()
    await track.recv()
    track._due = loop.time() - 10  # nobody asked for a frame for so long
    begun = loop.time()
    frames = [await track.recv() for _ in range(4)]
    assert loop.time() - begun >= 0.055, "one at once, then one each 20 ms"
    assert [frame.pts for frame in frames] == [960, 1920, 2880, 3840]
