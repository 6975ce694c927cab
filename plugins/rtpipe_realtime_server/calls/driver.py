"""Drives a session's protocol: the client's connections on one side, the brain on the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rtpipe_realtime_server.faults.answers import spoilt
from rtpipe_realtime_server.faults.events import Later, Raw, Reported
from rtpipe_realtime_server.heap import return_freed_memory
from rtpipe_realtime_server.media.detector import SpeechDetector
from rtpipe_realtime_server.talk.outputs import (
    Abandon,
    Command,
    EndSession,
    Event,
    Foresee,
    Output,
    Reply,
    Speak,
    Transcribe,
)
from rtpipe_realtime_server.talk.protocol import Protocol as RealtimeProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe_realtime_server.faults.injection import CallFaults
    from rtpipe_realtime_server.limits import Limits
    from rtpipe_realtime_server.session.session import Session
    from rtpipe_realtime_server.talk.brain import Brain, BrainAnswer

Found = TypeVar("Found")
_MUCH = 8_000_000
"""Bytes of messages after which the heap has grown by more than it is worth to tidy up."""
GOING_AWAY = 1001
"""The close code with which a server ends a WebSocket of its own accord."""


class ClientConnection(Protocol):
    """A way to the client: a data channel, a WebSocket; none of these methods may raise."""

    def send(self, event: Event) -> None:
        """Send an event."""
        raise NotImplementedError

    def send_raw(self, message: str | bytes) -> None:
        """Send what is no event: a fault."""
        raise NotImplementedError

    def hang_up(self, reason: str, code: int = GOING_AWAY) -> None:
        """End once everything has been sent; said twice, the first counts.

        Args:
            reason: Why, where there is a place to say it.
            code: Close code of a WebSocket.
        """
        raise NotImplementedError


class Driver:
    """A session from its first event to its end.

    Args:
        name: Begins its sentences in the server's log.
        session: Its settings.
        brain: Listens and speaks; shared by all sessions.
        media: The audio travels beside the events, as over WebRTC, and not in them.
        lifetime_s: How long the session lasts from now on.
        limits: What it may hold.
        faults: What goes wrong in it.
        on_note: Takes sentences for the server's log.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        brain: Brain,
        *,
        media: bool,
        lifetime_s: float,
        limits: Limits,
        faults: CallFaults,
        on_note: Callable[[str], None],
    ) -> None:
        self.name = name
        self.protocol = RealtimeProtocol(
            session, is_speech=SpeechDetector(), media=media, limits=limits
        )
        self._media = media
        self._brain = brain
        self._faults = faults
        self._note = on_note
        self._expires_at = asyncio.get_running_loop().time() + lifetime_s
        self._timers: list[asyncio.TimerHandle] = []
        self._connections: list[ClientConnection] = []
        self._thoughts: dict[asyncio.Task[None], str] = {}
        """What the brain is doing, with the id of the item or response it is for."""
        self._foreseen: tuple[str, asyncio.Task[str]] | None = None
        """Whose words are looked for before they are asked for."""
        self._ended = False
        self.bytes_received = 0
        """Of its client's messages."""
        self.busy = asyncio.Event()
        """Set while the session's time has to pass: something is being answered or played."""

    def attach(self, connection: ClientConnection) -> None:
        """Send on `connection` too what comes from now on."""
        if self._ended:
            connection.hang_up("")
        else:
            self._connections.append(connection)

    def detach(self, connection: ClientConnection) -> None:
        """Send nothing on `connection` any more."""
        if connection in self._connections:
            self._connections.remove(connection)

    def open(self) -> None:
        """Begin: the client can receive events."""
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_at(self._expires_at, self.run, self.protocol.expire))
        if self._faults.knobs.hang_up_s is not None:
            self._timers.append(loop.call_later(self._faults.knobs.hang_up_s, self._end, ""))
        self._note(f"{self.name} is open")
        self.run(self.protocol.open)
        knobs = self._faults.knobs
        if not self._media and knobs.close_code is not None and knobs.hang_up_s is None:
            self._end("")

    def run(self, step: Callable[[], object]) -> None:
        """Take a step of the protocol, and pass on what comes of it; never raises."""
        # Everything that touches the protocol runs in a callback of aiortc or of the loop, and
        # what is raised in one of aiortc's can stop its transport without a word.
        if self._ended:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - see above
            self._note(f"{self.name}: a fault of the server: {error!r}")
            self.protocol.report_failure()
        self._pass_on(self.protocol.take())
        if self.protocol.idle:
            self.busy.clear()
        else:
            self.busy.set()

    def receive(self, message: str | bytes) -> None:
        """Take a message of the client; never raises."""
        self.bytes_received += len(message)
        self.run(lambda: self.protocol.receive(self._faults.events.received(message)))

    async def close(self, reason: str = "") -> None:
        """End the session and everything that runs for it; may be called again."""
        self._end(reason)
        thoughts: list[asyncio.Task[Any]] = list(self._thoughts)
        if self._foreseen is not None:
            thoughts.append(self._foreseen[1])
        for thought in thoughts:
            thought.cancel()
        await asyncio.gather(*thoughts, return_exceptions=True)
        self.protocol.forget()
        if self.bytes_received > _MUCH:
            await asyncio.to_thread(return_freed_memory)

    def _end(self, reason: str) -> None:
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        connections, self._connections = self._connections, []
        for connection in connections:
            knobs = self._faults.knobs
            connection.hang_up(knobs.close_reason or reason, knobs.close_code or GOING_AWAY)

    def _pass_on(self, outputs: list[Output]) -> None:
        for output in self._faults.events.apply(outputs):
            if isinstance(output, dict):
                self._send(output)
            elif isinstance(output, Later):
                after_s = output.delay_ms / 1000
                loop = asyncio.get_running_loop()
                self._timers.append(loop.call_later(after_s, self._send, output.event))
            elif isinstance(output, Raw):
                for connection in self._connections[:1]:
                    connection.send_raw(output.message)
            else:
                self._carry_out(output)

    def _send(self, event: Event) -> None:
        for connection in list(self._connections):
            connection.send(event)

    def _carry_out(self, command: Command) -> None:
        brain, protocol = self._brain, self.protocol
        match command:
            case Transcribe(item_id, pcm):
                self._think(
                    item_id,
                    lambda: self._words(item_id, pcm),
                    lambda words: self._transcribed(item_id, words),
                    lambda: protocol.transcription_failed(item_id),
                )
            case Foresee(item_id, pcm):
                self._foresee(item_id, pcm)
            case Reply(response_id, question):
                if question.heard:
                    self._note(f"{self.name} heard: {question.heard}")
                self._think(
                    response_id,
                    lambda: brain.reply(question),
                    lambda answer: self._replied(response_id, answer),
                    lambda: protocol.response_failed(response_id),
                )
            case Speak(response_id, text, voice):
                self._think(
                    response_id,
                    lambda: brain.speak(text, voice),
                    lambda utterance: protocol.spoken(response_id, utterance),
                    lambda: protocol.response_failed(response_id),
                )
            case Abandon(owner_id):
                self._abandon(owner_id)
            case EndSession(reason):
                self._end(reason)

    async def _words(self, item_id: str, pcm: NDArray[np.int16]) -> str:
        """Return what was said; it may be known already."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None and foreseen[0] == item_id:
            return await foreseen[1]
        return await self._brain.transcribe(pcm)

    def _foresee(self, item_id: str, pcm: NDArray[np.int16]) -> None:
        if self._foreseen is not None:
            self._foreseen[1].cancel()
        words = asyncio.create_task(self._brain.transcribe(pcm))
        words.add_done_callback(lambda task: task.cancelled() or task.exception())  # may be vain
        self._foreseen = item_id, words

    def _abandon(self, owner_id: str) -> None:
        for thought, owner in self._thoughts.items():
            if owner == owner_id:
                thought.cancel()
        if self._foreseen is not None and self._foreseen[0] == owner_id:
            self._foreseen[1].cancel()
            self._foreseen = None

    def _replied(self, response_id: str, answer: BrainAnswer) -> None:
        answer = spoilt(answer, self._faults.knobs)
        if answer.words:
            self._note(f"{self.name} says: {answer.words}")
        for call in answer.calls:
            self._note(f"{self.name} calls: {call.name}")
        self.protocol.replied(response_id, answer)

    def _transcribed(self, item_id: str, words: str) -> None:
        if isinstance(words, Reported):
            self._faults.events.report(item_id, words.how)
        self.protocol.transcribed(item_id, words)

    def _think(
        self,
        owner: str,
        ask: Callable[[], Awaitable[Found]],
        then: Callable[[Found], None],
        otherwise: Callable[[], None],
    ) -> None:
        async def think() -> None:
            try:
                found = await ask()
            except Exception as error:  # noqa: BLE001 - a brain is anybody's; the session goes on
                self._note(f"{self.name}: the brain failed: {error!r}")
                self.run(otherwise)
            else:
                self.run(lambda: then(found))

        thought = asyncio.create_task(think())
        self._thoughts[thought] = owner
        thought.add_done_callback(self._thoughts.pop)
