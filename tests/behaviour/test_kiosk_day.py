"""A day of a kiosk: network, microphone, disk and broker go away in turn, and come back.

Every conversation that could be held was held, and the event file alone says what was so in each
minute. On a virtual clock; CI lives through one round of outages, and the whole day by

    RTPIPE_KIOSK_HOURS=24 pytest -n0 -o faulthandler_timeout=3600 tests/behaviour/test_kiosk_day.py

Of the parts only the wires are the test's own: that to the desk's microphone, that to the model and
that to the broker. The disk is a small one that is filled.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import pytest

import rtpipe
from helpers.packages import needs_server
from rtpipe import EnvironmentProblem, Options, Sink, Source, audio, hookimpl
from rtpipe.audio import AudioFrame
from rtpipe.testing import joined, run_virtual, speech_like
from rtpipe_plugins.peers.realtime.embedded import EmbeddedServer
from rtpipe_plugins.peers.realtime.transports.websocket.memory import MemoryOpener
from rtpipe_plugins.subscribers.delivery.worker import (
    Connected,
    Delivery,
    DeliveryOptions,
    Disconnected,
    Failed,
    TryLater,
)

pytestmark = [
    pytest.mark.slow,
    needs_server,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root"),
]

MINUTE = 60.0
ROUND = 20 * MINUTE
HOURS = float(os.environ.get("RTPIPE_KIOSK_HOURS", f"{ROUND / 3600}"))
DAY = round(HOURS * 3600 / ROUND) * ROUND
OUT = {
    "network": (3 * MINUTE, 5 * MINUTE),
    "microphone": (8 * MINUTE, 10 * MINUTE + 20),
    "disk": (13 * MINUTE, 15 * MINUTE),
    "broker": (17 * MINUTE, 19 * MINUTE),
}
"""From when to when, in each round, each is away."""
NOTICED_S = {"network": 1.0, "microphone": 1.0, "disk": 30.0, "broker": MINUTE + 5}
"""How late an outage is in the event file: of disk and broker, when there is something to write."""
MENDED_S = {"network": 16.0, "microphone": 32.0, "disk": 10.0, "broker": 61.0}
"""How late its end is: by the longest pause between attempts, and one in the conversation."""
SAID = {
    "network": ({"realtime.disconnected"}, {"realtime.connected"}),
    "microphone": ({"stage.fell_back"}, {"stage.returned"}),
    "disk": ({"recorder.failed"}, {"recorder.recovered"}),
    "broker": ({"broker.disconnected"}, {"broker.connected"}),
}
"""The events by which the file tells that a part is away, and that it is back."""
QUESTION_S = 1.2
ASKED_AT_S = 27.0
"""When, in each minute, a visitor asks."""
SPEECH = joined(speech_like(seconds=QUESTION_S))[:, 0]

KIOSK = """
version: 1
name: kiosk
stages:
  - desk: {}
    fallback: {desk: {wired: false}, return_after_s: 30}
  - vad: 2
  - realtime: {provider: embedded, transport: memory, script: script.yaml}
  - ear
  - recorder: {path: disk/day.flac, layout: mix, sidecar: false}
    from: [vad, realtime]
events:
  - jsonl: events.jsonl
  - match: [transcript.user, transcript.assistant]
    broker: {}
"""
SCRIPT = """
turns:
  - {transcribe: Where is the café?, say: On the left., sound: {tone_hz: 600, duration_s: 0.6}}
"""


def away(part: str, now: float) -> bool:
    """Whether a part is away at a second of the day."""
    begin, end = OUT[part]
    return now < DAY and begin <= now % ROUND < end


class DeskOptions(Options):
    wired: bool = True


class Desk(Source[DeskOptions]):
    """The microphone at the desk: a visitor asks once in every minute, if it is plugged in."""

    kind = "desk"

    @classmethod
    def has_clock(cls, options: DeskOptions) -> bool:
        return True

    def _require(self) -> None:
        if self.options.wired and away("microphone", self.ctx.now()):
            raise EnvironmentProblem("no microphone")

    async def open(self) -> None:
        self._require()

    async def frames(self) -> AsyncIterator[AudioFrame]:
        start = at = self.ctx.clock.next_tick(0.02)
        while True:
            await self.ctx.clock.sleep_until(at + 0.02)
            self._require()
            pts = round((at - start) * 48_000)
            asked = round((at % MINUTE - ASKED_AT_S) * 48_000)
            if self.options.wired and 0 <= asked <= len(SPEECH) - 960:
                yield audio.from_pcm(SPEECH[asked : asked + 960], sample_rate=48_000, pts=pts)
            else:
                yield audio.silence(960, pts=pts)
            at += 0.02


class Ear(Sink[Options]):
    """The loudspeaker: notes in which minutes an answer was heard."""

    kind = "ear"
    answered: ClassVar[dict[int, float]] = {}

    @classmethod
    def has_clock(cls, options: Options) -> bool:
        return True

    async def consume(self, frame: AudioFrame) -> None:
        if audio.pcm(frame).max() > 1000:
            minute = int(self.ctx.now() // MINUTE)
            self.answered[minute] = self.answered.get(minute, 0.0) + frame.samples / 48_000


@dataclass(frozen=True, kw_only=True)
class BrokerConnected(Connected):
    type: str = "broker.connected"


@dataclass(frozen=True, kw_only=True)
class BrokerDisconnected(Disconnected):
    type: str = "broker.disconnected"


@dataclass(frozen=True, kw_only=True)
class BrokerFailed(Failed):
    type: str = "broker.failed"


class Broker(Delivery[DeliveryOptions]):
    """A delivery whose broker is a list."""

    kind = "broker"
    publishes = (BrokerConnected, BrokerDisconnected, BrokerFailed)
    connected, disconnected, failed = BrokerConnected, BrokerDisconnected, BrokerFailed
    host = "broker"
    taken: ClassVar[list[dict[str, Any]]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        self._require()
        yield self._send

    async def _send(self, message: Any) -> None:
        self._require()
        self.reached()
        self.taken.append(json.loads(message.body))

    def _require(self) -> None:
        if away("broker", self.ctx.now()):
            raise TryLater("no broker")


class Parts:
    @hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Desk, Ear, Broker]


class Network:
    """The way to the model: no call comes through while it is away, and those that stood end."""

    def __init__(self) -> None:
        self.now: Any = None
        self._open: list[Any] = []

    def opener(self, server: EmbeddedServer) -> MemoryOpener:
        def connect(model: str) -> Any:
            if away("network", self.now()):
                raise EnvironmentProblem("no network")
            self._open.append(server._server.connect(model))
            return self._open[-1]

        return MemoryOpener(connect)

    async def cut(self) -> None:
        for socket in self._open:
            await socket.close()
        self._open.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give the kiosk's folder, with a small disk in it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = f"size={max(8, round(HOURS * 12))}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)], check=True)
    (tmp_path / "script.yaml").write_text(SCRIPT, encoding="utf-8")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    size = 1 << 20
    with ballast.open("wb", buffering=0) as file:
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


async def live_through(folder: Path, network: Network) -> None:
    """Run the kiosk for the day."""
    pipeline = rtpipe.loads(KIOSK, plugins=[Parts()], path=folder / "kiosk.yaml")
    network.now = pipeline.clock.now
    ballast = folder / "disk" / "ballast"
    what = {"network": network.cut, "disk": lambda: asyncio.to_thread(fill, ballast)}
    async with pipeline:
        for begin in np.arange(0, DAY, ROUND):
            for part, (lost, _) in OUT.items():
                if part in what:
                    await pipeline.clock.sleep_until(begin + lost)
                    await what[part]()
                if part == "disk":
                    await pipeline.clock.sleep_until(begin + OUT[part][1])
                    ballast.unlink()
        await pipeline.clock.sleep_until(DAY)


class Account:
    """What the event file says of the day, and nothing else.

    Every part is there from `pipeline.started` to `pipeline.ended`, but for the spans that its own
    events begin and end: so each minute is accounted for.
    """

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        self.events = [json.loads(line) for line in lines]
        self.spans = {part: self._spans(*SAID[part]) for part in SAID}

    def of(self, *types: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] in types]

    def _spans(self, lost: set[str], back: set[str]) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        since: float | None = None
        stopping = [event["type"] for event in self.events].index("pipeline.stopping")
        for event in self.events[:stopping]:
            if event["type"] in lost and since is None:
                since = event["at"]
            elif event["type"] in back and since is not None:
                found.append((since, event["at"]))
                since = None
        return found if since is None else [*found, (since, DAY)]

    def can_talk(self, minute: int) -> bool:
        """Whether network and microphone were there while a visitor of that minute talked."""
        begin = minute * MINUTE + ASKED_AT_S
        end = begin + QUESTION_S + 3
        spans = self.spans["network"] + self.spans["microphone"]
        return not any(lost < end and begin < back for lost, back in spans)


@pytest.fixture(name="account")
def _account(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    Ear.answered.clear()
    Broker.taken.clear()
    network = Network()
    monkeypatch.setattr(EmbeddedServer, "opener", lambda server: network.opener(server))  # noqa: PLW0108 - bound to the server
    monkeypatch.chdir(folder)
    run_virtual(live_through(folder, network))
    return Account(folder / "events.jsonl")


def test_every_conversation_that_could_be_held_was_held(account: Account, folder: Path) -> None:
    check_outages(account)
    check_conversations(account)
    check_recording(account, folder)


def check_outages(account: Account) -> None:
    """The file tells of each outage, of none besides, and when it was over."""
    for part, (begin, end) in OUT.items():
        spans = account.spans[part]
        assert len(spans) == DAY / ROUND, (part, spans)
        for index, (lost, back) in enumerate(spans):
            late_s = lost - (index * ROUND + begin)
            assert 0 <= late_s <= NOTICED_S[part], (part, lost)
            late_s = back - (index * ROUND + end)
            assert 0 <= late_s <= MENDED_S[part], (part, back)
    assert [event["type"] for event in account.events][-1:] == ["pipeline.ended"]
    assert not account.of("stage.failed", "link.dropped", "subscriber.overflowed", "stage.stalled")


def check_conversations(account: Account) -> None:
    """In each minute in which the file says that one could talk, one talked; in no other."""
    minutes = range(round(DAY / MINUTE))
    talked = {minute for minute in minutes if account.can_talk(minute)}
    should = {m for m in minutes if not away_for(m, "network") and not away_for(m, "microphone")}
    assert should <= talked
    for type, text in (
        ("transcript.user", "Where is the café?"),
        ("transcript.assistant", "On the left."),
    ):
        heard = [int(event["at"] // MINUTE) for event in account.of(type) if event["text"] == text]
        assert heard == sorted(talked), (type, sorted(set(heard) ^ talked))
    assert Ear.answered.keys() == talked
    assert all(0.5 <= lasted_s <= 0.7 for lasted_s in Ear.answered.values())
    delivered = [(each["type"], each["at"]) for each in Broker.taken]
    said = account.of("transcript.user", "transcript.assistant")
    assert delivered == [(event["type"], event["at"]) for event in said]


def away_for(minute: int, part: str) -> bool:
    """Whether the outage of a part, and its mending, touches the conversation of a minute."""
    begin, end = OUT[part]
    asked = (minute * MINUTE + ASKED_AT_S) % ROUND
    return begin - QUESTION_S - 3 < asked < end + MENDED_S[part]


def check_recording(account: Account, folder: Path) -> None:
    """The recordings and what the file says was lost between them are as long as the day."""
    lost_s = sum(event["lost_s"] for event in account.of("recorder.recovered"))
    files = sorted((folder / "disk").glob("*.flac"))
    assert len(files) == DAY / ROUND + 1
    recorded_s = sum(map(length_s, files))
    assert recorded_s + lost_s == pytest.approx(DAY, abs=0.1 + DAY / ROUND)
    outage_s = (OUT["disk"][1] - OUT["disk"][0]) * DAY / ROUND
    assert lost_s == pytest.approx(outage_s, abs=20 * DAY / ROUND)


def length_s(path: Path) -> float:
    """Return how long a player plays a recording: without a packet that the full disk cut."""
    length = 0
    with av.open(str(path)) as file:
        for packet in file.demux(audio=0):
            with suppress(av.InvalidDataError):
                length += sum(frame.samples for frame in packet.decode())
    return length / 48_000
