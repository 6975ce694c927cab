"""Stages that restart while they are steered, and the surface's own end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import rtpipe
from helpers.surface import LINE, alive, running, until
from rtpipe_control import surface
from rtpipe_control.view import listening


class Broken(rtpipe.Transform[rtpipe.Options]):
    """Fails on its fifth frame, is opened again slowly, and has an action."""

    kind = "broken"

    async def open(self) -> None:
        self._frames = 0

    def process(self, frame: rtpipe.AudioFrame) -> rtpipe.AudioFrame:
        self._frames += 1
        if self._frames == 5:
            raise RuntimeError("no more")
        return frame

    @rtpipe.action
    def poke(self, how: str = "softly") -> dict[Any, Any]:
        """Poke it."""
        if how == "to death":
            raise SystemExit(3)
        return {("a", 1): float("nan"), "self": {1, 2}, "bytes": b"\xff", "deep": _deep(100)}


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else []


class BrokenPlugin:
    @rtpipe.hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Broken]


BREAKING = """
version: 1
name: hall
stages:
  - tone: {realtime: true}
  - broken:
    on_error: {restart: {tries: 100, within_s: 1, backoff_s: [30, 30]}}
  - blackhole
"""


async def test_an_action_and_a_tap_while_a_stage_restarts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "_PATIENCE_S", 0.05)
    async with running(BREAKING, plugins=[BrokenPlugin()]) as here:
        first = await here.call("POST", "/api/stages/broken/poke", body={})
        told = first.json()
        assert told["result"]["('a', 1)"] is None
        assert told["result"]["bytes"] == "b'\\xff'"
        answer = await here.call("POST", "/api/stages/broken/poke", body={"how": "to death"})
        assert answer.status in {409, 500}
        await until(lambda: here.pipeline.state()[1].status.value == "recovering")
        answer = await here.call("POST", "/api/stages/broken/poke", body={})
        assert answer.status == 409
        assert answer.json()["error"] == "broken is recovering"
        reader, writer = await here.connect()
        writer.write(b"GET /api/stages/broken/listen HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"RIFF"), 5)
        writer.close()


async def test_a_stop_from_outside_ends_all_streams_in_order() -> None:
    async with running(LINE) as here:
        told: list[str] = []
        here.pipeline.bus.subscribe("*", lambda event: told.append(event.type))
        streams = []
        for path in ("/api/events?state=1", "/api/stages/gain/listen", "/api/events?match=none"):
            reader, writer = await here.connect(tcp=True)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            streams.append((reader, writer))
        (opened,) = (each for each in alive(surface._Surface) if each._pipeline is here.pipeline)
        await until(lambda: opened._feed.readers == 2 and opened._taps.listeners == 1)
        answer = await here.call("POST", "/api/stop", body={}, tcp=True)
        assert answer.json() == {"result": "stopping", "event": None}
        assert opened._view.state in {"stopping", "ended"}
        ready = await here.call("GET", "/readyz")
        assert (ready.status, ready.body) in {(503, b"stopping\n"), (503, b"ended\n")}
        assert (await here.call("GET", "/healthz")).status == 200
        await here.call("POST", "/api/stop", body={})  # changes nothing
        assert told.count("pipeline.stopping") == 1
        assert told.index("control.used") < told.index("pipeline.stopping")
    ends = [await asyncio.wait_for(reader.read(), 5) for reader, _ in streams]
    assert b'event: end\ndata: {"state":"ended"}' in ends[0]
    assert b'event: end\ndata: {"state":"ended"}' in ends[2]
    for data in ends:
        assert data.endswith(b"0\r\n\r\n"), "the answer is whole"
    for _, writer in streams:
        writer.close()
