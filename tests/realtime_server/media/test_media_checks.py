"""What only real media can show: events against the RTP packets they are about.

The exact figures are held without a clock in `talk/` (test_spoken_turns.py, test_stopping.py); here
the limits are wide, because the machine may be busy with other tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from realtime_server.caller import Caller
from realtime_server.fake_brain import FakeBrain
from realtime_server.sounds import babble, level, pcm
from rtpipe_realtime_server.server import RealtimeServer

pytestmark = pytest.mark.slow

LATE_S = 0.3
STARTED = "output_audio_buffer.started"
STOPPED = "output_audio_buffer.stopped"
CLEARED = "output_audio_buffer.cleared"


@asynccontextmanager
async def calling(seconds: float) -> AsyncIterator[Caller]:
    """Yield a caller of a server whose answers are tones of that length."""
    server = RealtimeServer(FakeBrain(seconds=seconds))
    await server.start()
    try:
        async with Caller(server.base_url) as caller:
            await caller.call()
            await caller.until("session.created")
            yield caller
    finally:
        await server.close()


def loud_s(caller: Caller, since: int = 0) -> float:
    return 0.02 * len(caller.loud_at[since:])


async def started_and_stopped_frame_the_sound() -> None:
    """Checks 30 and 31."""
    async with calling(seconds=2.0) as caller:
        caller.send("response.create")
        await caller.until(STOPPED)
        kinds = caller.kinds()
        assert kinds.index("response.content_part.added") < kinds.index(STARTED)
        assert kinds.index("response.done") < kinds.index(STOPPED)
        assert caller.at(STARTED) - caller.loud_at[0] < LATE_S
        assert caller.loud_at[0] - caller.at(STARTED) < LATE_S
        assert caller.at(STOPPED) > caller.loud_at[-1] - 0.06
        assert caller.at(STOPPED) - caller.loud_at[-1] < LATE_S
        assert abs(loud_s(caller) - 2.0) < 0.1
        lasted_s = caller.at(STOPPED) - caller.at(STARTED)
        assert abs(lasted_s - (caller.loud_at[-1] - caller.loud_at[0])) < LATE_S


async def barge_in_ends_what_is_generated() -> None:
    """Check 33."""
    async with calling(seconds=40.0) as caller:
        caller.send("response.create")
        await caller.until_heard(loud=True, count=10)
        caller.say(pcm(level(babble(0.6, 48000), -20)))
        response = (await caller.until("response.done"))["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["output"][0]["status"] == "incomplete"
        truncated = await caller.until("conversation.item.truncated")
        await caller.until_heard(loud=False, count=15)
        assert abs(truncated["audio_end_ms"] / 1000 - loud_s(caller)) < 0.1
        assert caller.loud_at[-1] - caller.at(CLEARED) < LATE_S
        assert STOPPED not in caller.kinds()


async def cancel_alone_lets_the_buffer_play() -> None:
    """Check 36."""
    async with calling(seconds=20.0) as caller:
        caller.send("response.create")
        await caller.until(STARTED)
        caller.send("response.cancel")
        await caller.until("response.done")
        await caller.until(STOPPED)
        assert caller.loud_at[-1] > caller.at("response.done")
        played_s, played = loud_s(caller), len(caller.loud_at)
        item_id = (await caller.until("response.output_item.done"))["item"]["id"]
        where = {"item_id": item_id, "content_index": 0, "audio_end_ms": 60_000}
        caller.send("conversation.item.truncate", **where)
        message = (await caller.until("error"))["error"]["message"]
        generated_ms = int(message.split()[3].removesuffix("ms"))
        assert abs(generated_ms / 1000 - played_s) < 0.1, "all that was generated was played"

        caller.send("response.create")
        await caller.until(STARTED, 2)
        caller.send("response.cancel")
        caller.send("output_audio_buffer.clear")
        await caller.until(CLEARED)
        await caller.until_heard(loud=False, count=15)
        assert caller.loud_at[-1] - caller.at(CLEARED) < LATE_S
        assert len(caller.loud_at) > played
        assert caller.kinds().count(STOPPED) == 1


async def test_events_tell_the_truth_about_the_sound() -> None:
    await asyncio.gather(
        started_and_stopped_frame_the_sound(),
        barge_in_ends_what_is_generated(),
        cancel_alone_lets_the_buffer_play(),
    )
