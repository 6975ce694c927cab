"""A conversation outlives the calls it is held in: real servers that die, freeze and run out."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from behaviour.conversing import conversation
from helpers.command import environment

pytestmark = pytest.mark.slow

SERVER = """
import asyncio, sys
import numpy as np
from rtpipe_realtime_server.talk.brain import BrainAnswer, Utterance
from rtpipe_realtime_server.server import RealtimeServer

class Brain:
    name, notice = "script", None
    async def load(self): ...
    async def close(self): ...
    async def transcribe(self, pcm): return "Hm."
    async def reply(self, question): return BrainAnswer(f"You said {question.heard}")
    async def speak(self, text, voice):
        seconds = 6.0 if "story" in text else 0.3
        t = np.arange(round(seconds * 48_000)) / 48_000
        return Utterance(text, np.rint(np.sin(t * 3000) * 8000).astype(np.int16))

async def serve(port, session_s):
    server = RealtimeServer(Brain(), port=port, session_s=session_s)
    await server.start()
    print(server.base_url, flush=True)
    await asyncio.Event().wait()

asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
"""


class Server:
    """A Realtime server in a process of its own, which may be frozen, killed and begun anew."""

    def __init__(self, session_s: float) -> None:
        self._session_s = session_s
        self._process: subprocess.Popen[str] | None = None
        self.base_url = ""

    async def start(self) -> None:
        port = self.base_url.removesuffix("/v1").rpartition(":")[2] or "0"
        self._process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", SERVER, port, str(self._session_s)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self._process.stdout is not None
        self.base_url = (await asyncio.to_thread(self._process.stdout.readline)).strip()
        assert self.base_url, "the server does not start"

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.communicate)


@asynccontextmanager
async def serving(session_s: float = 3600.0) -> AsyncIterator[Server]:
    server = Server(session_s)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_a_server_that_is_stopped_for_eight_seconds_keeps_its_call(transport: str) -> None:
    async with serving() as server, conversation(server.base_url, transport=transport) as talk:
        assert await talk.ask("one") == "You said one"
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(8)
        server.signal(signal.SIGCONT)
        assert await talk.ask("two") == "You said two"
        assert not talk.of("realtime.disconnected")


async def test_a_server_that_freezes_and_one_that_is_killed_and_comes_back() -> None:
    async with (
        serving() as server,
        conversation(server.base_url, dead_after_s=2.4) as talk,
    ):
        assert await talk.ask("one") == "You said one"
        item_id = talk.of("transcript.user")[0]["item_id"]

        server.signal(signal.SIGSTOP)
        frozen_at = asyncio.get_running_loop().time()
        lost = await talk.heard("realtime.disconnected")
        assert lost["reason"].startswith("nothing has come from the server for")
        assert asyncio.get_running_loop().time() - frozen_at < 6
        await asyncio.sleep(frozen_at + 5 - asyncio.get_running_loop().time())
        server.signal(signal.SIGCONT)
        again = await talk.heard("realtime.connected", 2)
        assert again["outage_s"] > 1
        assert again["unsent_ms"] > 500
        assert await talk.remembered(item_id)
        assert await talk.ask("two") == "You said two"

        await server.kill()
        await server.start()
        await talk.heard("realtime.connected", 3)
        assert await talk.remembered(item_id)
        assert await talk.ask("three") == "You said three"
        assert len(talk.of("transcript.user")) == 3, "nothing of it is told twice"


async def test_a_session_that_expires_in_mid_sentence_is_followed_by_another() -> None:
    async with (
        serving(session_s=3.0) as server,
        conversation(server.base_url, roll_over=False) as talk,
    ):
        talk.stage.text("Tell me a story")
        lost = await talk.heard("realtime.disconnected")
        assert "expired" in lost["reason"]
        cut = await talk.heard("transcript.assistant")
        assert cut["interrupted"]
        await talk.heard("realtime.connected", 2)
        assert await talk.remembered(talk.of("transcript.user")[0]["item_id"])
        assert await talk.remembered(cut["item_id"])


async def test_sessions_that_last_seconds_lose_no_turn() -> None:
    async with serving(session_s=8.0) as server, conversation(server.base_url) as talk:
        turns = after = 0
        while after < 2:
            turns += 1
            assert await talk.ask(f"number {turns}") == f"You said number {turns}"
            after += bool(talk.of("realtime.rolled_over"))
        (rolled,) = talk.of("realtime.rolled_over")
        assert not rolled["forced"]
        assert rolled["items"] >= 2 * (turns - 3)
        assert await talk.remembered(talk.of("transcript.user")[0]["item_id"])
        assert not talk.of("realtime.disconnected")
        assert [said["text"] for said in talk.of("transcript.user")] == [
            f"number {n + 1}" for n in range(turns)
        ]
