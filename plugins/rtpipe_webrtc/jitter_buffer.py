"""The jitter buffer: when to play what came over the network. No clock, codec or sound in here.

One packet after the other is played without a rest. How long packets are kept back follows from how
unevenly they have come of late, and is changed by playing some of them a little shorter or longer.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import NamedTuple

from rtpipe_webrtc.transit import Transit

RATE = 48_000
SLOT = 960
"""Samples that are made up at a time where a packet is missing: 20 ms."""

_TOLERANCE_S = 0.006
_FAR_OFF_S = 0.06
_STRETCH_EVERY = 5
_FADE = 6 * SLOT
"""After so much made-up sound there is silence: the far end has paused, or it is gone."""
_LEAP_S = 1.0
_EARLIER, _LATER = -100, 3000
"""By how many numbers a packet may be out of order (RFC 3550, A.1)."""
_MOST_PACKETS = 500
_BURST_S = 0.5
"""Within this time what a far end could not send while it stood still has come."""


class Packet(NamedTuple):
    """An RTP packet as it came.

    Attributes:
        sequence: Its number, 16 bits.
        timestamp: Its time at the far end (samples at 48 kHz), 32 bits.
        payload: The codec's.
        samples: How much sound is in it.
        arrived_s: When it came (s).
        has_copy: Whether it also says what was in the packet before it.
    """

    sequence: int
    timestamp: int
    payload: bytes
    samples: int
    arrived_s: float
    has_copy: bool = False


@dataclass(frozen=True, slots=True)
class Play:
    """Play a packet.

    Attributes:
        packet: The packet.
        surplus: By up to how many samples it should be shorter; below 0: longer.
    """

    packet: Packet
    surplus: int = 0


@dataclass(frozen=True, slots=True)
class Recover:
    """Forward error correction: make up a lost packet from what the next says about it.

    Attributes:
        following: The packet behind it, which is played next.
        samples: How much is to be made.
    """

    following: Packet
    samples: int


@dataclass(frozen=True, slots=True)
class Conceal:
    """Packet loss concealment: make up what is missing.

    Attributes:
        samples: How much.
        last: Whether silence follows.
    """

    samples: int
    last: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to play.

    Attributes:
        until_s: When there will be (s); None: not before a packet comes.
    """

    until_s: float | None


Step = Play | Recover | Conceal | Wait


@dataclass(slots=True)
class JitterStatistics:
    """What became of the packets; counts of packets unless said otherwise.

    Attributes:
        received: All that came.
        lost: Those that were not there when they were needed.
        late: Those of the lost that came afterwards.
        duplicated: Those that came again.
        dropped: Those that had waited for too long, and silence that was left out to catch up.
        recovered: Losses that were made up from the packet behind.
        concealed: Made-up sound without anything to go by (samples).
    """

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicated: int = 0
    dropped: int = 0
    recovered: int = 0
    concealed: int = 0


class _Queued(NamedTuple):
    number: int  # no two have the same, by which they are sorted
    media: int
    packet: Packet


class JitterBuffer:
    """Puts packets in order, adapts the playout delay, and says what is to be played next.

    Args:
        target_s: How long the fastest packets are kept back (s). None: as long as it takes for
            98 % of the packets of the last 8 s to come in time.
        max_s: The most that any packet is kept back (s); beyond that the oldest go. A far end that
            stood still for more than a second and sends what it had all at once is heard out.
    """

    def __init__(self, *, target_s: float | None = None, max_s: float = 0.2) -> None:
        self.statistics = JitterStatistics()
        self.transit = Transit(target_s=target_s, max_s=max_s)
        """How long packets take, and so how long they are kept back."""
        self.delay_s = 0.0
        """How much later than the network's fastest packets the last one was played (s)."""
        self.behind = False
        """Whether what is played came all at once: it is seconds old, silence may be left out."""
        self._max_s = max_s
        self._stood_still_s: float | None = None
        """When a far end that had stood still went on (s), if that was just now."""
        self._queue: list[_Queued] = []
        self._seen: set[int] = set()
        # The far end's counters, and ours, which neither wrap nor leap.
        self._sequence: int | None = None
        self._timestamp = 0
        self._highest = -1
        self._highest_media = 0
        self._media_end = 0
        self._arrived_s = 0.0
        self._stray: int | None = None
        self._restarting = False
        # What has been played.
        self._playing = False
        self._next = _EARLIER
        self._played: int | None = None
        self._position = 0
        self._made_up = 0
        self._steady = 0

    @property
    def waiting_s(self) -> float:
        """How much sound is in the buffer (s)."""
        return sum(queued.packet.samples for queued in self._queue) / RATE

    @property
    def has_next(self) -> bool:
        """Whether the packet that follows what was played last is here, and nothing is missing."""
        queue = self._queue
        return (
            self._playing
            and bool(queue)
            and queue[0].number == self._next
            and queue[0].media == self._position
        )

    def put(self, packet: Packet) -> None:
        """Take a packet that has arrived, in whatever order."""
        self.statistics.received += 1
        number = self._number(packet)
        if number is None:
            return
        if number in self._seen:
            self.statistics.duplicated += 1
            return
        media = self._observed(packet, number)
        self._seen.add(number)
        if number < self._next:
            self.statistics.late += 1
            return
        insort(self._queue, _Queued(number, media, packet))
        if len(self._queue) > _MOST_PACKETS:
            self._drop()

    def restart(self) -> None:
        """Say that what comes now is another stream (a new SSRC), which goes on from this one."""
        self._restarting = True

    def leave_out(self) -> None:
        """Say that the packet that was taken last is silence, and not played."""
        self.statistics.dropped += 1

    def clear(self) -> float:
        """Forget everything that waits, and what of it is still on its way; returns how much (s).

        What the far end sends afterwards is played.
        """
        waiting_s = self.waiting_s
        self._queue.clear()
        self._playing = False
        self._next = self._highest + 1
        self._played = self._highest
        return waiting_s

    def take(self, now_s: float) -> Step:
        """Return what is to be played when all that was returned before has been played."""
        while (
            not self.behind
            and len(self._queue) > 1
            and self._kept_s(self._queue[0], now_s) > self._max_s
        ):
            self._drop()
        if self.behind and not self._queue:
            self._caught_up(now_s)
            return Wait(None)
        if not self._queue:
            return self._filled(SLOT) if self._playing else Wait(None)
        head = self._queue[0]
        if self._playing and (ahead := head.media - self._position) > 0:
            step = None if head.number == self._next else self._filled(min(ahead, SLOT), head)
            if step is not None and not isinstance(step, Wait):
                return step
            self._playing = False  # the far end has paused
        if not self._playing:
            due_s = head.media / RATE + self.transit.least_s + self.transit.target_s
            if now_s < due_s:
                return Wait(due_s)
            self._playing = True
        return self._play(now_s)

    def _play(self, now_s: float) -> Play:
        head = self._leave()
        self._made_up = 0
        self.delay_s = now_s - head.media / RATE - self.transit.least_s
        return Play(head.packet, self._surplus(now_s - head.packet.arrived_s))

    def _surplus(self, waited_s: float) -> int:
        """Return by how many samples to shorten what is being played."""
        target_s = self.transit.target_s
        excess_s = self.delay_s - target_s
        if excess_s > 0:
            excess_s = min(excess_s, waited_s)  # what came just now is not early
        self._steady += 1
        if -min(_TOLERANCE_S, target_s / 2) <= excess_s <= _TOLERANCE_S:
            return 0
        if self._steady < _STRETCH_EVERY and excess_s < _FAR_OFF_S:
            return 0
        self._steady = 0
        return round(excess_s * RATE)

    def _filled(self, samples: int, following: _Queued | None = None) -> Step:
        """Make up for what is not there; waits where that has gone on for too long."""
        if self._made_up + samples > _FADE:
            self._playing = False
            return Wait(None)
        self._made_up += samples
        self._position += samples
        if following is not None and self._position == following.media:
            self._next = following.number
            if following.packet.has_copy:
                self.statistics.recovered += 1
                return Recover(following.packet, samples)
        elif following is not None:
            self._next += 1
        self.statistics.concealed += samples
        return Conceal(samples, last=self._made_up + SLOT > _FADE)

    def _caught_up(self, now_s: float) -> None:
        """All that had come at once is played: what follows is of now."""
        self.behind = self._playing = False
        self._highest_media = round((now_s - self.transit.least_s) * RATE)
        self._media_end = self._position = self._highest_media + SLOT

    def _drop(self) -> None:
        self._leave()
        self.statistics.dropped += 1

    def _leave(self) -> _Queued:
        """Take the oldest packet out."""
        head = self._queue.pop(0)
        if self._played is not None:
            self.statistics.lost += head.number - self._played - 1
        self._played = head.number
        self._next = head.number + 1
        self._position = head.media + head.packet.samples
        return head

    def _kept_s(self, queued: _Queued, now_s: float) -> float:
        transit_s = now_s - queued.media / RATE
        return max(transit_s - self.transit.least_s, now_s - queued.packet.arrived_s)

    def _number(self, packet: Packet) -> int | None:
        """Return the packet's number in our count; None: it belongs to no stream we know."""
        if self._sequence is None:
            return 0
        step = (packet.sequence - self._sequence + 0x8000 & 0xFFFF) - 0x8000
        if not self._restarting and not _EARLIER <= step <= _LATER:
            # Two in a row make a stream; one that has strayed does not.
            if packet.sequence != self._stray:
                self._stray = packet.sequence + 1 & 0xFFFF
                return None
            self._restarting = True
        self._stray = None
        return self._highest + (1 if self._restarting else step)

    def _look_for_burst(self, packet: Packet, late_s: float) -> None:
        """Notice that a far end which stood still sends all that it had at once."""
        if self._stood_still_s is None:
            return
        if packet.arrived_s - self._stood_still_s > _BURST_S:
            self._stood_still_s = None
        elif late_s < -self._max_s:
            self.behind, self._stood_still_s = True, None

    def _observed(self, packet: Packet, number: int) -> int:
        """Return when the packet is due (samples, our count), and learn from when it came."""
        step = (packet.timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        media = self._highest_media + step
        now = round(packet.arrived_s * RATE)
        if self._sequence is None:
            media = now
        elif number > self._highest:
            least_s = self.transit.least_s
            late_s = packet.arrived_s - media / RATE - least_s
            self._look_for_burst(packet, late_s)
            if not self.behind and (self._restarting or abs(late_s) > _LEAP_S):
                # Its clock has leapt, or stood still in a pause: ours tells how long.
                if packet.arrived_s - self._arrived_s > _LEAP_S:
                    self._stood_still_s = packet.arrived_s
                media = max(self._media_end, now - round(least_s * RATE))
        self._arrived_s = packet.arrived_s
        transit_s = packet.arrived_s - media / RATE
        if not self.behind and (self._stood_still_s is None or transit_s >= self.transit.least_s):
            self.transit.learn(transit_s, packet.arrived_s, newest=number > self._highest)
        if number > self._highest:
            self._restarting = False
            self._sequence, self._timestamp = packet.sequence, packet.timestamp
            self._highest, self._highest_media = number, media
            self._media_end = media + packet.samples
            if number % _MOST_PACKETS == 0:
                self._seen = {seen for seen in self._seen if seen > number + 2 * _EARLIER}
        return media
