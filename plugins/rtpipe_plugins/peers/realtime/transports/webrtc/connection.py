"""A peer connection of WebRTC: one audio section both ways and one data channel, by aiortc.

Imports aiortc; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError

from rtpipe import NotConnected, StageError
from rtpipe_plugins.peers.realtime.transports.call_tasks import CallTasks
from rtpipe_plugins.peers.realtime.transports.transport import unless_lost
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import IncomingAudio, OutgoingTrack
from rtpipe_plugins.peers.realtime.transports.webrtc.liveness import FarEnd, watch
from rtpipe_webrtc import closing as peer_connection
from rtpipe_webrtc.options import JitterOptions, OpusOptions
from rtpipe_webrtc.opus import opus_encoder
from rtpipe_webrtc.packet_tap import asking_for_fec, opus_payload_types, tap_packets
from rtpipe_webrtc.rtp_path import SendPath, receive_in_place
from rtpipe_webrtc.statistics import media_statistics

if TYPE_CHECKING:
    from collections.abc import Callable
    from logging import Logger

    from aiortc.mediastreams import MediaStreamTrack

    from rtpipe_plugins.peers.realtime.dialects.dialect import SdpAnswer
    from rtpipe_webrtc.options import IceServer
    from rtpipe_webrtc.pace import Pace
    from rtpipe_webrtc.statistics import MediaStatistics

_CHANNEL_LIMIT_HELP = "send less: the far end takes no larger event"


class WebRtcConnection:
    """One call; made, used once, closed.

    Nothing that goes wrong is raised in aiortc's callbacks, which would swallow it or die of it:
    it ends the call, and `lost` says why.

    Args:
        clock: Paces what is sent.
        channel_label: Name of the data channel.
        ice_servers: STUN and TURN servers.
        on_message: Called with each message of the far end's.
        log: The stage's.
        jitter: How what comes is put in order.
        opus: How what is sent is encoded.
    """

    def __init__(
        self,
        clock: Pace,
        channel_label: str,
        ice_servers: list[IceServer],
        on_message: Callable[[str | bytes], None],
        log: Logger,
        *,
        jitter: JitterOptions | None = None,
        opus: OpusOptions | None = None,
    ) -> None:
        servers = [_ice_server(server) for server in ice_servers]
        # Without a list aiortc asks Google's STUN server, which costs 5 s where it is unreachable.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._on_message = on_message
        self._log = log
        self._jitter = jitter or JitterOptions()
        self._opus = opus or OpusOptions()
        self._opus_types: frozenset[int] = frozenset()
        self._opened = asyncio.Event()
        self._tapped: list[RTCRtpReceiver] = []
        self._tasks = CallTasks(self.lose)
        self._closing = False
        self.lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        """Why the call ended, when it has."""
        self.outgoing = OutgoingTrack(clock, self.lose)
        self.incoming = IncomingAudio(clock, log, self._jitter)
        self._connection.on("track", self._on_track)
        self._connection.on("connectionstatechange", self._on_state)
        sender = self._connection.addTrack(self.outgoing)
        self.outgoing.path = SendPath(sender)
        self._prefer_opus(sender)
        self._channel: RTCDataChannel = self._connection.createDataChannel(channel_label)
        self._channel.on("open", self._opened.set)
        self._channel.on("message", self._on_text)
        self._channel.on("close", self._on_channel_closed)

    async def offer(self) -> str:
        """Return our half of the connection, all candidates in it."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return asking_for_fec(self._connection.localDescription.sdp)

    async def accept(self, answer: SdpAnswer) -> None:
        """Take the far end's half.

        Raises:
            StageError: It cannot be used.
        """
        description = RTCSessionDescription(sdp=answer.sdp, type="answer")
        self._opus_types = opus_payload_types(answer.sdp)
        if self._opus_types:
            self.outgoing.encoder = opus_encoder(self._opus)
        try:
            await self._connection.setRemoteDescription(description)
        except Exception as error:
            # aiortc lets through whatever its parser meets: five unrelated types have been seen.
            raise StageError(
                f"the server's answer cannot be used: {type(error).__name__} {error}"[:300]
            ) from error

    async def opened(self) -> None:
        """Wait until events can be sent.

        Raises:
            NotConnected: The call ended before.
        """
        await unless_lost(self.lost, self._opened)
        for receiver in self._tapped:
            receive_in_place(receiver, self._opus_types, self._take, self.lose)
        self._tasks.spawn(self._watch())

    def transmit(self, text: str) -> None:
        """Send an event; see `Transport.transmit`."""
        try:
            self._channel.send(text)
        except InvalidStateError as error:
            # aiortc closes in steps: whoever meets the first must not be taken for the failure.
            self.lose(NotConnected("the event channel is not open"))
            raise NotConnected("the event channel is not open") from error
        except ValueError as error:
            raise StageError(str(error), help=_CHANNEL_LIMIT_HELP) from error

    async def statistics(self) -> MediaStatistics:
        """Return how the media fare."""
        return media_statistics(await self._connection.getStats(), self.incoming.buffer)

    def lose(self, why: BaseException) -> None:
        """End the call; the first reason counts."""
        if not self.lost.done() and not self._closing:
            self.lost.set_result(why)

    async def close(self) -> None:
        """Let go of the connection, its tasks and its threads; may be called again."""
        self._closing = True
        self.outgoing.stop()
        await peer_connection.close(self._connection)
        self.incoming.received.close()
        await self._tasks.close()

    def _prefer_opus(self, sender: RTCRtpSender) -> None:
        """Have aiortc send Opus wherever the far end takes it: it sends the first codec of both."""
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        codecs.sort(key=lambda codec: codec.mimeType.lower() != "audio/opus")
        for transceiver in self._connection.getTransceivers():
            if transceiver.sender is sender:
                transceiver.setCodecPreferences(codecs)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind != "audio":
            return
        if self._jitter.engine == "rtpipe" and self._opus_types:
            for receiver in self._connection.getReceivers():
                if receiver.track is track:
                    self._tap(receiver)
        self._tasks.spawn(self._pump(track))

    def _tap(self, receiver: RTCRtpReceiver) -> None:
        if tap_packets(receiver, self._opus_types, self._take, self.lose):
            self._tapped.append(receiver)
        else:
            self._log.warning(
                "this version of aiortc is not known: a lost packet will cost 200 ms of delay"
            )

    def _take(self, ssrc: int, sequence: int, timestamp: int, payload: bytes) -> None:
        self.incoming.playout.receive(ssrc, sequence, timestamp, payload)
        self.outgoing.nudge()

    async def _pump(self, track: MediaStreamTrack) -> None:
        await self.incoming.pump(track)
        self.lose(NotConnected("the server has ended its audio"))

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state in {"failed", "closed"}:
            self.lose(NotConnected(f"the connection is {state}"))

    def _on_channel_closed(self) -> None:
        self.lose(NotConnected("the server has closed the event channel"))

    def _on_text(self, message: str | bytes) -> None:
        try:
            self._on_message(message)
        except Exception as error:  # noqa: BLE001 - nothing of ours may vanish in aiortc
            self._log.debug("in an event of the server's", exc_info=True)
            self.lose(error)

    async def _watch(self) -> None:
        self.lose(await watch(FarEnd(self._connection)))


def _ice_server(server: IceServer) -> RTCIceServer:
    credential = server.credential
    return RTCIceServer(
        urls=server.urls,
        username=server.username,
        credential=credential.get_secret_value() if credential else None,
    )
