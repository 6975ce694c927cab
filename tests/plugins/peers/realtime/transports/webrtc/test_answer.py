"""SDP answers as they come: what a server takes and sends, and where it is."""

from __future__ import annotations

from typing import Any

import pytest

from rtpipe import EnvironmentProblem, ExitCode
from rtpipe_plugins.peers.realtime.errors import CallRefused, NoRoute
from rtpipe_plugins.peers.realtime.transports.webrtc.answer import Answer, resolved

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 opus/48000/2\r\n"
EVENTS = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
HOST = "a=candidate:1 1 udp 2130706431 192.0.2.7 3478 typ host\r\n"


def answer(attributes: str = "a=sendrecv\r\n", session: str = "") -> Answer:
    return Answer(f"{HEAD}{session}{AUDIO}{attributes}{EVENTS}")


@pytest.mark.parametrize(
    ("attributes", "session", "listens", "speaks"),
    [
        ("a=sendrecv\r\n", "", True, True),
        ("a=sendonly\r\n", "", False, True),
        ("a=recvonly\r\n", "", True, False),
        ("", "", True, True),
        ("", "a=sendonly\r\n", False, True),
        ("a=recvonly \r\n", "a=sendonly\r\n", True, False),
    ],
)
def test_the_direction_is_the_servers_and_is_always_written_down(
    attributes: str, session: str, *, listens: bool, speaks: bool
) -> None:
    half = answer(attributes, session)
    assert (half.listens, half.speaks) == (listens, speaks)
    assert f"a={half.direction}" in str(half).split("m=application")[0].split("m=audio")[1]


@pytest.mark.parametrize(
    ("sdp", "words"),
    [
        (HEAD + AUDIO + "a=inactive\r\n" + EVENTS, "inactive"),
        (HEAD + "a=inactive\r\n" + AUDIO + EVENTS, "inactive"),
        (HEAD + AUDIO.replace("audio 9", "audio 0") + EVENTS, "no audio"),
        (HEAD + EVENTS, "no audio"),
        (HEAD + AUDIO, "no data channel"),
        (HEAD + AUDIO + EVENTS.replace("application 9", "application 0"), "no data channel"),
        ("v=0\r\n", "no audio"),
        ("v=0\r\nm=", "no audio"),
    ],
)
def test_what_is_no_call_is_refused(sdp: str, words: str) -> None:
    with pytest.raises(CallRefused, match=words) as raised:
        Answer(sdp)
    assert raised.value.exit_code is ExitCode.CONFIGURATION


def test_what_is_in_order_is_passed_on_as_it_is() -> None:
    sdp = f"{HEAD}{AUDIO}a=sendrecv\r\n{HOST}{EVENTS}"
    assert str(Answer(sdp)) == sdp
    assert str(Answer(sdp.replace("\r\n", "\n"))) == sdp


async def nobody(_: str) -> None:
    return None


async def somebody(_: str) -> str:
    return "192.0.2.9"


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        ("", "no ICE candidate"),
        (HOST.replace(" udp ", " TCP "), "no address for UDP"),
        (HOST.replace("1 1 udp", "1 2 udp"), "no address for UDP"),
        (HOST.replace("192.0.2.7", "4f2c9f2e.local"), r"nobody here knows: 4f2c9f2e\.local"),
        (HOST.replace("192.0.2.7", "host.invalid"), r"nobody here knows: host\.invalid"),
    ],
)
async def test_without_an_address_there_is_no_way(candidates: str, words: str) -> None:
    with pytest.raises(NoRoute, match=words) as raised:
        await answer(candidates).locate(nobody)
    assert isinstance(raised.value, EnvironmentProblem)
    assert "websocket" in str(raised.value.help)


async def test_names_become_addresses_and_what_has_none_is_left_out() -> None:
    local = HOST.replace("192.0.2.7", "a.local")
    named, alone = answer(HOST + local), answer(HOST + local)
    await named.locate(somebody)
    assert "192.0.2.9 3478 typ host" in str(named)
    await alone.locate(nobody)
    assert HOST in str(alone)
    assert ".local" not in str(named) + str(alone)


@pytest.mark.parametrize("name", ["x" * 64 + ".local", "nobody-here.invalid", "..", "\ud800.local"])
async def test_a_name_that_nobody_knows_has_no_address(name: str) -> None:
    assert await resolved(name) is None


async def test_a_name_in_local_is_asked_for_by_mdns() -> None:
    from aioice.mdns import create_mdns_protocol

    try:
        host: Any = await create_mdns_protocol()
        await host.publish("rtpipe-test.local", "192.0.2.44")
    except OSError as error:
        pytest.skip(f"no multicast here: {error}")
    try:
        assert await resolved("rtpipe-test.local") == "192.0.2.44"
    finally:
        await host.close()
