"""A surface without a pipeline: it serves the page, and tells it what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from rtpipe_control.http.pages import Pages

STARTED = "2026-12-01T10:00:00+00:00"


class Staged:
    """What the page talks to.

    Attributes:
        posts: The actions asked for: (stage, action, body).
        answers: What an action is answered: status and JSON; otherwise that it was done.
        here: False: the surface is away, and every call fails.
    """

    def __init__(self, snapshot: dict[str, Any]) -> None:
        self.snapshot = snapshot
        self.url = ""
        self.posts: list[tuple[str, str, Any]] = []
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.here = True
        self.posted = asyncio.Event()
        self._readers: set[asyncio.Queue[bytes | None]] = set()

    async def tell(self, name: str, data: dict[str, Any], number: int | None = None) -> None:
        """Send a message to every page that reads."""
        for reader in self._readers:
            reader.put_nowait(_piece(name, data, number))

    async def event(self, type: str, source: str, at: float, **payload: Any) -> None:
        """Send an event; the snapshot's number counts it."""
        self.snapshot["number"] += 1
        told = event(type, source, at, **payload)
        await self.tell("event", told, self.snapshot["number"])

    def leave(self) -> None:
        """Be away: end the streams, and refuse new ones."""
        self.here = False
        for reader in self._readers:
            reader.put_nowait(None)

    async def _pipeline(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(self.snapshot, status=200 if self.here else 503)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not self.here:
            raise web.HTTPServiceUnavailable
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        reader: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._readers.add(reader)
        try:
            await response.write(_piece("snapshot", self.snapshot))
            while (piece := await reader.get()) is not None:
                await response.write(piece)
        except ConnectionError:
            pass
        finally:
            self._readers.discard(reader)
        return response

    async def _act(self, request: web.Request) -> web.StreamResponse:
        if not self.here:
            raise web.HTTPServiceUnavailable
        stage, action = request.match_info["stage"], request.match_info["action"]
        self.posts.append((stage, action, await request.json()))
        self.posted.set()
        status, answer = self.answers.get(
            f"{stage}.{action}", (200, {"result": None, "event": None})
        )
        return web.json_response(answer, status=status)


@asynccontextmanager
async def staged(snapshot: dict[str, Any]) -> AsyncIterator[Staged]:
    """Serve the page and a surface that shows `snapshot`."""
    surface = Staged(snapshot)
    app = web.Application()
    app.add_routes(
        [
            *Pages().routes(),
            web.get("/api/pipeline", surface._pipeline),
            web.get("/api/events", surface._events),
            web.post("/api/stages/{stage}/{action}", surface._act),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    surface.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield surface
    finally:
        surface.leave()
        await runner.cleanup()


def _piece(name: str, data: dict[str, Any], number: int | None = None) -> bytes:
    id = "" if number is None else f"id: {number}\n"
    return f"event: {name}\n{id}data: {json.dumps(data)}\n\n".encode()


def event(type: str, source: str, at: float, **payload: Any) -> dict[str, Any]:
    """Return an event as the surface tells it."""
    line = payload.pop("line", type)
    importance = payload.pop("importance", "info")
    envelope = {"type": type, "source": source, "at": at}
    return {**payload, **envelope, "line": line, "importance": importance, "speaker": ""}


def stage(
    id: str, family: str, inputs: list[str], actions: str = "", **more: Any
) -> dict[str, Any]:
    """Return a stage of a snapshot; `actions`: their names, blanks between them."""
    offered = [
        {"name": name, "summary": "", "arguments": [], "why_not": ""} for name in actions.split()
    ]
    known = {
        "id": id, "kind": id, "family": family, "summary": "", "inputs": inputs, "options": {},
        "wanted": None, "status": "ok", "detail": "", "opening": False, "ended": False,
        "gauge": "", "lost_frames": 0, "why_not": {}, "actions": offered,
    }  # fmt: skip
    return {**known, **more}


def link(from_: str, to: str, *, max_ms: float = 0, inlet: int = 0, **more: Any) -> dict[str, Any]:
    """Return a link of a snapshot; one with `max_ms` has a queue."""
    shown = {"from": from_, "to": to, "inlet": inlet, "queued": bool(max_ms), "converts": ""}
    counts = {
        "max_ms": max_ms, "depth_ms": 0.0, "max_depth_ms": 20.0, "frames_in": 900,
        "frames_out": 900, "dropped_ms": 0.0, "trimmed_ms": 0.0, "flushed_ms": 0.0,
        "refused_ms": 0.0,
    }  # fmt: skip
    return {**shown, **(counts if max_ms else {}), **more}


def condition(text: str, why: str = "", tone: str = "", sign: str = "mic", **more: Any) -> Any:
    """Return a condition."""
    return {"text": text, "why": why, "tone": tone, "sign": sign, "since": 0, "alerts": [], **more}


def snapshot(stages: list[Any], links: list[Any], **more: Any) -> dict[str, Any]:
    """Return a snapshot of a running pipeline in which nothing has happened."""
    recent = {"events": [], "conversation": [], "warnings": [], "last": [], "levels": []}
    known = {
        "name": "kiosk", "run": "kiosk", "pid": 1, "version": "0.1.0", "file": "kiosk.yaml",
        "description": "", "started_at": STARTED, "state": "running", "now": 21.4, "number": 0,
        "condition": condition("Ready. Nobody has spoken yet.", "The microphone is open."),
        "stages": stages, "links": links, "recent": recent,
    }  # fmt: skip
    return {**known, **more}


def kiosk(**more: Any) -> dict[str, Any]:
    """Return a kiosk with a microphone, a loudspeaker and everything that can be done to them."""
    stages = [
        stage("mic", "source", [], "mute unmute devices use flush", options={"device": "default"},
              why_not={"unmute": "it is not muted"}),
        stage("gain", "transform", ["mic"], "set mute unmute", options={"gain_db": 3.0}),
        stage("vad", "transform", ["gain"], "reset", options={"engine": "webrtc"}),
        stage("mute_gate", "transform", ["vad"], "close open talk release toggle",
              options={"mode": "half_duplex"},
              why_not={"open": "mode half_duplex decides already",
                       "talk": "it is not in mode push_to_talk",
                       "release": "it is not in mode push_to_talk"}),
        stage("realtime", "peer", ["mute_gate"], "press release cancel say text",
              options={"model": "gpt-realtime-2.1",
                       "turn_detection": {"silence_duration_ms": 500}}),
        stage("speaker", "sink", ["realtime"], "volume mute unmute use devices",
              options={"device": "default", "volume": 1.0}),
        stage("recorder", "sink", ["mute_gate", "realtime"], "start stop split pause resume",
              gauge="● 18.3 s  2 tracks"),
    ]  # fmt: skip
    links = [
        link("mic", "gain"),
        link("gain", "vad"),
        link("vad", "mute_gate"),
        link("mute_gate", "realtime", max_ms=200, converts="20 ms frames"),
        link("mute_gate", "recorder", max_ms=10_000),
        link("realtime", "speaker", max_ms=200),
        link("realtime", "recorder", max_ms=10_000, inlet=1),
    ]
    return snapshot(stages, links, **more)


ALERT = {
    "id": "device mic", "stage": "mic", "since": 7.0,
    "text": 'The microphone "USB PnP Sound Device" is gone.',
    "goes_on": "Everything else goes on: in its place there is silence.",
    "steps": ["Plug it in again: it is taken back by itself.", "Or take another one."],
    "choice": {"action": "mic.use", "values": ["HDA Intel: ALC257 Analog", "default"]},
}  # fmt: skip


def fault() -> dict[str, Any]:
    """Return a kiosk whose microphone was pulled out 14 s ago."""
    lost = condition("Nobody can be heard.", "The microphone is gone; rtpipe waits for it.",
                     "fault", "lost", alerts=[ALERT])  # fmt: skip
    shown = kiosk(condition=lost)
    gone = event("device.lost", "mic", 7.0, device="USB PnP Sound Device", reason="is gone",
                 line="USB PnP Sound Device: unplugged", importance="warning")  # fmt: skip
    shown["recent"] |= {"events": [gone], "last": [gone]}
    return shown
