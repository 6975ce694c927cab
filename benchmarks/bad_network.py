"""What a bad network does to what is heard of a call: rtpipe's buffer beside aiortc's own.

    PYTHONPATH=tests .venv/bin/python benchmarks/bad_network.py --loss 2 [--minutes 10]
    PYTHONPATH=tests .venv/bin/python benchmarks/bad_network.py --jitter 60 --seconds 30
    PYTHONPATH=tests .venv/bin/python benchmarks/bad_network.py --bursts 3 --seconds 30

Real sockets, real DTLS and Opus: an aiortc peer sends a tone with a chirp twice a second through a
relay that loses and delays RTP, and rtpipe's call receives it. Printed: how long chirps were under
way in the first and the last tenth of the time, the longest time without the tone, the longest for
which the machine itself stood still, and how what was lost was made up. Both engines are in a call
at the same time, `aiortc` for half a minute at most.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.calling import Heard, called
from helpers.network import Weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.beacon import Reading

_WARM_UP_S = 3.0
_STOCK_S = 30.0


@dataclass(frozen=True)
class Result:
    """What was heard with one engine.

    Attributes:
        engine: Which.
        seconds: For how long.
        reading: What it sounded like.
        stall_ms: For how long this machine itself stood still at most.
        lost: Packets that the relay lost.
        counted: What the call says of it.
    """

    engine: str
    seconds: float
    reading: Reading
    stall_ms: float
    lost: int
    counted: str


async def measured(
    engine: str, weather: Weather, seconds: float, burst: int
) -> Callable[[], Result]:
    """Hold a call in this weather; what is returned reads it off, which takes seconds."""
    async with called(engine=engine) as heard:
        await heard.listen(_WARM_UP_S)
        heard.frames.clear()
        heard.stall_ms = 0.0
        path = heard.relay.to_caller
        path.weather = weather
        losing = asyncio.create_task(_bursts(heard, burst))
        await heard.listen(seconds)
        losing.cancel()
        statistics = await heard.call.statistics()
        counted = (
            f"{statistics.packets_lost} missed, {statistics.packets_recovered} recovered, "
            f"{statistics.concealed_ms:.0f} ms concealed; {statistics}"
            if engine == "rtpipe"
            else "-"
        )
        return lambda: Result(engine, seconds, heard.reading(), heard.stall_ms, path.lost, counted)


async def _bursts(heard: Heard, burst: int) -> None:
    while burst:
        await asyncio.sleep(5.0)
        heard.relay.to_caller.lose(burst)


async def side_by_side(weather: Weather, seconds: float, burst: int) -> list[Result]:
    """Hold a call with each engine."""
    readers = await asyncio.gather(
        measured("rtpipe", weather, seconds, burst),
        measured("aiortc", weather, min(seconds, _STOCK_S), burst),
    )
    return [read() for read in readers]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="What a bad network does to a call.")
    parser.add_argument("--loss", type=float, default=0.0, help="per cent of the packets")
    parser.add_argument("--jitter", type=float, default=0.0, help="ms, evenly spread")
    parser.add_argument("--bursts", type=int, default=0, help="packets lost in a row each 5 s")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    seconds = asked.seconds if asked.minutes is None else asked.minutes * 60
    weather = Weather(loss=asked.loss / 100, jitter_s=asked.jitter / 1000)
    print(f"loss {asked.loss:g} %, jitter {asked.jitter:g} ms, bursts of {asked.bursts}")
    titles = ("seconds", "first ms", "last ms", "gap ms", "stall ms", "lost")
    print(f"{'':8}" + "".join(f"{title:>10}" for title in titles) + "  counted")
    for result in asyncio.run(side_by_side(weather, seconds, asked.bursts)):
        tenth = max(2.0, result.seconds / 10)
        reading = result.reading
        figures = (
            result.seconds,
            reading.between(0, tenth),
            reading.between(result.seconds - tenth - 1, result.seconds),
            reading.gap_ms,
            result.stall_ms,
            result.lost,
        )
        print(f"{result.engine:8}" + "".join(f"{n:10.0f}" for n in figures) + f"  {result.counted}")


if __name__ == "__main__":
    main()
