"""Network impairment (loss, jitter, outage) of a call, between its ICE and its sockets.

The loss is real: a lost packet has its sequence number, and the other side sees the gap.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from aiortc import RTCPeerConnection

    from rtpipe_realtime_server.faults.knobs import Faults


def is_rtp(datagram: bytes) -> bool:
    """Whether a datagram holds audio: no RTCP, no STUN, no DTLS (RFC 7983, RFC 5761)."""
    return len(datagram) > 1 and 128 <= datagram[0] <= 191 and not 192 <= datagram[1] <= 223


class PacketFaults:
    """Says what becomes of each packet of one call. No clock of its own.

    Args:
        faults: What goes wrong.
        chance: Decides what is left to chance.
    """

    def __init__(self, faults: Faults, chance: Random) -> None:
        self._faults = faults
        self._chance = chance
        self._count = 0

    @property
    def harmless(self) -> bool:
        """Whether every packet gets through at once."""
        knobs = "lose_percent lose_every lose_packet jitter_ms rtp_stop_s freeze_s vanish_s"
        return all(getattr(self._faults, knob) is None for knob in knobs.split())

    def blocked(self, at_s: float) -> bool:
        """Whether nothing gets through, neither out nor in.

        Args:
            at_s: Seconds since the call was connected; negative before.
        """
        faults = self._faults
        if faults.vanish_s is not None and at_s >= faults.vanish_s:
            return True
        start_s = faults.freeze_at_s
        return faults.freeze_s is not None and start_s <= at_s < start_s + faults.freeze_s

    def delay_s(self, datagram: bytes, at_s: float) -> float | None:
        """Return by how much a packet of ours is late, None when it is lost."""
        faults = self._faults
        if self.blocked(at_s):
            return None
        if not is_rtp(datagram):
            return 0.0
        self._count += 1
        # Drawn for each packet, lost or not, so that one knob does not change what another does.
        lost_by_chance = self._chance.random() * 100 < (faults.lose_percent or 0)
        late = self._chance.random() * (faults.jitter_ms or 0) / 1000
        lost = (
            lost_by_chance
            or (faults.lose_every is not None and self._count % faults.lose_every == 0)
            or self._count == faults.lose_packet
            or (faults.rtp_stop_s is not None and at_s >= faults.rtp_stop_s)
        )
        return None if lost else late


class FaultyNetwork:
    """Puts `PacketFaults` between a connection and its sockets.

    Args:
        packets: Decides.
    """

    def __init__(self, packets: PacketFaults) -> None:
        self.packets = packets
        self._connected_at: float | None = None

    def connected(self) -> None:
        """Begin to count the seconds of the call."""
        if self._connected_at is None:
            self._connected_at = asyncio.get_running_loop().time()

    def attach(self, connection: RTCPeerConnection) -> None:
        """Take hold of the sockets of a connection whose local description is set."""
        if self.packets.harmless:
            return
        dtls = {transceiver.sender.transport for transceiver in connection.getTransceivers()}
        if connection.sctp is not None:
            dtls.add(connection.sctp.transport)
        # aioice has no seam here: these names are its own, and a test fails when they change.
        for ice in {transport.transport._connection for transport in dtls}:  # noqa: SLF001
            for protocol in ice._protocols:  # noqa: SLF001
                self._stand_between(protocol)

    def _stand_between(self, protocol: Any) -> None:
        receive = protocol.datagram_received

        def received(data: bytes, address: Any) -> None:
            if not self.packets.blocked(self._at_s()):
                receive(data, address)

        protocol.datagram_received = received
        protocol.transport = _Sending(self, protocol.transport)

    def send(self, transport: asyncio.DatagramTransport, data: bytes, address: Any) -> None:
        """Send a datagram now, later or never."""
        delay_s = self.packets.delay_s(data, self._at_s())
        if delay_s is None:
            return
        if delay_s == 0:
            transport.sendto(data, address)
            return

        def send_late() -> None:
            if not transport.is_closing():
                transport.sendto(data, address)

        asyncio.get_running_loop().call_later(delay_s, send_late)

    def _at_s(self) -> float:
        now = asyncio.get_running_loop().time()
        return -1.0 if self._connected_at is None else now - self._connected_at


class _Sending:
    """A datagram transport whose packets go through a `FaultyNetwork`."""

    def __init__(self, network: FaultyNetwork, transport: asyncio.DatagramTransport) -> None:
        self._network = network
        self._transport = transport

    def sendto(self, data: bytes, addr: Any = None) -> None:
        self._network.send(self._transport, data, addr)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
