"""The WebRTC end of a call: aiortc answers an offer, carries the audio and the event channel."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtpipe import audio
from rtpipe_realtime_server.calls.offer import InvalidOfferError, offers_channel
from rtpipe_realtime_server.session.rejection import SERVER_ERROR, Rejected
from rtpipe_webrtc import closing as peer_connection
from rtpipe_webrtc.datagrams import guard_datagrams, release_idle_sockets, shield, traffic
from rtpipe_webrtc.loopback import Hosts, gathering

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import RTCDataChannel
    from numpy.typing import NDArray

    from rtpipe_realtime_server.faults.network import FaultyNetwork

CHANNEL = "oai-events"
_RATE = 48000
_FRAME = 960
_FRAME_S = _FRAME / _RATE
_MOST_LATE_S = 0.1
_DRAIN_STEPS = 50
_DRAIN_STEP_S = 0.01
_ANSWER_CODECS = ("audio/opus", "audio/pcmu", "audio/pcma")


@dataclass(frozen=True, slots=True)
class PeerHandlers:
    """Whom a peer tells what happens; none of these may raise."""

    opened: Callable[[], None]
    """Audio flows and events can be sent, if the offer asked for a channel at all."""
    audio: Callable[[av.AudioFrame], None]
    message: Callable[[str | bytes], None]
    closed: Callable[[], None]
    """The connection is gone for good."""
    next_frame: Callable[[], NDArray[np.int16]]
    """Gives the next 20 ms to send: 960 samples, mono, 48 kHz."""


class PacedTrack(MediaStreamTrack):
    """Sends a frame each 20 ms: aiortc sends as fast as it is given frames."""

    kind = "audio"

    def __init__(self, next_frame: Callable[[], NDArray[np.int16]], drift_ppm: float) -> None:
        super().__init__()
        self._next_frame = next_frame
        self._frame_s = _FRAME_S / (1 + drift_ppm / 1e6)
        self._pts = 0
        self._due: float | None = None

    async def recv(self) -> av.AudioFrame:
        """Return the next frame when it is due: s16, stereo (mono loses 3 dB), 48 kHz."""
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = now if self._due is None else self._due
        if now - due > _MOST_LATE_S:
            due = now  # after a stall: a burst would overflow the other side's jitter buffer
        self._due = due + self._frame_s
        if due > now:
            await asyncio.sleep(due - now)
        stereo = np.repeat(self._next_frame()[:, None], 2, axis=1)
        pts, self._pts = self._pts, self._pts + _FRAME
        return audio.from_pcm(stereo, sample_rate=_RATE, pts=pts)


class AnsweringPeer:
    """The answering side of one call.

    Args:
        handlers: Told what happens.
        loopback: Use 127.0.0.1 only, so that no packet leaves the machine.
        network: What goes wrong with its packets.
        drift_ppm: By how much the clock of its audio is fast, in parts per million.
    """

    def __init__(
        self, handlers: PeerHandlers, *, loopback: bool, network: FaultyNetwork, drift_ppm: float
    ) -> None:
        self._handlers = handlers
        self._loopback = loopback
        self._network = network
        self._drift_ppm = drift_ppm
        guard_datagrams()
        # Without servers of our own aiortc would ask Google's, and wait 5 s where it cannot.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel: RTCDataChannel | None = None
        self._channel_offered = False
        self._opened = False
        self._tasks: list[asyncio.Task[None]] = []
        self._connection.on("datachannel", self._on_channel)
        self._connection.on("track", self._on_track)
        self._connection.on("connectionstatechange", self._on_state)

    async def answer(self, offer: str) -> str:
        """Return the answer to a checked SDP offer; the connection then builds itself up.

        Raises:
            InvalidOfferError: The offer cannot be answered; the peer must still be closed.
            Rejected: The machine has no socket left; the peer must still be closed.
        """
        self._channel_offered = offers_channel(offer)
        self._connection.addTrack(PacedTrack(self._handlers.next_frame, self._drift_ppm))
        self._prefer_codecs()
        try:
            await self._connection.setRemoteDescription(
                RTCSessionDescription(sdp=offer, type="offer")
            )
            answer = await self._connection.createAnswer()
            shield(self._connection)
            with gathering(Hosts.LOOPBACK if self._loopback else Hosts.ALL):
                await self._connection.setLocalDescription(answer)
        except Exception as error:  # aiortc works with asserts, indexes and int(): any of them
            raise InvalidOfferError(repr(error)) from error
        answered = self._connection.localDescription.sdp
        if "\na=candidate:" not in answered:
            raise no_sockets()
        self._network.attach(self._connection)
        return answered

    def send(self, message: str | bytes) -> None:
        """Send a message, if there is a channel to send it on.

        Raises:
            ValueError: It is longer than the other side accepts.
        """
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(message)

    @property
    def junk_packets(self) -> int:
        """How many datagrams came that do not belong to the call, and were dropped."""
        return sum(one.junk for one in traffic(self._connection))

    @property
    def unread_bytes(self) -> int:
        """What waits for the other side to take it."""
        return 0 if self._channel is None else int(self._channel.bufferedAmount)

    def close_channel(self) -> None:
        """Close the channel and nothing else."""
        if self._channel is not None:
            self._channel.close()

    async def close(self) -> None:
        """Send what is waiting and end the call; may be called again."""
        for _ in range(_DRAIN_STEPS):
            if self._channel is None or not self._channel.bufferedAmount:
                break
            await asyncio.sleep(_DRAIN_STEP_S)
        try:
            await peer_connection.close(self._connection)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _prefer_codecs(self) -> None:
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        preferred = [codec for name in _ANSWER_CODECS for codec in codecs
                     if codec.mimeType.lower() == name]  # fmt: skip
        for transceiver in self._connection.getTransceivers():
            transceiver.setCodecPreferences(preferred)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._handlers.message)
        self._open()

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._pump(track)))

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._channel_offered:
            self._open()
        elif state in ("failed", "closed"):
            self._handlers.closed()

    def _open(self) -> None:
        if not self._opened:
            self._opened = True
            self._tasks.append(asyncio.create_task(release_idle_sockets(self._connection)))
            self._handlers.opened()

    async def _pump(self, track: MediaStreamTrack) -> None:
        # From the first moment and always: aiortc's queue has no bound.
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if self._opened and isinstance(frame, av.AudioFrame):
                    self._handlers.audio(frame)


def no_sockets() -> Rejected:
    """The refusal of a call for which no socket could be opened."""
    return Rejected(
        "The server has no socket left for another call.",
        code="session_limit_reached",
        status=503,
        kind=SERVER_ERROR,
        retry_after_s=1,
    )
