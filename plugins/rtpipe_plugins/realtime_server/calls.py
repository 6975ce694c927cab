"""The calls that a server holds at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe_plugins.realtime_server.call import Call
from rtpipe_plugins.realtime_server.ids import random_text
from rtpipe_plugins.realtime_server.session import SESSION_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_plugins.realtime_server.brain import Brain
    from rtpipe_plugins.realtime_server.session import Session


class Calls:
    """Makes calls, finds them and ends them.

    Args:
        brain: Shared by all calls.
        loopback: Keep the calls on 127.0.0.1.
        on_note: Takes sentences for the server's log.
        lifetime_s: How long a session lasts.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        loopback: bool,
        on_note: Callable[[str], None],
        lifetime_s: float = SESSION_SECONDS,
    ) -> None:
        self._brain = brain
        self._loopback = loopback
        self._note = on_note
        self._lifetime_s = lifetime_s
        self._running: dict[str, Call] = {}
        self._endings: set[asyncio.Task[bool]] = set()

    async def create(self, offer: str, session: Session) -> tuple[str, str]:
        """Answer `offer`; return the call's id and the SDP answer.

        Raises:
            InvalidOfferError: No call was made.
        """
        call = Call(
            f"rtc_u0_{random_text(21)}",
            session,
            self._brain,
            loopback=self._loopback,
            lifetime_s=self._lifetime_s,
            on_note=self._note,
            on_ended=self._forget,
        )
        self._running[call.id] = call
        try:
            return call.id, await call.answer(offer)
        except BaseException:
            await self.hang_up(call.id)
            raise

    async def hang_up(self, call_id: str) -> bool:
        """End a call; return False when there is none with this id."""
        call = self._running.pop(call_id, None)
        if call is None:
            return False
        await call.close()
        self._note(f"call {call_id} has ended")
        return True

    async def close(self) -> None:
        """End all calls."""
        await asyncio.gather(*(self.hang_up(call_id) for call_id in list(self._running)))
        await asyncio.gather(*self._endings)

    def _forget(self, call: Call) -> None:
        ending = asyncio.create_task(self.hang_up(call.id))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
