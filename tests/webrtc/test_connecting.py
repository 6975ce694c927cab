"""Connecting with aiortc: its failures are told, and a codec goes by more than one number."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError

from rtpipe_webrtc.connecting import contain_failures, has_candidates, take_payload_types

CONNECT = "_RTCPeerConnection__connect"


@pytest.fixture
async def connection() -> Any:
    ours = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    ours.addTransceiver("audio")
    yield ours
    await ours.close()


async def test_what_goes_wrong_while_connecting_is_told_and_leaves_no_traceback(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiortc (1.16) connects in a task that nobody awaits: its error was told when collected."""

    async def fail(_: Any) -> None:
        raise InvalidStateError("RTCIceTransport is closed")

    monkeypatch.setattr(RTCPeerConnection, CONNECT, fail)  # fails where the name is another
    untold: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: untold.append(context))
    failures: list[Exception] = []
    contain_failures(connection, failures.append)
    await connection.setLocalDescription(await connection.createOffer())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert [str(failure) for failure in failures] == ["RTCIceTransport is closed"]
    assert untold == []


async def test_whether_there_is_anything_to_offer(connection: Any) -> None:
    assert not has_candidates(connection)


async def test_a_codec_goes_by_the_numbers_of_the_answer_and_of_the_offer() -> None:
    ours, theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    ours.addTransceiver("audio")
    await ours.setLocalDescription(await ours.createOffer())
    offer = RTCSessionDescription(sdp=ours.localDescription.sdp, type="offer")
    await theirs.setRemoteDescription(offer)
    await theirs.setLocalDescription(await theirs.createAnswer())
    answer = RTCSessionDescription(sdp=theirs.localDescription.sdp, type="answer")
    await ours.setRemoteDescription(answer)
    (transceiver,) = ours.getTransceivers()
    (first, *_) = before = [codec.payloadType for codec in transceiver._codecs]
    take_payload_types(ours, "audio/opus", {first, 111})
    after = [(codec.payloadType, codec.mimeType) for codec in transceiver._codecs]
    assert [number for number, _ in after] == [*before, 111]
    assert after[-1] == (111, "audio/opus")
    await ours.close()
    await theirs.close()
