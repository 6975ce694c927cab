"""A server that speaks the toy's protocol, over a real WebSocket on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web

from plugins.peers.realtime.dialects.toy.dialect import RATE

ANSWER = "On the left."
ANSWER_S = 0.6
_SILENT_S = 0.1


class ToyServer:
    """Answers each line of the visitor's with the same words, said in a tone of `answer_s`."""

    def __init__(self) -> None:
        self.base_url = ""
        self.tickets: list[str] = []
        self.commands: list[list[dict[str, Any]]] = []
        """What each call has said, beside its audio."""
        self.answer_s = ANSWER_S
        self.socket: web.WebSocketResponse | None = None
        self._runner: Any = None
        self._spoken = 0
        self._news = asyncio.Event()
        self._voiced = 0
        self._silent = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/stage-door", self._enter)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def close(self) -> None:
        await self.drop_call()
        await self._runner.cleanup()

    async def drop_call(self) -> None:
        if self.socket is not None:
            await self.socket.close(code=1001)

    async def told(self, what: str, call: int = -1) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while not (found := [c for c in self.commands[call] if c["toy"] == what]):
                self._news.clear()
                await self._news.wait()
        return found[0]

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        self.tickets.append(request.headers["X-Toy-Ticket"])
        self.socket = socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.commands.append([])
        await socket.send_json({"toy": "welcome"})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._take(json.loads(message.data))
        return socket

    async def _take(self, command: dict[str, Any]) -> None:
        match command["toy"]:
            case "mic":
                await self._listen(np.frombuffer(bytes.fromhex(command["pcm"]), np.int16))
                return
            case "ask":
                await self._heard(command["words"])
            case "go_on":
                await self._speak()
        self.commands[-1].append(command)
        self._news.set()

    async def _listen(self, pcm: np.ndarray) -> None:
        """Take a line for finished when it is followed by silence."""
        loud = np.abs(pcm.astype(np.int32)).max() > 500
        self._voiced += len(pcm) if loud else 0
        self._silent = 0 if loud else self._silent + len(pcm)
        if self._voiced and self._silent >= _SILENT_S * RATE:
            seconds, self._voiced = self._voiced / RATE, 0
            await self._heard(f"a sound of {seconds:.1f} s")

    async def _heard(self, words: str) -> None:
        await self._send("heard", f"visitor {self._spoken}", words=words)
        await self._speak()

    async def _speak(self) -> None:
        t = np.arange(round(self.answer_s * RATE)) / RATE
        tone = np.rint(np.sin(2 * np.pi * 440 * t) * 8000).astype(np.int16)
        self._spoken += 1
        line = f"model {self._spoken}"
        for pcm in np.array_split(tone, 3):
            await self._send("voice", line, pcm=pcm.tobytes().hex())
        await self._send("spoken", line, words=ANSWER)

    async def _send(self, what: str, line: str, **fields: str) -> None:
        assert self.socket is not None
        await self.socket.send_json({"toy": what, "line": line, **fields})
