"""The embedded Realtime server: HTTP in front, calls behind it, one brain for all of them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, reason_of
from rtpipe_realtime_server.calls.calls import Calls
from rtpipe_realtime_server.calls.doorway import Doorway
from rtpipe_realtime_server.calls.http import Api
from rtpipe_realtime_server.calls.origins import Origins
from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.session.session import SESSION_SECONDS
from rtpipe_webrtc.loopback import is_loopback

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from aiohttp import web

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
        limits: What it holds and waits for at most; None: the defaults.
        allow_origins: Web pages that may use it, beside those on loopback: `https://kiosk.example`,
            `null`, or `*` for all.
        on_note: Takes sentences for a log: calls, words, troubles.

    Raises:
        ValueError: One of `allow_origins` is no origin.
    """

    def __init__(  # noqa: PLR0913 - keywords, as those of the command
        self,
        brain: Brain,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        session_s: float = SESSION_SECONDS,
        faults: Faults | None = None,
        seed: int = 0,
        limits: Limits | None = None,
        allow_origins: Iterable[str] = (),
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self._brain = brain
        self._host = host
        self._port = port
        note = on_note or (lambda _sentence: None)
        limits = limits or Limits()
        injector = Injector(faults or Faults(), seed)
        self._calls = Calls(
            brain,
            loopback=is_loopback(host),
            on_note=note,
            lifetime_s=session_s,
            injector=injector,
            limits=limits,
        )
        self._api = Api(
            self._calls,
            api_key=api_key,
            session_s=session_s,
            origins=Origins(allow_origins, host),
            limits=limits,
            faults=injector.http,
            on_request=self._on_request,
        )
        self._limits = limits
        self._note = note
        self._doorway: Doorway | None = None
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
        self._runner = self._api.runner(_SHUTDOWN_S)
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
        doorway, self._doorway = self._doorway, None
        if doorway is not None:
            await doorway.close()
        await self._calls.close()
        if runner is not None:
            await runner.cleanup()
            await self._brain.close()

    async def _listen(self, runner: web.AppRunner) -> None:
        server = runner.server
        assert server is not None  # it is set up
        self._doorway = Doorway(server, self._limits, self._note)
        try:
            self._port = await self._doorway.open(self._host, self._port)
        except OSError as error:
            raise EnvironmentProblem(
                f"Cannot listen on {self._host}:{self._port}: {reason_of(error)}.",
                help=_REMEDIES.get(error.errno or 0, "Choose an address of this machine."),
            ) from error

    def _on_request(self, transport: asyncio.Transport | None) -> None:
        if self._doorway is not None:
            self._doorway.asked(transport)
