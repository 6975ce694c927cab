"""Packets of a stream with their delays, and who listens to what a jitter buffer plays of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rtpipe_webrtc.jitter_buffer import (
    RATE,
    SLOT,
    Conceal,
    JitterBuffer,
    Packet,
    Play,
    Recover,
    Wait,
)

SLOT_S = SLOT / RATE
Delay = Callable[[int], float | None]


@dataclass
class Listener:
    """Takes what a buffer says is to be played, in the time that it takes to play it."""

    buffer: JitterBuffer
    stretches: bool = True
    played: list[tuple[float, int]] = field(default_factory=list)
    made_up: list[tuple[float, int]] = field(default_factory=list)
    longest_gap_s: float = 0.0
    _due: float = 0.0
    _last_end: float | None = None

    def until(self, now: float) -> None:
        """Play what is due before second `now`."""
        while self._due <= now:
            step = self.buffer.take(self._due)
            match step:
                case Wait(until):
                    self._due = now + 1e-9 if until is None else max(until, self._due + 1e-9)
                    if until is None:
                        return
                case Play(packet, surplus):
                    self.played.append((self._due, packet.sequence))
                    self._took(packet.samples - self._stretch(surplus))
                case Recover(_, samples) | Conceal(samples, _):
                    self.made_up.append((self._due, samples))
                    self._took(samples)

    def _took(self, samples: int) -> None:
        if self._last_end is not None:
            self.longest_gap_s = max(self.longest_gap_s, self._due - self._last_end)
        self._due += samples / RATE
        self._last_end = self._due

    def _stretch(self, surplus: int) -> int:
        if not self.stretches:
            return 0
        if surplus > 0:
            return min(surplus, 240) if surplus >= 120 else 0
        return -120 if surplus < 0 else 0


def stream(
    delay: Delay,
    count: int,
    *,
    first: int = 100,
    start: int = 1000,
    ppm: float = 0.0,
    samples: int = SLOT,
) -> list[Packet]:
    """Return packets in the order of their arrival; those with no delay are lost."""
    packets = []
    for n in range(count):
        after = delay(n)
        if after is not None:
            sent = n * samples / RATE * (1 - ppm * 1e-6)
            sequence, timestamp = (first + n) & 0xFFFF, (start + n * samples) & 0xFFFFFFFF
            packets.append(Packet(sequence, timestamp, b"x", samples, sent + after))
    return sorted(packets, key=lambda packet: packet.arrived_s)


def listened(packets: Iterable[Packet], buffer: JitterBuffer, **options: bool) -> Listener:
    """Return what was heard of `packets`."""
    listener = Listener(buffer, **options)
    for packet in packets:
        listener.until(packet.arrived_s)
        buffer.put(packet)
    listener.until(listener._due + 1.0)
    # What fades away behind the last packet is no hole.
    listener.made_up = [hole for hole in listener.made_up if hole[0] < listener.played[-1][0]]
    return listener


def latency_ms(listener: Listener, seconds: slice, first: int = 100) -> float:
    """Return the mean time from sending to playing of a part of the stream (ms)."""
    all = [
        (at - ((sequence - first) & 0xFFFF) * SLOT_S) * 1000
        for at, sequence in listener.played
        if seconds.start <= at < seconds.stop
    ]
    return sum(all) / len(all)


def steady(_: int) -> float:
    return 0.01
