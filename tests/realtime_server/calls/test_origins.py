"""Which web pages may use the server: what browsers say in `Origin` and `Host`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from realtime_server.calls.test_http import OFFER, SDP, post
from realtime_server.fake_brain import FakeBrain
from rtpipe_realtime_server.calls.origins import origin
from rtpipe_realtime_server.server import RealtimeServer

Serve = Callable[..., Any]
KEY = "sk-anything"


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def serve(*allowed: str, host: str = "127.0.0.1") -> RealtimeServer:
            server = RealtimeServer(FakeBrain(), allow_origins=allowed, host=host)
            await server.start()
            stack.push_async_callback(server.close)
            return server

        yield serve


async def ask(server: RealtimeServer, **headers: str) -> tuple[int, Any, Any]:
    return await post(server, "/realtime/calls", key=KEY, data=OFFER, headers={**SDP, **headers})


async def upgrade(server: RealtimeServer, **headers: str) -> int:
    protocols = ("realtime", f"openai-insecure-api-key.{KEY}")
    url = f"{server.base_url}/realtime"
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(url, protocols=protocols, headers=headers) as ws,
        ):
            await ws.receive_json()
            return 101
    except aiohttp.WSServerHandshakeError as refusal:
        return refusal.status


LOCAL = [
    "http://localhost:3000",
    "https://localhost",
    "http://127.0.0.1:5173",
    "http://127.8.8.8",
    "http://[::1]:8000",
    "http://app.localhost:3000",
]
FOREIGN = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example:8080",
    "http://192.168.0.7",
    "null",
    "",
    "localhost",
    "http://localhost@evil.example",
    "http://[::1",
]


@pytest.mark.parametrize("page", LOCAL)
async def test_pages_of_this_machine_may_use_it(serve: Serve, page: str) -> None:
    server = await serve()
    status, _, headers = await ask(server, Origin=page)
    assert (status, headers["Access-Control-Allow-Origin"]) == (201, page)
    assert headers["Access-Control-Expose-Headers"] == "Location, X-Request-Id"
    assert headers["Vary"] == "Origin"
    assert await upgrade(server, Origin=page) == 101


@pytest.mark.parametrize("page", FOREIGN)
async def test_pages_from_elsewhere_may_not(serve: Serve, page: str) -> None:
    server = await serve()
    for path in ("/realtime/calls", "/realtime/client_secrets", "/realtime/calls/rtc_1/hangup"):
        status, body, headers = await post(server, path, key=KEY, headers={"Origin": page})
        assert (status, body["error"]["code"]) == (403, "origin_not_allowed")
        assert "Access-Control-Allow-Origin" not in headers
    status, _, headers = await post(
        server, "/realtime/calls", method="OPTIONS", key=None, headers={"Origin": page}
    )
    assert status == 403
    assert "Access-Control-Allow-Origin" not in headers
    assert await upgrade(server, Origin=page) == 403
    assert server._calls._places == 0


async def test_what_is_no_browser_has_no_origin_and_may(serve: Serve) -> None:
    server = await serve()
    status, _, headers = await ask(server)
    assert status == 201
    assert "Access-Control-Allow-Origin" not in headers
    assert await upgrade(server) == 101


async def test_a_page_that_is_named_may_and_no_other(serve: Serve) -> None:
    server = await serve("https://kiosk.example:443", "null")
    assert (await ask(server, Origin="https://kiosk.example"))[0] == 201
    assert (await ask(server, Origin="null"))[0] == 201
    assert (await ask(server, Origin="http://localhost:1"))[0] == 201
    for page in ("http://kiosk.example", "https://kiosk.example:8443", "https://a.kiosk.example"):
        assert (await ask(server, Origin=page))[0] == 403


async def test_all_pages_may_if_that_is_wanted(serve: Serve) -> None:
    server = await serve("*")
    status, _, headers = await ask(server, Origin="https://evil.example", Host="evil.example")
    assert (status, headers["Access-Control-Allow-Origin"]) == (201, "https://evil.example")


@pytest.mark.parametrize("name", ["localhost:8080", "127.0.0.1", "[::1]:9", "my.localhost"])
async def test_it_answers_to_the_names_of_this_machine(serve: Serve, name: str) -> None:
    assert (await ask(await serve(), Host=name))[0] == 201


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8080", "localhost.evil.example"])
async def test_a_name_that_was_made_to_point_here_is_refused(serve: Serve, name: str) -> None:
    server = await serve()
    status, body, _ = await ask(server, Host=name)
    assert (status, body["error"]["code"]) == (403, "host_not_allowed")
    assert await upgrade(server, Host=name) == 403
    assert (await ask(await serve(f"http://{name}"), Host=name))[0] == 201


async def test_beyond_this_machine_any_name_may_lead_to_it(serve: Serve) -> None:
    server = await serve(host="0.0.0.0")
    assert (await ask(server, Host="museum.local:8080"))[0] == 201
    status, body, _ = await ask(server, Host="evil.example:8080", Origin="http://evil.example:8080")
    assert (status, body["error"]["code"]) == (403, "origin_not_allowed")


async def test_a_page_of_the_network_may_ask_for_this_machine(serve: Serve) -> None:
    server = await serve("https://kiosk.example")
    status, _, headers = await post(
        server, "/realtime/calls", method="OPTIONS", key=None,
        headers={"Origin": "https://kiosk.example",
                 "Access-Control-Request-Private-Network": "true"},
    )  # fmt: skip
    assert status == 204
    assert headers["Access-Control-Allow-Private-Network"] == "true"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("https://Kiosk.example/", "https://kiosk.example"),
        ("http://kiosk.example:80", "http://kiosk.example"),
        ("https://kiosk.example:8443", "https://kiosk.example:8443"),
        ("http://[::1]:80", "http://[::1]"),
        ("chrome-extension://abcd", "chrome-extension://abcd"),
        ("null", "null"),
    ],
)
def test_origins_are_written_as_browsers_do(given: str, meant: str) -> None:
    assert origin(given) == meant


@pytest.mark.parametrize(
    "given",
    [
        "kiosk.example",
        "https://",
        "https://kiosk.example/page",
        "https://a@b.example",
        "https://x:y",
    ],
)
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"origin|[Pp]ort"):
        origin(given)
