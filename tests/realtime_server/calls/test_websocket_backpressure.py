"""A client on a WebSocket that does not read: it is not listened to, and is sent away at last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from realtime_server.calls.listener import TIMEOUT_S
from rtpipe_realtime_server.calls import websocket
from rtpipe_realtime_server.calls.websocket import Socket


class DeafClient:
    """A connection whose client asks again and again and takes no answer."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.asked = 0
        self.cut_off = False
        self.taken = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._ask()

    async def _ask(self) -> AsyncIterator[Any]:
        while self.asked < self.messages:
            self.asked += 1
            yield SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data="{}")

    async def send_frame(self, _message: bytes, _kind: object) -> None:
        await self.taken.wait()

    async def close(self, **_how: object) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        self.cut_off = name == "socket"


def socket_of(client: DeafClient, driver: Any, most_waiting: int = 10**6) -> Socket:
    return Socket(client, driver, most_waiting=most_waiting)  # type: ignore[arg-type]


class Echo:
    """Answers every message with an event, and takes a tick for one."""

    def __init__(self) -> None:
        self.protocol = SimpleNamespace(receive=self._answer, tick=lambda: None)
        self.lines: list[Any] = []
        self.steps = 0
        self.ticked_thrice = asyncio.Event()
        self.busy = asyncio.Event()

    def attach(self, line: Any) -> None:
        self.lines.append(line)

    def detach(self, line: Any) -> None:
        if line in self.lines:
            self.lines.remove(line)

    def run(self, step: Any) -> None:
        self.steps += 1
        if self.steps == 3:
            self.ticked_thrice.set()
        step()

    def receive(self, message: str) -> None:
        self.run(lambda: self.protocol.receive(message))

    def _answer(self, _message: str) -> None:
        for line in self.lines:
            line.send({"type": "echo"})


async def turns_of_the_loop(count: int = 500) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_does_not_read_is_not_listened_to_meanwhile() -> None:
    client, driver = DeafClient(1000), Echo()
    talk = asyncio.create_task(socket_of(client, driver).talk())
    await turns_of_the_loop()
    assert 0 < client.asked < 50
    client.taken.set()
    await asyncio.wait_for(talk, TIMEOUT_S)
    assert client.asked == 1000
    assert driver.lines == []


async def test_who_never_reads_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_PATIENCE_S", 0.01)
    client, driver = DeafClient(1000), Echo()
    await asyncio.wait_for(socket_of(client, driver).talk(), TIMEOUT_S)
    assert client.cut_off


async def test_who_leaves_too_much_unread_is_sent_away() -> None:
    client, driver = DeafClient(10), Echo()
    connection = socket_of(client, driver, most_waiting=100)
    talk = asyncio.create_task(connection.talk())
    await turns_of_the_loop(5)
    for _ in range(4):
        connection.send({"type": "echo"})
    assert not client.cut_off or client.asked
    connection.send_raw("x" * 100)
    assert client.cut_off
    client.taken.set()
    await asyncio.wait_for(talk, TIMEOUT_S)


async def test_who_never_reads_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_FLUSH_S", 0.01)
    client, driver = DeafClient(3), Echo()
    await asyncio.wait_for(socket_of(client, driver).talk(), TIMEOUT_S)
    await turns_of_the_loop(3)
    assert driver.lines == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_time_passes_only_while_something_is_answered_or_played() -> None:
    driver = Echo()
    clock = asyncio.create_task(websocket._let_time_pass(driver))  # type: ignore[arg-type]
    await turns_of_the_loop()
    assert driver.steps == 0
    driver.busy.set()
    await asyncio.wait_for(driver.ticked_thrice.wait(), TIMEOUT_S)
    clock.cancel()
    await asyncio.gather(clock, return_exceptions=True)
