"""Who may enter over TCP: tokens, links, cookies, names; each with real sockets."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest
from pydantic import ValidationError

from helpers.surface import running
from rtpipe_control.http import door
from rtpipe_control.section import ControlOptions

LINE = "version: 1\nname: hall\nstages: [tone: {realtime: true}, gain: 0, blackhole]\n"
TOKEN, VIEW = "a-token-of-the-hall", "a-token-to-look"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_SLOWED_S", 0.01)


async def test_without_a_token_this_machine_may_do_all() -> None:
    async with running(LINE) as here:
        assert (await here.call("GET", "/api/pipeline", tcp=True)).status == 200
        answer = await here.call("POST", "/api/stages/gain/set", body={"gain_db": -6}, tcp=True)
        assert answer.json() == {"result": None, "event": None, "outcome": []}
        assert here.pipeline["gain"]._gain_db == -6


async def test_a_token_and_one_that_may_look(hurried: None) -> None:
    async with running(LINE, token=TOKEN, view_token=VIEW) as here:

        async def status(method: str, path: str, headers: dict[str, str]) -> int:
            body = {} if method == "POST" else None
            return (await here.call(method, path, headers, body, tcp=True)).status

        for path in ("/healthz", "/readyz"):
            assert await status("GET", path, {}) == 200
        for path in ("/api/pipeline", "/metrics", "/api/events", "/api/stages/gain/listen", "/x"):
            for headers in ({}, bearer("wrong"), bearer(""), {"Authorization": f"Basic {TOKEN}"}):
                assert await status("GET", path, headers) == 401
        refused = await here.call("GET", "/api/pipeline", tcp=True)
        assert refused.json()["error"] == "this needs a token"
        assert refused.headers["Www-Authenticate"] == "Bearer"
        assert await status("GET", "/api/pipeline", bearer(TOKEN)) == 200
        assert await status("GET", "/api/pipeline", bearer(VIEW)) == 200
        assert await status("POST", "/api/stages/gain/flush", bearer(VIEW)) == 403
        assert await status("POST", "/api/stop", bearer(VIEW)) == 403
        assert await status("POST", "/api/stages/gain/flush", bearer(TOKEN)) == 200
        assert await status("GET", "/api/pipeline", bearer("t\xf6ken")) == 401
        # nor is a name looked at where a token guards: kiosk.local is as good as any
        assert await status("GET", "/api/pipeline", {**bearer(TOKEN), "Host": "kiosk.local"}) == 200
        # the socket's user needs none
        assert (await here.call("GET", "/api/pipeline")).status == 200


async def test_a_caller_who_hangs_up_at_once_has_shown_no_token(hurried: None) -> None:
    async with running(LINE, token=TOKEN) as here:
        await here.get("/healthz")
        for _ in range(20):
            _, writer = await here.connect(tcp=True)
            head = "POST /api/stages/gain/set HTTP/1.1\r\nHost: x\r\nContent-Type: application/json"
            writer.write(f'{head}\r\nContent-Length: 15\r\n\r\n{{"gain_db": -9}}'.encode())
            writer.transport.abort()
        await asyncio.sleep(0.2)
        assert here.pipeline["gain"]._gain_db == 0


async def test_a_link_opens_the_page_once(hurried: None) -> None:
    async with running(LINE, token=TOKEN) as here:
        given = await here.call("POST", "/api/link", body={})
        link = given.json()["result"].removeprefix(f"http://127.0.0.1:{here.port}")
        assert link.startswith("/?link=")
        assert (await here.call("POST", "/api/link", bearer(TOKEN), {}, tcp=True)).status == 404
        entered = await here.call("GET", link, tcp=True)
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        cookie, *attributes = entered.headers["Set-Cookie"].split("; ")
        assert cookie.startswith(f"rtpipe_{here.port}=")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} < set(attributes)
        assert "Secure" not in attributes
        answer = await here.call("POST", "/api/stages/gain/flush", {"Cookie": cookie}, {}, tcp=True)
        assert answer.status == 200
        again = await here.call("GET", link, tcp=True)
        assert again.status == 401
        assert again.json()["error"] == "this link is used up, too old or wrong"
        wrong = {"Cookie": f"rtpipe_{here.port}=guessed"}
        assert (await here.call("GET", "/api/pipeline", wrong, tcp=True)).status == 401


def test_links_and_cookies_are_few_and_grow_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(door.time, "monotonic", lambda: now)
    made = door.Door(ControlOptions(token=TOKEN))
    links = [made.link() for _ in range(30)]
    assert list(made._links) == links[10:]
    cookies = [asyncio.run(made.enter(link))["Set-Cookie"] for link in links[10:]]
    assert len(made._cookies) == 20
    assert "Secure" not in cookies[0]
    old = made.link()
    now = 601.0
    monkeypatch.setattr(door, "_SLOWED_S", 0)
    with pytest.raises(door.Refused):
        asyncio.run(made.enter(old))
    now = 13 * 3600.0
    asyncio.run(made.enter(made.link()))
    assert len(made._cookies) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8080"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[bad"}, 403),
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST.:80"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "desk.example.org"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://desk.example.org"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        (
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "document",
            },
            200,
        ),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_names_and_other_sites(headers: dict[str, str], status: int) -> None:
    async with running(LINE, hosts=["desk.example.org"]) as here:
        answer = await here.call("GET", "/api/pipeline", headers, tcp=True)
        assert answer.status == status
        if status == 403:
            assert set(answer.json()) == {"error", "help"}


@pytest.mark.parametrize(
    "headers",
    [
        # a form, as Chromium sends it
        {
            "Origin": "https://evil.example",
            "Content-Type": "text/plain",
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-User": "?1",
        },
        # fetch(…, {mode: "no-cors"})
        {
            "Origin": "https://evil.example",
            "Content-Type": "text/plain;charset=UTF-8",
            "Sec-Fetch-Site": "cross-site",
            "Sec-Fetch-Mode": "no-cors",
            "Sec-Fetch-Dest": "empty",
        },
        # an old browser says less
        {"Origin": "https://evil.example"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
    ],
)
async def test_another_sites_page_changes_nothing(headers: dict[str, str]) -> None:
    async with running(LINE) as here:
        body = b'{"gain_db": -6}'
        answer = await here.call("POST", "/api/stages/gain/set", headers, body, tcp=True)
        assert answer.status in {403, 415}
        assert answer.json()["error"]
        assert here.pipeline["gain"]._gain_db == 0
        preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        answer = await here.call("OPTIONS", "/api/stages/gain/set", preflight, tcp=True)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.slow
async def test_a_thousand_wrong_tokens_hold_nobody_up(hurried: None) -> None:
    async with running(LINE, token=TOKEN) as here:
        statuses: list[int] = []

        async def guess(number: int) -> None:
            for each in range(25):
                wrong = bearer(f"{number}-{each}")
                statuses.append((await here.call("GET", "/metrics", wrong, tcp=True)).status)

        await asyncio.gather(*(guess(number) for number in range(40)))
        assert len(statuses) == 1000
        assert set(statuses) == {401, 429}
        assert (await here.call("GET", "/metrics", bearer(TOKEN), tcp=True)).status == 200


def test_what_cannot_be_guarded_is_no_section() -> None:
    for given, said in (
        ({"listen": "0.0.0.0:80"}, "lets others on the network steer"),
        ({"listen": "[::]:80"}, "lets others"),
        ({"listen": "kiosk.local:80"}, "lets others"),
        ({"view_token": "x"}, "guards nothing"),
        ({"token": "x", "view_token": "x"}, "are the same"),
        ({"listen": "127.0.0.1:99999"}, "is no address"),
    ):
        with pytest.raises(ValidationError, match=said):
            ControlOptions.model_validate(given)
    ControlOptions.model_validate({"listen": "[::1]:80"})
    ControlOptions.model_validate({"listen": "[::ffff:127.0.0.1]:80"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "typed", "token", "shown"),
    [
        (Terminal(), True, TOKEN, True),
        (io.StringIO(), True, TOKEN, False),
        (Terminal(), False, TOKEN, False),
        (Terminal(), True, "", False),
    ],
)
async def test_only_a_terminal_is_shown_the_link(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, typed: bool, token: str, shown: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    async with running(LINE, typed=typed, token=token) as here:
        said = stream.getvalue()
        assert ("?link=" in said) == shown
        answers = [await here.get("/api/pipeline"), await here.get("/metrics")]
        assert not [
            each for each in answers if b"?link=" in each.body or TOKEN.encode() in each.body
        ]
        if shown:
            assert said.startswith("\r\x1b[2K"), "in the place of the status line"
            link = said.rpartition(f":{here.port}")[2].strip()
            assert (await here.call("GET", link, tcp=True)).status == 303
