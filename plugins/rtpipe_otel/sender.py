"""Delivery: spans wait in a bounded queue and are posted by a task of their own."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rtpipe import Backoff, Event, reason_of
from rtpipe_otel import encoding
from rtpipe_otel.events import OtelConnected, OtelDisconnected, OtelSpansLost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import ClientSession

    from rtpipe_otel.section import OtelOptions
    from rtpipe_otel.spans import Span, Value

FLUSH_S = 3.0
"""How long the end of a pipeline waits for what has not been sent."""
_GATHER_S = 1.0
_BATCH = 256
_TELL_EVERY_S = 60.0
_LONGEST_ANSWER = 65_536
_RETRYABLE = frozenset({429, 502, 503, 504})
"""What the OTLP specification says may be tried again; all else is refused for good."""


class _LaterError(Exception):
    """The receiver did not take a batch, and may take it later."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class _RefusedError(Exception):
    """The receiver will never take a batch."""


class Sender:
    """Posts spans to a receiver.

    Args:
        options: Where, and how many may wait.
        resource: Who sends them.
        version: Of rtpipe.
        tell: Publishes an event.
        backoff: The pauses between attempts.
    """

    def __init__(
        self,
        options: OtelOptions,
        resource: Mapping[str, Value],
        version: str,
        tell: Callable[[Event], None],
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._options, self._resource, self._version = options, resource, version
        self._tell = tell
        self._backoff = backoff or Backoff(initial_s=1.0, max_s=60.0)
        self._host = urlsplit(options.address).hostname or ""
        self._waiting: deque[Span] = deque()
        self._sending: list[Span] = []
        self._woken = asyncio.Event()
        self._reached: bool | None = None
        self._untold, self._why = 0, ""
        self.lost = 0
        self._told_at = float("-inf")
        self._ending = False
        self._task = asyncio.create_task(self._run(), name="otel")

    def put(self, span: Span) -> None:
        """Have `span` sent; never blocks. The oldest goes where too many wait."""
        if len(self._waiting) + len(self._sending) >= self._options.queue:
            if self._waiting:
                self._waiting.popleft()
            self._lose(1, "the queue is full")
        self._waiting.append(span)
        self._woken.set()

    async def close(self) -> None:
        """Send what waits, for at most `FLUSH_S`; the rest is lost, and told."""
        self._ending = True
        self._woken.set()
        await asyncio.wait({self._task}, timeout=FLUSH_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        left = len(self._waiting) + len(self._sending)
        self._waiting.clear()
        if left:
            self._lose(left, f"not delivered within {FLUSH_S:g} s of the end")
        self._tell_lost(now=True)

    async def _run(self) -> None:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        headers = {
            **{name: value.get_secret_value() for name, value in self._options.headers.items()},
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"rtpipe/{self._version}",
        }
        ca = self._options.ca
        trusted = True if ca is None else ssl.create_default_context(cafile=ca)
        timeout = ClientTimeout(total=self._options.timeout_s)
        async with ClientSession(
            headers=headers, timeout=timeout, connector=TCPConnector(ssl=trusted)
        ) as session:
            while not (self._ending and not self._waiting):
                await self._woken.wait()
                self._woken.clear()
                await self._until_the_end(_GATHER_S)  # so that a turn's spans go in one request
                while self._waiting:
                    await self._deliver(session)

    async def _until_the_end(self, most_s: float) -> None:
        """Wait for so long, or until the pipeline ends."""
        loop = asyncio.get_running_loop()
        until = loop.time() + most_s
        while not self._ending and (left := until - loop.time()) > 0:
            self._woken.clear()
            try:
                await asyncio.wait_for(self._woken.wait(), left)
            except TimeoutError:
                return

    async def _deliver(self, session: ClientSession) -> None:
        """Post a batch until it is taken, refused, or the task cancelled."""
        self._sending = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        failures = 0
        while self._sending:
            try:
                body = encoding.request(self._sending, self._resource, self._version)
                rejected, why = await self._post(session, body)
            except _LaterError as later:
                self._away(str(later))
                await self._pause(self._backoff.pause_s(failures, later.after_s))
                failures += 1
            except _RefusedError as refused:
                self._away(str(refused))
                self._lose(len(self._sending), str(refused))
                self._sending = []
            else:
                self._there()
                if rejected:
                    self._lose(rejected, why or "the receiver rejected them")
                self._sending = []

    async def _pause(self, pause_s: float) -> None:
        """Wait; the end of the pipeline has one more attempt made at once."""
        if self._ending:
            await asyncio.sleep(min(pause_s, FLUSH_S / 4))
        else:
            await self._until_the_end(pause_s)

    async def _post(self, session: ClientSession, body: bytes) -> tuple[int, str]:
        """Post a request; returns how many spans of it were rejected all the same, and why."""
        from aiohttp import ClientError

        try:
            async with session.post(
                self._options.address, data=body, allow_redirects=False
            ) as answer:
                if answer.status in _RETRYABLE:
                    asked = answer.headers.get("Retry-After", "")
                    after_s = float(asked) if asked.isascii() and asked.isdecimal() else 0.0
                    raise _LaterError(_phrase(answer.status), after_s)
                if answer.status // 100 != 2:
                    raise _RefusedError(_phrase(answer.status))
                said = await answer.content.read(_LONGEST_ANSWER)
        except TimeoutError:
            raise _LaterError(f"no answer within {self._options.timeout_s:g} s") from None
        except ssl.CertificateError as error:  # aiohttp's is one, too
            raise _LaterError(f"its certificate is not trusted: {_of_certificate(error)}") from None
        except ClientError as error:
            # Not its text: aiohttp's may hold the URL.
            raise _LaterError(reason_of(error, own_text=False)) from None
        try:
            return encoding.refused(said)
        except ValueError:
            return 0, ""

    def _there(self) -> None:
        if not self._reached:
            self._tell(OtelConnected(host=self._host))
        self._reached = True
        self._tell_lost(now=False)

    def _away(self, reason: str) -> None:
        if self._reached is not False:
            self._tell(OtelDisconnected(host=self._host, reason=reason))
        self._reached = False

    def _lose(self, count: int, reason: str) -> None:
        self._untold += count
        self.lost += count
        self._why = reason
        self._tell_lost(now=False)

    def _tell_lost(self, *, now: bool) -> None:
        at = asyncio.get_running_loop().time()
        if self._untold and (now or at - self._told_at >= _TELL_EVERY_S):
            self._told_at = at
            lost, self._untold = self._untold, 0
            self._tell(OtelSpansLost(lost=lost, total=self.lost, reason=self._why))


def _phrase(status: int) -> str:
    """Return a status in the standard's words: the server's own could repeat what we sent."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _of_certificate(error: BaseException) -> str:
    cause = getattr(error, "certificate_error", error)
    return getattr(cause, "verify_message", "") or type(cause).__name__
