"""One call over WebRTC: an offer and its answer, the audio, and the session behind them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np

from rtpipe_realtime_server.calls.driver import GOING_AWAY
from rtpipe_realtime_server.calls.peer_connection import AnsweringPeer, PeerHandlers
from rtpipe_realtime_server.media.resample import Resampler
from rtpipe_realtime_server.talk.player import FRAME

if TYPE_CHECKING:
    from collections.abc import Callable

    import av
    from numpy.typing import NDArray

    from rtpipe_realtime_server.calls.driver import Driver
    from rtpipe_realtime_server.faults.injection import CallFaults
    from rtpipe_realtime_server.talk.outputs import Event

_CONNECT_S = 30.0


class WebRtcCall:
    """A call from its offer to its end.

    Args:
        call_id: Its id, `rtc_…`.
        driver: Its session.
        loopback: Stay on 127.0.0.1.
        most_waiting: A caller that leaves more bytes of events than this unread is hung up on.
        faults: What goes wrong in it.
        on_note: Takes sentences for the server's log.
        on_ended: Called once when the call is over by itself; `close` must follow.
    """

    def __init__(
        self,
        call_id: str,
        driver: Driver,
        *,
        loopback: bool,
        most_waiting: int,
        faults: CallFaults,
        on_note: Callable[[str], None],
        on_ended: Callable[[WebRtcCall], None],
    ) -> None:
        self.id = call_id
        self.driver = driver
        self._note = on_note
        self._on_ended = on_ended
        self._most_waiting = most_waiting
        self._resampler = Resampler()
        self._faults = faults
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._junk = 0
        driver.attach(self)
        self._peer = AnsweringPeer(
            PeerHandlers(
                opened=self._opened,
                audio=lambda frame: driver.run(lambda: self._hear(frame)),
                message=driver.receive,
                closed=self._end,
                next_frame=self._next_frame,
            ),
            loopback=loopback,
            network=faults.network,
            drift_ppm=faults.knobs.drift_ppm or 0.0,
        )

    async def answer(self, offer: str) -> str:
        """Return the SDP answer to `offer`.

        Raises:
            InvalidOfferError: The call must be closed.
        """
        answer = await self._peer.answer(offer)
        self._timer = asyncio.get_running_loop().call_later(_CONNECT_S, self._give_up)
        return answer

    def send(self, event: Event) -> None:
        """Send an event on the data channel."""
        try:
            self._peer.send(json.dumps(event))
        except ValueError:
            self._note(f"call {self.id}: {event['type']} is longer than the caller accepts")
        if self._peer.unread_bytes > self._most_waiting and not self._ended:
            self._note(f"call {self.id} is ended: the caller does not read its events")
            self._end()

    def send_raw(self, message: str | bytes) -> None:
        """Send what is no event on the data channel."""
        self._peer.send(message)

    def hang_up(self, reason: str, code: int = GOING_AWAY) -> None:
        """End the call: WebRTC has no place for a reason or a code."""
        del reason, code
        self._end()

    async def close(self) -> None:
        """End the call and everything that runs for it; may be called again."""
        self._ended = True
        junk, self._junk = self._peer.junk_packets - self._junk, self._peer.junk_packets
        if junk:
            self._note(f"call {self.id}: {junk} datagrams did not belong to it: dropped")
        if self._timer is not None:
            self._timer.cancel()
        await self.driver.close()
        await self._peer.close()

    def _opened(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._faults.network.connected()
        close_after_s = self._faults.knobs.close_channel_s
        if close_after_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(close_after_s, self._peer.close_channel)
        self.driver.open()

    def _give_up(self) -> None:
        self._note(f"call {self.id} was not connected within {_CONNECT_S:g} s")
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_ended(self)

    def _hear(self, frame: av.AudioFrame) -> None:
        self.driver.protocol.hear(self._resampler.frame(frame))

    def _next_frame(self) -> NDArray[np.int16]:
        frame = np.zeros(FRAME, np.int16)

        def tick() -> None:
            nonlocal frame
            frame = self.driver.protocol.tick()

        self.driver.run(tick)
        return frame
