"""A real Mosquitto that a test starts, stops and starts again."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import aiomqtt
import pytest

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"  # where Debian has it, and no user looks


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def found(command: str) -> str:
    """Return where one of Mosquitto's commands is; skip, or on CI fail, where there is none."""
    path = shutil.which(command, path=_PATH)
    if path is None:
        missing = f"no {command}: apt-get install mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return path


class Broker:
    """One broker on one port; what a listener has not fetched yet survives its restart.

    Args:
        folder: Its own, for configuration and state.
        *settings: Lines of `mosquitto.conf`; without any it lets everybody in.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self._command = found("mosquitto")
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._configuration = folder / "mosquitto.conf"
        lines = (
            "user root",
            f"listener {self.port} 127.0.0.1",
            "persistence true",
            f"persistence_location {folder}/",
            "max_queued_messages 0",
            *(settings or ("allow_anonymous true",)),
        )
        self._configuration.write_text("\n".join(lines), encoding="utf-8")

    async def start(self) -> None:
        """Start it; returns when it answers."""
        self._process = await asyncio.create_subprocess_exec(
            *(self._command, "-c", self._configuration),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            while not self._answers():
                assert self._process.returncode is None, "mosquitto ended by itself"
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it; it writes its state first."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            await process.wait()

    def pause(self) -> None:
        """Let it hang: its connections stay, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def listener(self) -> aiomqtt.Client:
        """Return a client for whom the broker keeps what comes while it is not connected."""
        return aiomqtt.Client("127.0.0.1", self.port, identifier="listener", clean_session=False)

    async def subscribe(self, topic: str = "#") -> None:
        """Let the listener's messages be kept from now on."""
        async with self.listener() as client:
            await client.subscribe(topic, qos=1)

    async def fetch(self, last: str) -> list[aiomqtt.Message]:
        """Return what was kept for the listener, to the message that contains `last`."""
        messages = []
        async with asyncio.timeout(20), self.listener() as client:
            async for message in client.messages:
                messages.append(message)
                if last in str(message.payload):
                    break
        return messages
