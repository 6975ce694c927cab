"""One call: drives the protocol with WebRTC on one side and the brain on the other."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rtpipe_plugins.realtime_server.detector import SpeechDetector
from rtpipe_plugins.realtime_server.media import Peer, PeerHandlers
from rtpipe_plugins.realtime_server.outputs import (
    Abandon,
    Command,
    Event,
    HangUp,
    Reply,
    Speak,
    Transcribe,
)
from rtpipe_plugins.realtime_server.playout import FRAME
from rtpipe_plugins.realtime_server.protocol import Protocol
from rtpipe_plugins.realtime_server.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import av
    from numpy.typing import NDArray

    from rtpipe_plugins.realtime_server.brain import Brain
    from rtpipe_plugins.realtime_server.session import Session

_CONNECT_S = 30.0

Answer = TypeVar("Answer")


class Call:
    """A call from its offer to its end.

    Args:
        call_id: Its id, `rtc_…`.
        session: Its settings.
        brain: Listens and speaks; shared by all calls.
        loopback: Stay on 127.0.0.1.
        lifetime_s: How long the session lasts from now on.
        on_note: Takes sentences for the server's log.
        on_ended: Called once when the call is over by itself; `close` must follow.
    """

    def __init__(
        self,
        call_id: str,
        session: Session,
        brain: Brain,
        *,
        loopback: bool,
        lifetime_s: float,
        on_note: Callable[[str], None],
        on_ended: Callable[[Call], None],
    ) -> None:
        self.id = call_id
        self._brain = brain
        self._note = on_note
        self._on_ended = on_ended
        self._protocol = Protocol(session, is_speech=SpeechDetector())
        self._expires_at = asyncio.get_running_loop().time() + lifetime_s
        self._resampler = Resampler()
        self._thoughts: dict[asyncio.Task[None], str] = {}
        """What the brain is doing, with the id of the item or response it is for."""
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._peer = Peer(
            PeerHandlers(
                opened=self._opened,
                audio=lambda frame: self._guard(lambda: self._hear(frame)),
                message=lambda message: self._guard(lambda: self._protocol.receive(message)),
                closed=self._end,
                next_frame=self._next_frame,
            ),
            loopback=loopback,
        )

    async def answer(self, offer: str) -> str:
        """Return the SDP answer to `offer`.

        Raises:
            InvalidOfferError: The call must be closed.
        """
        answer = await self._peer.answer(offer)
        self._timer = asyncio.get_running_loop().call_later(_CONNECT_S, self._give_up)
        return answer

    async def close(self) -> None:
        """End the call and everything that runs for it; may be called again."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        thoughts = list(self._thoughts)
        for thought in thoughts:
            thought.cancel()
        await asyncio.gather(*thoughts, return_exceptions=True)
        await self._peer.close()

    def _opened(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(
            self._expires_at, self._guard, self._protocol.expire
        )
        self._note(f"call {self.id} is open")
        self._guard(self._protocol.open)

    def _give_up(self) -> None:
        self._note(f"call {self.id} was not connected within {_CONNECT_S:g} s")
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_ended(self)

    def _hear(self, frame: av.AudioFrame) -> None:
        self._protocol.hear(self._resampler.frame(frame))

    def _next_frame(self) -> NDArray[np.int16]:
        frame = np.zeros(FRAME, np.int16)

        def tick() -> None:
            nonlocal frame
            frame = self._protocol.tick()

        self._guard(tick)
        return frame

    def _guard(self, step: Callable[[], None]) -> None:
        # Everything that touches the protocol runs in a callback of aiortc or of the loop, and
        # what is raised in one of aiortc's can stop its transport without a word.
        if self._ended:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - see above
            self._note(f"call {self.id}: a fault of the server: {error!r}")
            self._protocol.report_failure()
        for output in self._protocol.take():
            if isinstance(output, dict):
                self._send(output)
            else:
                self._carry_out(output)

    def _send(self, event: Event) -> None:
        try:
            self._peer.send(json.dumps(event))
        except ValueError:
            self._note(f"call {self.id}: {event['type']} is longer than the caller accepts")

    def _carry_out(self, command: Command) -> None:
        brain, protocol = self._brain, self._protocol
        match command:
            case Transcribe(item_id, pcm):
                self._think(
                    item_id,
                    brain.transcribe(pcm),
                    lambda words: protocol.transcribed(item_id, words),
                    lambda: protocol.transcription_failed(item_id),
                )
            case Reply(response_id, heard, instructions):
                self._note(f"call {self.id} heard: {heard}")
                self._think(
                    response_id,
                    brain.reply(heard, instructions),
                    lambda words: protocol.replied(response_id, words),
                    lambda: protocol.response_failed(response_id),
                )
            case Speak(response_id, text, voice):
                self._note(f"call {self.id} says: {text}")
                self._think(
                    response_id,
                    brain.speak(text, voice),
                    lambda utterance: protocol.spoken(response_id, utterance),
                    lambda: protocol.response_failed(response_id),
                )
            case Abandon(response_id):
                for thought, owner in self._thoughts.items():
                    if owner == response_id:
                        thought.cancel()
            case HangUp():
                self._end()

    def _think(
        self,
        owner: str,
        answer: Awaitable[Answer],
        then: Callable[[Answer], None],
        otherwise: Callable[[], None],
    ) -> None:
        async def think() -> None:
            try:
                found = await answer
            except Exception as error:  # noqa: BLE001 - a brain is anybody's; the call goes on
                self._note(f"call {self.id}: the brain failed: {error!r}")
                self._guard(otherwise)
            else:
                self._guard(lambda: then(found))

        thought = asyncio.create_task(think())
        self._thoughts[thought] = owner
        thought.add_done_callback(self._thoughts.pop)
