"""Liveness: a far end that died without a word is noticed, which takes ICE half a minute."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe import NotConnected

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

LOOK_S = 0.5
_ASK_S = 1.0
_DEAD_S = 2.4


class Silence:
    """For how long nothing has come, by looks at a counter. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._seen = -1
        self._since = 0.0
        self._looked_at: float | None = None

    def look(self, now: float, received: int) -> float:
        """Return for how long the counter has stood at `received`.

        Where we ourselves did not look for long (a stalled machine, a stopped process) the count
        begins again: what came meanwhile may still wait in the socket.
        """
        stalled = self._looked_at is None or now - self._looked_at > 2 * LOOK_S
        self._looked_at = now
        if stalled or received != self._seen:
            self._seen = received
            self._since = now
        return now - self._since


class FarEnd:
    """What can be known of the other side of a connection without its help.

    Args:
        connection: The connection; its media stand.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._connection = connection

    async def received(self) -> int:
        """Return how many packets have come: RTP, RTCP, events."""
        report = await self._connection.getStats()
        return sum(s.packetsReceived for s in report.values() if s.type == "transport")

    async def answers(self) -> bool:
        """Ask by STUN whether it is there; returns within half a second."""
        from aioice.stun import TransactionError

        assert self._connection.sctp is not None  # there is a data channel in every offer
        ice = self._connection.sctp.transport.transport._connection  # noqa: SLF001 - aiortc asks only every 5 s
        for pair in list(ice._nominated.values()):  # noqa: SLF001 - as above
            request = ice.build_request(pair, nominate=False)
            key = str(ice.remote_password).encode()
            try:
                await pair.protocol.request(
                    request, pair.remote_addr, integrity_key=key, retransmissions=0
                )
            except TransactionError:
                continue
            return True
        return False


async def watch(far_end: FarEnd) -> NotConnected:
    """Return, as the reason, when the far end has been silent for 2.4 s.

    A server that says nothing between answers may send RTCP only every few seconds. So after a
    second of silence it is asked: what answers is alive.
    """
    loop = asyncio.get_running_loop()
    silence, answers, silent_s = Silence(), 0, 0.0
    while silent_s < _DEAD_S:
        began_at = loop.time()
        if silent_s >= _ASK_S:
            answers += await far_end.answers()
        await asyncio.sleep(began_at + LOOK_S - loop.time())
        silent_s = silence.look(loop.time(), await far_end.received() + answers)
    return NotConnected(f"nothing has come from the server for {silent_s:.1f} s")
