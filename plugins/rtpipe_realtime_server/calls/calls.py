"""The calls, and the sessions on WebSockets, that a server holds at a time."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtpipe_realtime_server.calls.call import WebRtcCall
from rtpipe_realtime_server.calls.driver import Driver
from rtpipe_realtime_server.calls.offer import checked
from rtpipe_realtime_server.calls.websocket import Socket, converse
from rtpipe_realtime_server.faults.knobs import AUDIO_FORMATS
from rtpipe_realtime_server.session.ids import random_text
from rtpipe_realtime_server.session.rejection import RETRY_AFTER_S, SERVER_ERROR, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp import web

    from rtpipe_realtime_server.calls.memory_socket import MemorySocket
    from rtpipe_realtime_server.faults.injection import CallFaults, Injector
    from rtpipe_realtime_server.limits import Limits
    from rtpipe_realtime_server.session.session import Session
    from rtpipe_realtime_server.talk.brain import Brain


class Calls:
    """Makes calls, finds them and ends them.

    Args:
        brain: Shared by all calls.
        loopback: Keep the calls on 127.0.0.1.
        on_note: Takes sentences for the server's log.
        lifetime_s: How long a session lasts.
        injector: Says what goes wrong in each.
        limits: What each may hold, and how many there may be.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        loopback: bool,
        on_note: Callable[[str], None],
        lifetime_s: float,
        injector: Injector,
        limits: Limits,
    ) -> None:
        self._brain = brain
        self._loopback = loopback
        self._note = on_note
        self._lifetime_s = lifetime_s
        self._injector = injector
        self._limits = limits
        self._places = 0
        """How many sessions there are, those included that are being made or closed."""
        self._running: dict[str, WebRtcCall] = {}
        self._connected: set[Driver] = set()
        """The sessions on WebSockets."""
        self._hang_ups: set[asyncio.Task[bool]] = set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for a session inside.

        Raises:
            Rejected: They are all taken.
        """
        self._check_room()
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    def _check_room(self) -> None:
        if self._places >= self._limits.sessions:
            raise Rejected(
                f"All {self._limits.sessions} sessions are in use (limit `sessions`).",
                code="session_limit_reached",
                status=503,
                kind=SERVER_ERROR,
                retry_after_s=RETRY_AFTER_S,
            )

    async def create(self, offer: str, session: Session) -> tuple[str, str]:
        """Answer `offer`; return the call's id and the SDP answer.

        Raises:
            InvalidOfferError: No call was made.
            Rejected: There is no room for another.
        """
        offer = checked(offer)  # before there is a connection to be closed again
        self._check_room()
        call_id = f"rtc_u0_{random_text(21)}"
        faults = self._injector.for_call()
        call = WebRtcCall(
            call_id,
            self._driver(f"call {call_id}", session, faults, media=True),
            loopback=self._loopback,
            most_waiting=self._limits.session_bytes,
            faults=faults,
            on_note=self._note,
            on_ended=self._forget,
        )
        self._running[call.id] = call
        self._places += 1
        try:
            return call.id, await call.answer(offer)
        except BaseException:
            await self.hang_up(call.id)
            raise

    def find(self, call_id: str) -> WebRtcCall:
        """Return a call.

        Raises:
            Rejected: There is none with this id.
        """
        if call_id not in self._running:
            raise Rejected(
                f"No call with id '{call_id}' was found.", code="call_id_not_found", status=404
            )
        return self._running[call_id]

    async def listen_in(self, ws: web.WebSocketResponse, call: WebRtcCall) -> None:
        """Be the sideband of a call until one of the two ends."""
        await Socket(ws, call.driver, most_waiting=self._limits.session_bytes).talk()

    async def converse(self, ws: web.WebSocketResponse | MemorySocket, session: Session) -> None:
        """Hold a session on a WebSocket until it ends; its `place` is taken."""
        faults = self._injector.for_call(most_bytes=None)
        if faults.knobs.audio_format is not None:
            session.keep_format(AUDIO_FORMATS[faults.knobs.audio_format])
        driver = self._driver(f"session {session.id}", session, faults, media=False)
        self._connected.add(driver)
        try:
            await converse(ws, driver, most_waiting=self._limits.session_bytes)
        finally:
            self._connected.discard(driver)
            self._note(f"{driver.name} has ended")

    async def hang_up(self, call_id: str) -> bool:
        """End a call; return False when there is none with this id."""
        call = self._running.pop(call_id, None)
        if call is None:
            return False
        try:
            await call.close()
        finally:
            self._places -= 1
        self._note(f"call {call_id} has ended")
        return True

    async def close(self) -> None:
        """End everything."""
        await asyncio.gather(
            *(self.hang_up(call_id) for call_id in list(self._running)),
            *(driver.close("The server is going away.") for driver in list(self._connected)),
        )
        await asyncio.gather(*self._hang_ups)

    def _driver(self, name: str, session: Session, faults: CallFaults, *, media: bool) -> Driver:
        return Driver(
            name,
            session,
            self._brain,
            media=media,
            lifetime_s=self._lifetime_s,
            limits=self._limits,
            faults=faults,
            on_note=self._note,
        )

    def _forget(self, call: WebRtcCall) -> None:
        hang_up = asyncio.create_task(self.hang_up(call.id))
        self._hang_ups.add(hang_up)
        hang_up.add_done_callback(self._hang_ups.discard)
