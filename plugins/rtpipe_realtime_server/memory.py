"""The Realtime server without HTTP: sessions in this process, on the clock of its event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtpipe import local_time
from rtpipe_realtime_server.calls.calls import Calls
from rtpipe_realtime_server.calls.memory_socket import MemorySocket, memory_sockets
from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.session.ids import random_id
from rtpipe_realtime_server.session.session import DEFAULT_MODEL, SESSION_SECONDS, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_realtime_server.talk.brain import Brain


class MemoryServer:
    """The sessions of `RealtimeServer` over `MemorySocket`s: no port, no key, no real time.

    Args:
        brain: Answers; loaded by `start`, closed by `close`.
        session_s: How long a session lasts, in seconds of the event loop.
        faults: What goes wrong on purpose; those of HTTP and of a network cannot.
        seed: Decides what the faults leave to chance.
        on_note: Takes sentences for a log.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        session_s: float = SESSION_SECONDS,
        faults: Faults | None = None,
        seed: int = 0,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self._brain = brain
        self._session_s = session_s
        self._calls = Calls(
            brain,
            loopback=True,
            on_note=on_note or (lambda _sentence: None),
            lifetime_s=session_s,
            injector=Injector(faults or Faults(), seed),
            limits=Limits(),
        )
        self._sessions: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Load the brain.

        Raises:
            EnvironmentProblem: It lacks something.
        """
        await self._brain.load()

    def connect(self, model: str = DEFAULT_MODEL) -> MemorySocket:
        """Open a session; returns the client's end."""
        near, far = memory_sockets()
        session = Session(
            {"type": "realtime", "model": model},
            session_id=random_id("sess"),
            expires_at=int(local_time().timestamp() + self._session_s),
        )
        task = asyncio.create_task(self._hold(far, session))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
        return near

    async def _hold(self, socket: MemorySocket, session: Session) -> None:
        with self._calls.place():
            await self._calls.converse(socket, session)

    async def close(self) -> None:
        """End all sessions; may be called again."""
        await self._calls.close()
        await asyncio.gather(*self._sessions)
        await self._brain.close()
