"""Liveness: a far end that died without a word is noticed, and one that is only slow is not lost.

Whatever it sends is a sign of life: RTP, RTCP, events, its answers to our questions by STUN
(consent, RFC 7675). aiortc's own check takes half a minute.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe import NotConnected
from rtpipe_plugins.peers.realtime.transports.silence import Silence
from rtpipe_webrtc.datagrams import ask_for_icmp, traffic

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

LOOK_S = 0.5
_ASK_S = 1.0


class FarEnd:
    """What can be known of the other side of a connection without its help.

    Args:
        connection: The connection; its media stand.
    """

    def __init__(self, connection: RTCPeerConnection) -> None:
        self._connection = connection
        ask_for_icmp(connection)

    def received(self) -> int:
        """Return how many datagrams of its have come: RTP, RTCP, events, STUN."""
        return sum(one.received for one in traffic(self._connection))

    def gone(self) -> str | None:
        """Return why it is gone for good, where the network has said so."""
        return next((one.gone for one in traffic(self._connection) if one.gone), None)

    async def ask(self) -> None:
        """Ask by STUN whether it is there; returns within half a second, answered or not."""
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


async def watch(far_end: FarEnd, dead_after_s: float) -> NotConnected:
    """Return, as the reason, when the far end is gone or has been silent for `dead_after_s`.

    A server that says nothing between answers may send RTCP only every few seconds. So after a
    second of silence it is asked: what answers is alive.
    """
    loop = asyncio.get_running_loop()
    silence, silent_s = Silence(LOOK_S), 0.0
    while silent_s < dead_after_s:
        began_at = loop.time()
        if silent_s >= _ASK_S:
            await far_end.ask()
        await asyncio.sleep(began_at + LOOK_S - loop.time())
        silent_s = silence.look(loop.time(), far_end.received())
        if silent_s >= LOOK_S and (gone := far_end.gone()) is not None:
            return NotConnected(f"the server is gone: {gone}")
    return NotConnected(f"nothing has come from the server for {silent_s:.1f} s")
