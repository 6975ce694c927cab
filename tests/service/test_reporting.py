"""What a run tells the service manager, on a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import rtpipe
from helpers.command import running
from helpers.service_manager import Manager
from rtpipe_service import notify, reporting

TONE = "version: 1\nstages: [{tone: {realtime: true}}, gain, blackhole]\n"
FROZEN = """
import time
from rtpipe import Options, Transform, hookimpl

class Freeze(Transform[Options]):
    "Holds the event loop for good."
    kind = "freeze"
    def process(self, frame):
        if frame.time > 0.5:
            time.sleep(600)
        return [frame]

@hookimpl
def rtpipe_stages():
    return [Freeze]
"""


@pytest.mark.parametrize("address", ["path", "abstract"])
async def test_ready_alive_and_stopping(
    address: str,
    manager: Manager,
    new_manager: Callable[[str], Manager],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if address == "abstract":
        manager = new_manager(f"@rtpipe-test-{os.getpid()}")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", "90000")
    pipeline = rtpipe.loads(TONE)

    async def told(key: str, value: str = "") -> dict[str, str]:
        return await asyncio.to_thread(manager.wait_for, key, value)

    async with reporting.reported(pipeline), pipeline:
        assert await told("READY") == {"READY": "1", "STATUS": "running"}
        extended = [each for each in manager.told if "EXTEND_TIMEOUT_USEC" in each]
        assert extended[0] == {"EXTEND_TIMEOUT_USEC": "30000000"}
        assert await told("WATCHDOG") == {"WATCHDOG": "1"}
        await told("WATCHDOG")
        pipeline.stop("SIGTERM")
        stopping = await told("STOPPING")
        assert stopping == {"STOPPING": "1", "STATUS": "stopping: SIGTERM"}
    assert sum("READY" in each for each in manager.told) == 1


async def test_secrets_are_masked(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    pipeline = rtpipe.loads(f"vars: {{a_token: sesame-sesame}}\n{TONE}")
    async with reporting.reported(pipeline), pipeline:
        pipeline.stop("sesame-sesame is over")
        told = await asyncio.to_thread(manager.wait_for, "STOPPING")
    assert told["STATUS"] == "stopping: *** is over"


async def test_a_reload_is_told_with_its_moment(
    manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    file = tmp_path / "tone.yaml"
    file.write_text(TONE)
    pipeline = rtpipe.load(file)
    async with reporting.reported(pipeline), pipeline:
        await asyncio.to_thread(manager.wait_for, "READY")
        await pipeline.reload()
        reloading = await asyncio.to_thread(manager.wait_for, "RELOADING")
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert await asyncio.to_thread(manager.wait_for, "READY") == {
            "READY": "1",
            "STATUS": "running",
        }


async def test_several_pipelines_are_ready_when_each_is(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    first, second = rtpipe.loads(TONE), rtpipe.loads(TONE)
    async with reporting.reported(first), reporting.reported(second), first:
        assert await asyncio.to_thread(manager.is_quiet_for, "READY", 0.2)
        async with second:
            await asyncio.to_thread(manager.wait_for, "READY")


@pytest.mark.slow
def test_what_a_stage_lacks_is_the_status_without_its_secrets(
    manager: Manager, tmp_path: Path
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/sad.py").write_text(
        "from rtpipe import NotConnected, Options, Transform, hookimpl\n"
        "class SadOptions(Options):\n    'What it has.'\n    token: str\n    'Its token.'\n"
        "class Sad(Transform[SadOptions]):\n    'Fails.'\n    kind = 'sad'\n"
        "    def process(self, frame):\n"
        "        raise NotConnected(f'no way with {self.options.token}')\n"
        "@hookimpl\ndef rtpipe_stages():\n    return [Sad]\n"
    )
    (tmp_path / "sad.yaml").write_text(
        "version: 1\nstages:\n  - tone: {realtime: true}\n"
        "  - sad: {token: sesame-sesame}\n"
        "    on_error: {restart: {backoff_s: [60, 60]}}\n  - blackhole\n"
    )
    with running("run", "sad.yaml", cwd=tmp_path, env=manager.environment()):
        told = manager.wait_for("STATUS", "sad is")
    assert told["STATUS"] == "running; sad is recovering: no way with ***"


@pytest.mark.slow
def test_a_frozen_loop_gives_no_sign_of_life(manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/freeze.py").write_text(FROZEN)
    (tmp_path / "frozen.yaml").write_text(
        "version: 1\nstages: [{tone: {realtime: true}}, freeze, blackhole]\n"
    )
    env = manager.environment(WATCHDOG_USEC="600000")
    with running("run", "frozen.yaml", cwd=tmp_path, env=env) as run:
        manager.wait_for("READY")
        manager.wait_for("WATCHDOG")
        assert any(manager.is_quiet_for("WATCHDOG", 2) for _ in range(50))  # once it is held
        assert run.process.poll() is None
        run.signal(signal.SIGABRT)  # what the manager does then
        assert run.wait() == -signal.SIGABRT
        assert any("time.sleep" in line or "freeze.py" in line for line in run.lines)


@pytest.mark.slow
def test_no_notify_and_a_program_tell_nothing(manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "tone.yaml").write_text(
        "version: 1\nstages: [{tone: {duration_s: 1}}, blackhole]\n"
    )
    with running("run", "tone.yaml", "--no-notify", cwd=tmp_path, env=manager.environment()) as run:
        assert run.wait() == 0
    assert manager.is_quiet_for("READY", 0.05)
    assert manager.told == []


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", None, 30.0), ("3000", "own", 0.003), ("3000", "1", None), ("", None, None)],
)
def test_whose_watchdog_it_is(usec: str, pid: str | None, seconds: float | None) -> None:
    environment = {"WATCHDOG_USEC": usec}
    if pid is not None:
        environment["WATCHDOG_PID"] = f"{os.getpid()}" if pid == "own" else pid
    assert notify.watchdog_s(environment) == seconds
