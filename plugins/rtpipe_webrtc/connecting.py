"""Connecting with aiortc so that what goes wrong is told, and an answer is taken at its word."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from aiortc import RTCIceTransport, RTCPeerConnection

_CONNECT = "_RTCPeerConnection__connect"


def contain_failures(
    connection: RTCPeerConnection, on_failure: Callable[[Exception], None]
) -> None:
    """Have `on_failure` called with what goes wrong while `connection` is connecting.

    aiortc connects in a task that nobody awaits: an error would be a traceback at its end.
    """
    connect: Any = getattr(connection, _CONNECT, None)  # private, and optional here
    if connect is None:
        return

    async def contained() -> None:
        try:
            await connect()
        except Exception as error:  # noqa: BLE001 - five unrelated types have been seen
            on_failure(error)

    setattr(connection, _CONNECT, contained)


def has_candidates(connection: RTCPeerConnection) -> bool:
    """Return whether `connection`, which has gathered, has an address of ours to offer."""
    return any(ice.iceGatherer.getLocalCandidates() for ice in _ice_transports(connection))


def take_payload_types(
    connection: RTCPeerConnection, mime_type: str, payload_types: Collection[int]
) -> None:
    """Have `connection`, just given an answer, take a codec by more payload types.

    An answer may give a codec another number than our offer did. The number in a description is
    for what is sent to whoever wrote it (RFC 3264), so a far end may send by ours. aiortc takes
    only those of the answer.
    """
    for transceiver in connection.getTransceivers():
        codecs = transceiver._codecs  # noqa: SLF001 - there is no other way
        known = {codec.payloadType for codec in codecs}
        base = next((one for one in codecs if one.mimeType.lower() == mime_type), None)
        for number in sorted(set(payload_types) - known):
            if base is not None:
                codec = copy.deepcopy(base)
                codec.payloadType = number
                codecs.append(codec)


def _ice_transports(connection: RTCPeerConnection) -> Iterator[RTCIceTransport]:
    for transceiver in connection.getTransceivers():
        yield transceiver.receiver.transport.transport
    if connection.sctp is not None:
        yield connection.sctp.transport.transport
