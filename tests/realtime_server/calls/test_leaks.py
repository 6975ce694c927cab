"""What a connection leaves behind: next to nothing, and a large session gives its memory back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from realtime_server.bench import user_text
from realtime_server.caller import Caller

SERVER = """
import asyncio, gc, sys, tracemalloc
sys.path.insert(0, {tests!r})
from realtime_server.fake_brain import FakeBrain
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.server import RealtimeServer

async def main():
    server = RealtimeServer(FakeBrain(), limits=Limits(session_mb=16))
    await server.start()
    print(server.base_url, flush=True)
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "trace":
            tracemalloc.start()
        for _ in range(3):
            gc.collect()
        print(tracemalloc.get_traced_memory()[0], len(asyncio.all_tasks()), flush=True)
    await server.close()

asyncio.run(main())
"""
CYCLES = 200
MOST_BYTES = 1000
BY_HAND = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
HEADERS = {"Authorization": "Bearer sk-test"}


@dataclass
class Process:
    process: asyncio.subprocess.Process
    base_url: str

    async def ask(self, what: str) -> tuple[int, int]:
        """Return the bytes that Python holds and the number of tasks."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n".encode())
        held, tasks = (await self.process.stdout.readline()).split()
        return int(held), int(tasks)

    def file_descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000


@pytest.fixture
async def server() -> AsyncIterator[Process]:
    code = SERVER.format(tests=str(Path(__file__).parents[2]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Process(process, (await process.stdout.readline()).decode().strip())
    finally:
        process.kill()
        await process.communicate()


async def cycle(server: Process, way: str) -> None:
    if way == "webrtc":
        async with Caller(server.base_url) as caller:
            await caller.call()
            await caller.until("session.created")
            assert await caller.hang_up() == 200
        return
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.ws_connect(f"{server.base_url}/realtime?model=gpt-realtime") as ws,
    ):
        assert (await ws.receive_json())["type"] == "session.created"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["websocket", "webrtc"])
async def test_a_connection_leaves_nothing_behind(server: Process, way: str) -> None:
    await cycle(server, way)
    await server.ask("trace")
    for _ in range(CYCLES // 4):
        await cycle(server, way)  # what libraries remember of their last calls fills up
    before, tasks = await server.ask("count")
    fds = server.file_descriptors()
    for _ in range(CYCLES):
        await cycle(server, way)
    for _ in range(100):  # the last connections are still being let go of on a busy machine
        after, tasks_after = await server.ask("count")
        if tasks_after <= tasks + 2:
            break
        await asyncio.sleep(0.05)
    assert (after - before) / CYCLES <= MOST_BYTES
    assert tasks_after <= tasks + 2
    assert server.file_descriptors() <= fds + 2


@pytest.mark.slow
async def test_a_session_takes_so_much_and_gives_it_back(server: Process) -> None:
    await cycle(server, "websocket")
    before = server.resident_mb()
    item = {"type": "conversation.item.create", "item": user_text("x" * 1_000_000)}
    message = json.dumps(item)
    minute = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 1_000_000})
    for _ in range(3):
        async with (
            aiohttp.ClientSession(headers=HEADERS) as http,
            http.ws_connect(f"{server.base_url}/realtime?model=gpt-realtime", max_msg_size=0) as ws,
        ):
            await ws.receive_json()
            await ws.send_json({"type": "session.update", "session": BY_HAND})
            for _ in range(8):  # a minute each; five are kept
                await ws.send_str(minute)
            assert (await ws.receive_json())["type"] == "session.updated"
            added = 0
            for _ in range(60):
                await ws.send_str(message)
                event = await ws.receive_json()
                if event["type"] == "error":
                    assert event["error"]["code"] == "conversation_limit_reached"
                else:
                    added += 1
                    assert (await ws.receive_json())["type"] == "conversation.item.done"
    assert added == 7, "texts and words: two copies of a million letters each"
    async with asyncio.timeout(20):  # it goes back in a thread, after the client was let go
        while server.resident_mb() - before >= 15:
            await cycle(server, "websocket")
