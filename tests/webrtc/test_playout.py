"""When packets are played: on arrival, at their turn, or made up when it has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rtpipe import Clock
from rtpipe.testing import run_virtual
from rtpipe_webrtc.jitter_buffer import JitterBuffer
from rtpipe_webrtc.opus import opus_decoder
from rtpipe_webrtc.playout import Playout

CELT_20_MS = b"\xf8\xff\xfe"


@dataclass
class Player:
    """Plays what it is given; remembers when what was played (s), and for when that was (s)."""

    target_s: float
    clock: Clock = field(default_factory=Clock)
    played: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.buffer = JitterBuffer(target_s=self.target_s)
        self.playout = Playout(self.clock, self.buffer, opus_decoder(), self._deliver)

    def _deliver(self, pcm: Any, at: float) -> None:
        self.played.append((round(self.clock.now(), 3), round(at, 3)))

    async def comes(self, number: int, at: float) -> None:
        await self.clock.sleep_until(at)
        self.playout.receive(7, number, 960 * number, CELT_20_MS)


def run(target_s: float, script: Callable[[Player], Any]) -> Player:
    async def play() -> Player:
        player = Player(target_s)
        playing = asyncio.create_task(player.playout.run())
        await asyncio.sleep(0)
        await script(player)
        player.playout.end()
        await playing
        return player

    return run_virtual(play())


def test_a_packet_shortly_before_its_turn_is_played_when_it_comes() -> None:
    async def script(player: Player) -> None:
        for n in range(10):
            await player.comes(n, 0.02 * n)

    played = run(0.01, script).played
    # The first waits for its turn; all others come 10 ms before theirs.
    assert played == [(0.01, 0.01), *((0.02 * n, round(0.02 * n + 0.01, 3)) for n in range(1, 10))]


def test_what_is_kept_back_for_longer_is_never_more_than_a_packet_early() -> None:
    async def script(player: Player) -> None:
        for n in range(10):
            await player.comes(n, 0.02 * n)
        await player.clock.sleep_until(1.0)

    played = run(0.07, script).played[:10]  # then it fades out
    assert played[0] == (0.07, 0.07)
    assert [at for _, at in played] == pytest.approx([0.07 + 0.02 * n for n in range(10)])
    assert all(0 <= at - now <= 0.02 for now, at in played)
    assert [now for now, _ in played[-3:]] == pytest.approx([0.21, 0.23, 0.25])  # nothing comes


def test_one_behind_a_gap_waits_for_what_is_missing() -> None:
    async def script(player: Player) -> None:
        for n, at in ((0, 0.0), (1, 0.02), (3, 0.06), (2, 0.065), (4, 0.08), (5, 0.1)):
            await player.comes(n, at)

    player = run(0.03, script)
    assert player.buffer.statistics.lost == 0
    assert player.buffer.statistics.concealed == 0
    assert [at for _, at in player.played] == pytest.approx([0.03 + 0.02 * n for n in range(6)])
    assert player.played[2:4] == [(0.065, 0.07), (0.08, 0.09)]


def test_one_that_does_not_come_is_made_up_at_its_turn() -> None:
    async def script(player: Player) -> None:
        for n, at in ((0, 0.0), (1, 0.02), (3, 0.06), (4, 0.08)):
            await player.comes(n, at)

    player = run(0.01, script)
    assert (0.05, 0.05) in player.played
    assert player.buffer.statistics.concealed == 960


def test_a_mistake_in_delivering_ends_it() -> None:
    async def play() -> None:
        player = Player(0.01)

        def stumble(pcm: np.ndarray, at: float) -> None:
            raise ZeroDivisionError

        player.playout._deliver = stumble
        playing = asyncio.create_task(player.playout.run())
        await asyncio.sleep(0)
        player.playout.receive(7, 0, 0, CELT_20_MS)
        with pytest.raises(ZeroDivisionError):
            await playing

    run_virtual(play())
