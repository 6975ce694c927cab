"""The WebRTC transport: a `WebRtcConnection`, and the HTTP by which it is placed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe_plugins.peers.realtime.transports.transport import Placed
from rtpipe_webrtc.loopback import gathering

if TYPE_CHECKING:
    from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer, Signaling
    from rtpipe_plugins.peers.realtime.transports.webrtc.audio import IncomingAudio, OutgoingTrack
    from rtpipe_plugins.peers.realtime.transports.webrtc.connection import WebRtcConnection
    from rtpipe_webrtc.loopback import Hosts
    from rtpipe_webrtc.statistics import MediaStatistics

_LATE_ANSWER_S = 1.0


class WebRtcTransport:
    """A call over WebRTC; see `Transport`.

    Args:
        connection: Still without an offer.
        signaling: Carries the offer to the server.
        hosts: Where sockets are bound.
    """

    def __init__(self, connection: WebRtcConnection, signaling: Signaling, hosts: Hosts) -> None:
        self._connection = connection
        self._signaling = signaling
        self._hosts = hosts
        self._offering: asyncio.Task[str] | None = None
        self._placing: asyncio.Task[SdpAnswer] | None = None
        self.step = ""

    @property
    def lost(self) -> asyncio.Future[BaseException]:
        """See `Transport.lost`."""
        return self._connection.lost

    @property
    def incoming(self) -> IncomingAudio:
        """See `Transport.incoming`."""
        return self._connection.incoming

    @property
    def outgoing(self) -> OutgoingTrack:
        """See `Transport.outgoing`."""
        return self._connection.outgoing

    async def connect(self) -> Placed:
        """See `Transport.connect`."""
        self.step = "gathering our addresses"
        with gathering(self._hosts):
            self._offering = asyncio.create_task(self._connection.offer())
        offer = await asyncio.shield(self._offering)
        self.step = "waiting for the answer to our offer"
        self._placing = asyncio.create_task(self._signaling.place(offer))
        answer = await asyncio.shield(self._placing)
        answered_at = asyncio.get_running_loop().time()
        self.step = "connecting the media"
        await self._connection.accept(answer)
        await self._connection.opened()
        if (server_time_s := answer.server_time_s) is not None:
            server_time_s += asyncio.get_running_loop().time() - answered_at
        return Placed(answer.call_id, server_time_s)

    def transmit(self, text: str) -> None:
        """See `Transport.transmit`."""
        self._connection.transmit(text)

    async def statistics(self) -> MediaStatistics:
        """See `Transport.statistics`."""
        return await self._connection.statistics()

    def lose(self, why: BaseException) -> None:
        """See `Transport.lose`."""
        self._connection.lose(why)

    async def hang_up(self) -> None:
        """See `Transport.hang_up`."""
        placing, self._placing = self._placing, None
        if placing is None:
            return
        # An answer that is on its way tells which call the server has begun.
        await asyncio.wait([placing], timeout=_LATE_ANSWER_S)
        if not placing.done():
            placing.cancel()
            await asyncio.wait([placing])
        if placing.cancelled() or placing.exception() is not None:
            return
        if (call_id := placing.result().call_id) is not None:
            await self._signaling.hang_up(call_id)

    async def close(self) -> None:
        """See `Transport.close`."""
        if self._offering is not None:  # aioice leaves its sockets open where it is cancelled here
            await asyncio.wait([self._offering])
        await self._connection.close()
