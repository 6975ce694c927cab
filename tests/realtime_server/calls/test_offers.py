"""Offers that somebody spoilt: each is answered or refused in OpenAI's words. Nothing stays."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path
from random import Random

import aiohttp
import pytest
from aiortc import RTCPeerConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_server.caller import Caller
from realtime_server.calls.test_http import OFFER
from realtime_server.fake_brain import FakeBrain
from rtpipe_realtime_server.calls.offer import InvalidOfferError, checked
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.server import RealtimeServer

MUTATIONS = 1000
CALLERS = 8
HEADERS = {"Authorization": "Bearer sk-test", "Content-Type": "application/sdp"}
WORDS = ("0", "-1", "99999999999", "x", "", "é", "a:b", "127.0.0.1", "host", "IN")


def mutated(lines: list[str], chance: Random) -> str:
    """Return an offer with one to three things wrong: lines, words or letters."""
    spoilt = list(lines)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(spoilt))
        gone = chance.randrange(1, 6) if chance.random() < 0.1 else 1
        spoilt[at : at + gone] = _line(spoilt[at], spoilt, chance) if gone == 1 else []
        spoilt = spoilt or ["v=0"]
    return "\r\n".join([*spoilt, ""])


def _line(line: str, others: list[str], chance: Random) -> list[str]:
    words = line.split(" ")
    word = chance.randrange(len(words))
    letter = chance.randrange(len(line) + 1)
    match chance.randrange(7):
        case 0:
            return []
        case 1:
            return [line, chance.choice(others)]
        case 2:
            return [chance.choice(others)]
        case 3:
            return [" ".join(words[:word] + words[word + 1 :])]
        case 4:
            return [" ".join([*words[:word], chance.choice(WORDS), *words[word + 1 :]])]
        case 5:
            return [line[:letter]]
        case _:
            return [line[:letter] + chr(chance.randrange(32, 0x250)) + line[letter + 1 :]]


def peer_connections() -> int:
    gc.collect()
    return sum(isinstance(each, RTCPeerConnection) for each in gc.get_objects())


def sockets() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
async def test_a_thousand_spoilt_offers_leave_nothing_behind() -> None:
    async with Caller("http://nowhere") as caller:
        lines = (await caller.offer()).split("\r\n")[:-1]
    del caller
    broken: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: broken.append(str(context)))
    server = RealtimeServer(FakeBrain(), limits=Limits(sessions=CALLERS))
    await server.start()
    chance = Random(12)
    offers = [mutated(lines, chance) for _ in range(MUTATIONS)]
    statuses: Counter[int] = Counter()

    async def post_offers(http: aiohttp.ClientSession) -> None:
        while offers:
            offer = offers.pop()
            async with http.post(f"{server.base_url}/realtime/calls", data=offer.encode()) as told:
                statuses[told.status] += 1
                if told.status == 201:
                    path = told.headers["Location"].removeprefix("/v1")
                    async with http.post(f"{server.base_url}{path}/hangup") as hung_up:
                        assert hung_up.status == 200
                else:
                    error = (await told.json())["error"]
                    assert (told.status, error["code"]) == (400, "invalid_offer"), offer

    fds, connections, tasks = sockets(), peer_connections(), len(asyncio.all_tasks())
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        await asyncio.gather(*(post_offers(http) for _ in range(CALLERS)))
    assert sum(statuses.values()) == MUTATIONS
    assert min(statuses[201], statuses[400]) > MUTATIONS / 20
    assert broken == []
    async with asyncio.timeout(60):  # what closes ends in the next steps of the loop
        while (  # noqa: ASYNC110 - of what libraries let go there is no event
            len(asyncio.all_tasks()) > tasks or sockets() > fds or peer_connections() > connections
        ):
            await asyncio.sleep(0.1)
    await server.close()
    gc.collect()
    assert broken == []


@pytest.mark.parametrize(
    "wrong",
    [
        OFFER.replace("webrtc-datachannel", "something-else"),
        OFFER.replace("a=sctp-port:5000\r\n", ""),
        OFFER.replace("a=sctp-port:5000", "a=sctp-port:0"),
        OFFER.replace("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP five"),
        OFFER.replace("m=application 9", "m=application 0"),
        OFFER.replace("a=mid:data", "a=mid:voice"),
        OFFER.replace("BUNDLE voice data", "BUNDLE video data"),
        OFFER.replace("BUNDLE voice data", "BUNDLE voice"),
        OFFER.replace("a=group:BUNDLE voice data\r\n", ""),
        OFFER.replace("BUNDLE voice data", "BUNDLE voice data data"),
        OFFER.replace("a=setup:actpass\r\nm=", "m="),
        OFFER.replace("AB:AB:AB:", "AB:AB:"),
        OFFER.replace("sha-256", "md5"),
        OFFER.replace("a=ice-ufrag:abcd", "a=ice-ufrag:abc"),
        OFFER.replace("m=application", "m=text"),
        OFFER + OFFER[OFFER.index("m=application") :].replace("mid:data", "mid:more"),
        OFFER + OFFER[OFFER.index("m=audio") : OFFER.index("m=app")].replace("voice", "second"),
        OFFER + 65 * "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n",
        OFFER + "a=x:" + "y" * 65_536,
    ],
)
def test_what_aiortc_would_trip_over_never_reaches_it(wrong: str) -> None:
    with pytest.raises(InvalidOfferError):
        checked(wrong)


@pytest.mark.parametrize(
    "right",
    [
        OFFER,
        OFFER.replace("\r\n", "\n"),
        OFFER[: OFFER.index("m=application")].replace("voice data", "voice"),
        OFFER.replace("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000"),
        OFFER.replace("a=setup:actpass", "a=setup:active"),
        OFFER + "a=end-of-candidates\r\n",
    ],
    ids=["browser", "line feeds", "no channel", "old channel", "active", "ended"],
)
def test_what_can_be_answered_is_let_through(right: str) -> None:
    assert "a=end-of-candidates" not in checked(right)


@given(st.text(max_size=200), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_whatever_it_is_it_is_an_offer_or_refused(text: str, line: int) -> None:
    lines = OFFER.split("\r\n")
    lines.insert(line, text)
    try:
        checked("\r\n".join(lines))
    except InvalidOfferError:
        return
