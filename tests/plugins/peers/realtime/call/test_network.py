"""Calls over a network that loses, delays and reorders: real sockets, real Opus."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import numpy as np
import pytest

from helpers.network import Weather
from helpers.sound import fill, tone
from rtpipe import audio

pytestmark = pytest.mark.slow


async def test_lost_packets_are_made_up_and_leave_no_delay_behind() -> None:
    from helpers.calling import called

    async with called() as far:
        await far.listen(2)
        for count in (1, 3):
            far.relay.to_caller.lose(count)
            await far.listen(1.5)
        statistics = await far.call.statistics()
    reading = far.reading()
    assert far.relay.to_caller.lost == 4
    assert statistics.packets_lost >= 4  # late ones too, on a busy machine
    assert statistics.concealed_ms + 20 * statistics.packets_recovered >= 80
    assert reading.gap_ms <= 60 + 2 * far.stall_ms
    assert reading.between(3, 5) < reading.between(1, 2) + 30 + 2 * far.stall_ms


@pytest.mark.parametrize(
    ("weather", "most_ms"), [(Weather(loss=0.02), 100), (Weather(jitter_s=0.06), 180)]
)
async def test_bad_weather_passes(weather: Weather, most_ms: float) -> None:
    from helpers.calling import called

    async with called() as far:
        far.relay.to_caller.weather = weather
        await far.listen(4)
        statistics = await far.call.statistics()
    reading = far.reading()
    assert reading.gap_ms <= 60 + 2 * far.stall_ms
    assert reading.between(2, 4) < most_ms + 2 * far.stall_ms
    if weather.loss:
        assert statistics.packets_lost >= far.relay.to_caller.lost - 2  # of the very last
        assert statistics.packets_lost > 0
    else:
        assert statistics.jitter_ms > 10
        assert statistics.target_ms > 30


async def test_a_far_end_without_opus_hears_and_is_heard(patient_link: Any) -> None:
    from aiortc.mediastreams import MediaStreamError

    from helpers.calling import called

    async with called(codec="audio/PCMU") as far:
        fill(patient_link, tone(3.0))
        far.call.outgoing.attach(patient_link)
        track = far.far_end.getReceivers()[0].track
        loudest = []

        async def hear() -> None:
            with contextlib.suppress(MediaStreamError):
                while True:
                    loudest.append(np.abs(audio.pcm(await track.recv())).max())

        hearing = asyncio.create_task(hear())
        await far.listen(1.5)
        offer_asks_for_fec = "useinbandfec=1" in far.far_end.remoteDescription.sdp
    await hearing
    pcm = np.concatenate([audio.pcm(frame)[:, 0] for frame in far.frames])
    assert np.abs(pcm).max() > 3000
    assert max(loudest) > 5000
    assert offer_asks_for_fec
    assert far.call.incoming.buffer.statistics.received == 0
