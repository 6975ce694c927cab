"""Hugging Face's speech-to-speech: a server that nobody here wrote, run beside the test."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from peers.judges.environments import HERE, environment

_STARTS_WITHIN_S = 120.0
_RELEASED_WITHIN_S = 10.0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class SpeechToSpeech:
    """The server; it has one session to give, so one that is not given back is missed at once."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self.log = log
        self._process = process

    async def up(self) -> None:
        """Wait until it takes calls."""
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while self._process.returncode is None:
                try:
                    await self.pool()
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.2)
                else:
                    return
        raise AssertionError(f"it ended:\n{self.log.read_text()[-3000:]}")

    async def warm_up(self) -> None:
        """Have it answer once: at its first answer it loads a detector of languages, and all of it
        stands still meanwhile, for 3 s where nothing else runs and for 11 s where much does."""
        content = [{"type": "input_text", "text": "Hello"}]
        item = {"type": "message", "role": "user", "content": content}
        async with (
            asyncio.timeout(_STARTS_WITHIN_S),
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{self.base_url}/realtime") as socket,
        ):
            await socket.send_json({"type": "conversation.item.create", "item": item})
            await socket.send_json({"type": "response.create"})
            while (await socket.receive_json())["type"] != "response.done":
                pass

    async def pool(self) -> dict[str, Any]:
        """Return what it says of its sessions."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.base_url}/pool") as response,
        ):
            said: dict[str, Any] = await response.json()
            return said

    async def released(self) -> None:
        """Wait until no session is held; it drains what it works on first."""
        async with asyncio.timeout(_RELEASED_WITHIN_S):
            while (await self.pool())["in_use"]:  # noqa: ASYNC110 - it can only be asked
                await asyncio.sleep(0.1)

    async def stand_still(self, seconds: float) -> None:
        """Stop it where it stands for so long, as a machine too small for it would."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def services() -> AsyncIterator[str]:
    """Run its ears, brain and voice; gives their base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        HERE / "services.py",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S):
            base_url = (await process.stdout.readline()).decode().strip()
        yield base_url
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def speech_to_speech(folder: Path) -> AsyncIterator[SpeechToSpeech]:
    """Run it; its log is written into `folder`."""
    program = environment("speech-to-speech") / "speech-to-speech"
    port, log = free_port(), folder / "speech-to-speech.log"
    async with services() as base_url:
        command = [
            program, "serve", "--port", port, "--no_smart_turn", "--model_name", "desk",
            "--stt", "openai", "--openai_stt_base_url", base_url,
            "--llm_backend", "chat-completions", "--responses_api_base_url", base_url,
            "--responses_api_api_key", "unused",
            "--tts", "openai", "--openai_tts_base_url", base_url,
        ]  # fmt: skip
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(HERE / "stand_ins"),
            "HF_HUB_OFFLINE": "1",
            "OPENAI_API_KEY": "unused",
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *map(str, command), cwd=folder, env=environ, stdout=output, stderr=output
            )
        try:
            server = SpeechToSpeech(process, port, log)
            await server.up()
            await server.warm_up()
            await server.released()
            yield server
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()
