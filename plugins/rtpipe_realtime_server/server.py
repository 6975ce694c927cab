"""The embedded Realtime server: HTTP in front, calls behind it, one brain for all of them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from aiohttp import web

from rtpipe import EnvironmentProblem, reason_of
from rtpipe_realtime_server.calls.calls import Calls
from rtpipe_realtime_server.calls.http import Api
from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.session.session import SESSION_SECONDS
from rtpipe_webrtc.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe_realtime_server.talk.brain import Brain


_REMEDIES = {
    errno.EADDRINUSE: "Choose another port; 0 takes a free one.",
    errno.EACCES: "Choose a port from 1024 up; 0 takes a free one.",
}
_SHUTDOWN_S = 1.0
"""For so long `close` waits for requests that are being answered."""


class RealtimeServer:
    """A server that speaks OpenAI's Realtime protocol over WebRTC and WebSockets.

    Args:
        brain: Listens and speaks; loaded by `start`, closed by `close`.
        host: Address to listen on. On a loopback address calls stay on 127.0.0.1 too.
        port: Port to listen on; 0 takes a free one.
        api_key: The only key to accept; None accepts any that is not empty.
        session_s: How long a session lasts, in seconds; then it is told so and the call ends.
        faults: What goes wrong on purpose; None: nothing.
        seed: Decides what the faults leave to chance.
        on_note: Takes sentences for a log: calls, words, troubles.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        session_s: float = SESSION_SECONDS,
        faults: Faults | None = None,
        seed: int = 0,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self._brain = brain
        self._host = host
        self._port = port
        note = on_note or (lambda _sentence: None)
        injector = Injector(faults or Faults(), seed)
        self._calls = Calls(
            brain,
            loopback=is_loopback(host),
            on_note=note,
            lifetime_s=session_s,
            injector=injector,
        )
        self._api = Api(self._calls, api_key=api_key, session_s=session_s, faults=injector.http)
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL; the port is known after `start`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    async def start(self) -> None:
        """Load the brain and listen.

        Raises:
            EnvironmentProblem: The address is taken or not ours.
        """
        self._runner = web.AppRunner(self._api.app(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        try:
            await self._runner.setup()
            await self._listen(self._runner)
            await self._brain.load()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End all calls and stop listening; may be called again."""
        runner, self._runner = self._runner, None
        await self._calls.close()
        if runner is not None:
            await runner.cleanup()
            await self._brain.close()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            raise EnvironmentProblem(
                f"Cannot listen on {self._host}:{self._port}: {reason_of(error)}.",
                help=_REMEDIES.get(error.errno or 0, "Choose an address of this machine."),
            ) from error
        self._port = runner.addresses[0][1]
