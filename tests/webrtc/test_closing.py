"""Closing a connection at the worst moment: when ICE has just succeeded."""

from __future__ import annotations

import asyncio

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from helpers.loopback import allow_loopback
from rtpipe_webrtc import closing as peer_connection

pytestmark = pytest.mark.slow


async def connecting() -> tuple[RTCPeerConnection, RTCPeerConnection]:
    """Return two ends that have begun to connect."""
    allow_loopback()
    caller, callee = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    caller.createDataChannel("events")
    await caller.setLocalDescription(await caller.createOffer())
    await callee.setRemoteDescription(caller.localDescription)
    await callee.setLocalDescription(await callee.createAnswer())
    await caller.setRemoteDescription(callee.localDescription)
    return caller, callee


async def test_nothing_goes_on_after_a_close_in_the_last_moment_of_ice() -> None:
    caller, callee = await connecting()
    assert caller.sctp is not None
    ice = caller.sctp.transport.transport._connection
    async with asyncio.timeout(10):
        while not ice._check_list_done:  # noqa: ASYNC110 - aioice tells nobody
            await asyncio.sleep(0)
    assert ice._query_consent_task is None, "the moment has passed"
    await peer_connection.close(caller)
    await peer_connection.close(caller)
    await peer_connection.close(callee)
    await asyncio.sleep(0.05)  # aioice looks every 20 ms
    assert not {task for task in asyncio.all_tasks() if "query_consent" in repr(task)}
