"""A peer connection of WebRTC: one audio section both ways and one data channel, by aiortc.

Imports aiortc; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError

from rtpipe import NotConnected, StageError
from rtpipe_plugins.peers.realtime.errors import CallRefused, NoRoute
from rtpipe_plugins.peers.realtime.transports.call_tasks import CallTasks
from rtpipe_plugins.peers.realtime.transports.silence import DEAD_AFTER_S
from rtpipe_plugins.peers.realtime.transports.transport import text_in, unless_lost
from rtpipe_plugins.peers.realtime.transports.webrtc.answer import Answer, resolved
from rtpipe_plugins.peers.realtime.transports.webrtc.audio import IncomingAudio, OutgoingTrack
from rtpipe_plugins.peers.realtime.transports.webrtc.liveness import FarEnd, watch
from rtpipe_webrtc import closing as peer_connection
from rtpipe_webrtc.connecting import (
    contain_failures,
    has_candidates,
    take_payload_types,
)
from rtpipe_webrtc.datagrams import guard_datagrams, release_idle_sockets, shield, traffic
from rtpipe_webrtc.options import JitterOptions, OpusOptions
from rtpipe_webrtc.opus import opus_encoder
from rtpipe_webrtc.packet_tap import (
    asking_for_fec,
    opus_payload_types,
    payload_types,
    tap_packets,
)
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
        dead_after_s: For how long nothing may come before the far end is taken for dead (s).
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
        dead_after_s: float = DEAD_AFTER_S,
    ) -> None:
        servers = [_ice_server(server) for server in ice_servers]
        guard_datagrams()
        # Without a list aiortc asks Google's STUN server, which costs 5 s where it is unreachable.
        # Without a bundle it binds sockets for audio and for events.
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._on_message = on_message
        self._log = log
        self._jitter = jitter or JitterOptions()
        self._opus = opus or OpusOptions()
        self._dead_after_s = dead_after_s
        self._offered_types: frozenset[int] = frozenset()
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
        self._connection.on("datachannel", self._on_channel)
        contain_failures(self._connection, self._on_failure)
        sender = self._connection.addTrack(self.outgoing)
        self.outgoing.path = SendPath(sender)
        self._prefer_opus(sender)
        self._channel: RTCDataChannel = self._connection.createDataChannel(channel_label)
        self._spoken = False
        self._listen(self._channel)
        self._channel.on("open", self._opened.set)
        shield(self._connection)

    async def offer(self) -> str:
        """Return our half of the connection, all candidates in it.

        Raises:
            NoRoute: There are none.
        """
        await self._connection.setLocalDescription(await self._connection.createOffer())
        if not has_candidates(self._connection):
            raise NoRoute(
                "this machine has no network address that a call could use",
                help="is the network up? To a server on this machine base_url says 127.0.0.1",
            )
        sdp = self._connection.localDescription.sdp
        self._offered_types = opus_payload_types(sdp)
        return asking_for_fec(sdp)

    async def accept(self, answer: SdpAnswer) -> None:
        """Take the far end's half.

        Raises:
            CallRefused: No call can come of it.
            NoRoute: It names no address that can be reached.
        """
        half = Answer(answer.sdp)
        await half.locate(resolved)
        description = RTCSessionDescription(sdp=str(half), type="answer")
        self._opus_types = opus_payload_types(answer.sdp)
        if self._opus_types:
            if half.listens:
                self.outgoing.encoder = opus_encoder(self._opus)
            # What the answer gives to another codec cannot be Opus, whatever our offer said.
            self._opus_types |= self._offered_types - payload_types(answer.sdp)
        try:
            await self._connection.setRemoteDescription(description)
        except Exception as error:
            # aiortc lets through whatever its parser meets: five unrelated types have been seen.
            raise CallRefused(
                f"the server's answer cannot be used: {type(error).__name__} {error}"[:300]
            ) from error
        take_payload_types(self._connection, "audio/opus", self._opus_types)
        if not half.listens:
            self._log.warning("the server does not listen (a=sendonly): nobody hears the visitor")
            self._tasks.spawn(self._discard())
        if not half.speaks:
            self._log.warning("the server sends no audio (a=recvonly): no answer will be heard")

    async def opened(self) -> None:
        """Wait until events can be sent.

        Raises:
            NotConnected: The call ended before.
        """
        await unless_lost(self.lost, self._opened)
        for receiver in self._tapped:
            receive_in_place(receiver, self._opus_types, self._take, self.lose)
        self._tasks.spawn(self._watch())
        self._tasks.spawn(release_idle_sockets(self._connection))

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
        report = await self._connection.getStats()
        return media_statistics(report, self.incoming.buffer, self._junk)

    def lose(self, why: BaseException) -> None:
        """End the call; the first reason counts."""
        if not self.lost.done() and not self._closing:
            self.lost.set_result(why)

    async def close(self) -> None:
        """Let go of the connection, its tasks and its threads; may be called again."""
        first, self._closing = not self._closing, True
        self.outgoing.stop()
        await peer_connection.close(self._connection)
        self.incoming.received.close()
        await self._tasks.close()
        if first and self._junk:
            self._log.warning("%d datagrams did not belong to the call: dropped", self._junk)

    @property
    def _junk(self) -> int:
        return sum(one.junk for one in traffic(self._connection))

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

    def _on_failure(self, error: Exception) -> None:
        self.lose(NotConnected(f"the connection has failed: {type(error).__name__} {error}"))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        """Take a channel that the server has opened, in place of ours or beside it."""
        self._listen(channel)
        if self._channel.readyState != "open":
            self._channel = channel
        self._opened.set()

    def _listen(self, channel: RTCDataChannel) -> None:
        channel.on("message", partial(self._on_text, channel))
        channel.on("close", partial(self._on_channel_closed, channel))

    def _on_channel_closed(self, channel: RTCDataChannel) -> None:
        if channel is self._channel:
            self.lose(NotConnected("the server has closed the event channel"))

    def _on_text(self, channel: RTCDataChannel, message: str | bytes) -> None:
        if not self._spoken:  # where the server speaks it listens, too
            self._spoken, self._channel = True, channel
        if channel is not self._channel:
            return
        try:
            self._on_message(text_in(message))
        except Exception as error:  # noqa: BLE001 - nothing of ours may vanish in aiortc
            self._log.debug("in an event of the server's", exc_info=True)
            self.lose(error)

    async def _discard(self) -> None:
        """Take the visitor's audio at its pace where aiortc does not: the input must end."""
        with suppress(MediaStreamError):
            while True:
                await self.outgoing.recv()

    async def _watch(self) -> None:
        self.lose(await watch(FarEnd(self._connection), self._dead_after_s))


def _ice_server(server: IceServer) -> RTCIceServer:
    credential = server.credential
    return RTCIceServer(
        urls=server.urls,
        username=server.username,
        credential=credential.get_secret_value() if credential else None,
    )
