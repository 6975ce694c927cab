"""The packets of a real call go past aiortc's tasks, all but the first of each way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc import RTCRtpReceiver, RTCRtpSender

from helpers.calling import called
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import OutgoingTrack

pytestmark = pytest.mark.slow


async def test_a_second_of_a_call_costs_aiortc_two_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    handled: list[Any] = []
    sent: list[Any] = []
    nudged: list[Any] = []
    nudge_ = OutgoingTrack.nudge
    handle, next_frame = RTCRtpReceiver._handle_rtp_packet, RTCRtpSender._next_encoded_frame

    async def handle_rtp_packet(self: Any, packet: Any, arrival_time_ms: int) -> None:
        handled.append(self)
        await handle(self, packet, arrival_time_ms)

    async def next_encoded_frame(self: Any, codec: Any) -> Any:
        frame = await next_frame(self, codec)
        sent.append(self)
        return frame

    def nudge(self: Any) -> None:
        nudged.append(self)
        nudge_(self)

    monkeypatch.setattr(OutgoingTrack, "nudge", nudge)
    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", handle_rtp_packet)
    monkeypatch.setattr(RTCRtpSender, "_next_encoded_frame", next_encoded_frame)
    async with called() as heard:
        connection = heard.call._connection
        receiver, sender = connection.getReceivers()[0], connection.getSenders()[0]
        async with asyncio.timeout(30):
            while heard.call.incoming.buffer.statistics.received < 60:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
        # Before the event channel is open, packets may come in aiortc's way.
        assert handled.count(receiver) < 20
        assert sent.count(sender) == 1
        assert nudged.count(heard.call.outgoing) >= 60
        stats = (await sender.getStats()).values()
        (left,) = (one.packetsSent for one in stats if one.type == "outbound-rtp")
        assert left > 30


async def test_without_the_private_parts_the_call_is_aiortcs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = "rtpipe_webrtc.rtp_path"
    monkeypatch.setattr(f"{module}._STREAMS", "gone")
    monkeypatch.setattr(f"{module}._SENT_PACKETS", "gone")
    async with called() as heard:
        assert heard.call.outgoing.path is None
        async with asyncio.timeout(30):
            while heard.call.incoming.buffer.statistics.received < 60:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
        (sender,) = heard.call._connection.getSenders()
        stats = (await sender.getStats()).values()
        (left,) = (one.packetsSent for one in stats if one.type == "outbound-rtp")
        assert left > 30
