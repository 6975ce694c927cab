"""The private socket: a pipeline in another process is found, looked at and steered."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import rtpipe
from rtpipe import EnvironmentProblem, StageError
from rtpipe_control import sockets, surface
from rtpipe_control.client import Client
from rtpipe_control.options import Wanted

TONE = """
version: 1
name: a kiosk/of ours
stages:
  - tone: {level_dbfs: -20, realtime: true}
  - gain: 0
  - blackhole
"""


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setattr(sockets, "_SYSTEM", Path(folder) / "rtpipe")  # what runs here as root
        yield


async def test_a_run_is_found_looked_at_and_steered() -> None:
    folder = os.environ["XDG_RUNTIME_DIR"]  # others may run as root
    pipeline = rtpipe.loads(TONE)
    async with surface.opened(pipeline, Wanted(None)), pipeline:
        (path,) = (each for each in sockets.found() if each.parent.parent == Path(folder))
        assert path.name == "a-kiosk-of-ours.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        client = Client.of("a kiosk/of ours")
        shown = await asyncio.to_thread(client.snapshot)
        assert [stage["id"] for stage in shown["stages"]] == ["tone", "gain", "blackhole"]
        assert shown["state"] == "running"
        assert await asyncio.to_thread(client.act, "gain", "set", [-6], {}) == {
            "result": None,
            "event": None,
            "outcome": [],
        }
        assert pipeline["gain"]._gain_db == -6
        for stage, action, args in (
            ("gone", "set", []),
            ("gain", "gone", []),
            ("gain", "set", ["x"]),
        ):
            with pytest.raises(StageError):
                await asyncio.to_thread(client.act, stage, action, args, {})
    assert not path.exists()
    assert path not in sockets.found()
    with pytest.raises(EnvironmentProblem, match="no pipeline `gone` runs here"):
        Client.of("gone")
