"""A running pipeline with its control surface, and callers that speak to it as strangers do."""

from __future__ import annotations

import asyncio
import gc
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import rtpipe
from rtpipe import Pipeline
from rtpipe_control import sockets, surface
from rtpipe_control.options import Wanted
from rtpipe_control.section import ControlOptions

LINE = "version: 1\nname: hall\nstages: [tone: {realtime: true}, gain: 0, blackhole]\n"
JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Opened:
    """A running pipeline, and where it can be called."""

    pipeline: Pipeline
    path: Path
    port: int

    async def connect(
        self, *, tcp: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if tcp:
            return await asyncio.open_connection("127.0.0.1", self.port)
        return await asyncio.open_unix_connection(self.path)

    async def call(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        body: Any = None,
        *,
        tcp: bool = False,
    ) -> Answer:
        """Send one request; a body that is no bytes goes as JSON."""
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        sent = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"}
        if body is not None:
            sent |= JSON | {"Content-Length": str(len(data))}
        sent |= headers or {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {sent[name]}" for name in sent)]
        reader, writer = await self.connect(tcp=tcp)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + data)
            return parsed(await asyncio.wait_for(reader.read(), 20))
        finally:
            writer.close()

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, {k.replace("_", "-"): v for k, v in headers.items()})


def parsed(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    pairs = (field.partition(": ") for field in fields)
    headers = {name.title(): value for name, _, value in pairs}
    return Answer(int(first.split()[1]) if first else 0, headers, body)


@asynccontextmanager
async def running(
    text: str,
    *,
    page: bool = True,
    typed: bool = False,
    plugins: Sequence[object] = (),
    **options: Any,
) -> AsyncIterator[Opened]:
    """Run a pipeline with its surface; `options` are those of `control:`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict("os.environ", {"XDG_RUNTIME_DIR": folder}),
    ):
        pipeline = rtpipe.loads(text, plugins=plugins)
        wanted = ControlOptions.model_validate({"listen": "127.0.0.1:0", **options})
        asked = Wanted(wanted if page else None, at_a_terminal=typed)
        opened: list[Any] = []
        pipeline.bus.subscribe("control.opened*", opened.append)
        async with surface.opened(pipeline, asked), pipeline:
            port = int(opened[0].url.rstrip("/").rpartition(":")[2]) if page else 0
            paths = await asyncio.to_thread(sockets.found)  # root sees those of /run, too
            (path,) = (each for each in paths if each.is_relative_to(folder))
            yield Opened(pipeline, path, port)


def lost_ms(here: Opened) -> float:
    links = [link.statistics for link in here.pipeline.links() if link.statistics is not None]
    assert links
    return sum(each.dropped_ms + each.trimmed_ms + each.refused_ms for each in links)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came")


async def raw(here: Opened, data: bytes, *, tcp: bool = False) -> bytes:
    reader, writer = await here.connect(tcp=tcp)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def alive(kind: type) -> list[Any]:
    """Return the objects of exactly this class that there are."""
    return [each for each in gc.get_objects() if type(each) is kind]
