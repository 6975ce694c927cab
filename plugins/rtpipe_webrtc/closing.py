"""Closing an aiortc connection so that nothing of it goes on.

Imports aiortc; imported only when there is a call.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiortc import RTCDtlsTransport, RTCPeerConnection

_CONNECTING_S = 1.0


async def close(connection: RTCPeerConnection) -> None:
    """Close `connection`; may be called again.

    Whoever closes it within the 20 ms in which aioice (0.13) turns from its last check to its
    consent checks stops neither: they would go on for as long as the program does.
    """
    ices = [dtls.transport for dtls in transports(connection)]
    connecting = [ice for ice in ices if ice.state in {"new", "checking"}]
    await connection.close()
    for ice in connecting:
        # Private in aiortc and aioice, and optional here: without them there is only the leak.
        started: asyncio.Event | None = getattr(ice, "_RTCIceTransport__start", None)
        if started is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(started.wait(), _CONNECTING_S)
        consent: asyncio.Task[Any] | None = getattr(ice._connection, "_query_consent_task", None)  # noqa: SLF001 - as above
        if consent is not None:
            consent.cancel()
            await asyncio.gather(consent, return_exceptions=True)


def transports(connection: RTCPeerConnection) -> list[RTCDtlsTransport]:
    """Return the transports of `connection`, each once: sections share them."""
    found = [one.receiver.transport for one in connection.getTransceivers()]
    if connection.sctp is not None:
        found.append(connection.sctp.transport)
    return list(dict.fromkeys(found))
