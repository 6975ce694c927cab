"""Where no answer comes from a server: the proxy and the certificate are named if they are why."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from rtpipe_plugins.peers.realtime.account import Account
from rtpipe_plugins.peers.realtime.examination import reachable

ELSEWHERE = "https://api.example.invalid/v1"
CALL = """
import asyncio, logging, sys
from pydantic import SecretStr
from rtpipe import RtpipeError
from rtpipe_plugins.peers.realtime.account import Account
from rtpipe_plugins.peers.realtime.dialects.openai.signaling import OfferForm, RealtimeSignaling
account = Account("openai", sys.argv[1], SecretStr("sk-canary-0123456789"))
form, log = OfferForm(account), logging.getLogger("x")
place = RealtimeSignaling(
    account, {"model": "m"}, form, ephemeral=False, timeout_s=10, mask=str, log=log
).place
try:
    print(asyncio.run(place("v=0")).sdp.strip())
except RtpipeError as error:
    print(error.message, "|", error.help)
"""


def placed(url: str, **environment: str) -> str:
    """Return what comes of a call, as a process of its own finds out in its environment."""
    inherited = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    inherited.pop("SSL_CERT_FILE", None)
    run = [sys.executable, "-c", CALL, url]
    done = subprocess.run(
        run, env=inherited | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()


@asynccontextmanager
async def proxy(answer: bytes) -> AsyncIterator[str]:
    """Listen as a proxy that gives one answer to everything; yields its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://visitor:s3cret@127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answers 407 Proxy Auth"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answers 403 Forbidden"),
    ],
)
@pytest.mark.slow
async def test_a_proxy_that_lets_nobody_through_is_named(answer: bytes, words: str) -> None:
    async with proxy(answer) as address:
        said = await asyncio.to_thread(placed, ELSEWHERE, HTTPS_PROXY=address)
    assert (
        f"cannot reach api.example.invalid: the proxy http://***@127.0.0.1:{port(address)}" in said
    )
    assert "s3cret" not in said


def port(address: str) -> str:
    return address.rpartition(":")[2]


@pytest.mark.slow
async def test_a_call_is_placed_through_a_proxy() -> None:
    sdp = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nv=0\r\n"
    async with proxy(sdp) as address:
        url = "http://api.example.invalid/v1"
        assert await asyncio.to_thread(placed, url, http_proxy=address) == "v=0"


@pytest.mark.slow
def test_a_proxy_that_is_not_there_is_named() -> None:
    said = placed(ELSEWHERE, HTTPS_PROXY="http://127.0.0.1:9")
    assert "through the proxy http://127.0.0.1:9 (HTTPS_PROXY): Connection refused" in said
    assert "NO_PROXY" in said


async def test_a_proxy_that_an_address_is_excepted_from_is_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "api.example.invalid")
    found = await reachable(Account("openai", ELSEWHERE, SecretStr("sk-1")))
    assert found.status == "missing"
    assert "proxy http" not in found.message


# -- certificates ----------------------------------------------------------------------------------


def certified(folder: Path) -> ssl.SSLContext:
    """Return what a server is certified by; its authority's certificate is `ca.pem` in `folder`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Our own authority")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    private = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, private, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


@pytest.fixture
async def private_server(tmp_path: Path) -> Any:
    async def place(_: web.Request) -> web.Response:
        return web.Response(status=201, text="v=0\r\n")

    app = web.Application()
    app.router.add_post("/v1/realtime/calls", place)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certified(tmp_path)).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


@pytest.mark.slow
async def test_an_authority_of_ones_own_is_named_and_then_believed(
    private_server: str, tmp_path: Path
) -> None:
    doubted = await asyncio.to_thread(placed, private_server)
    assert "is not trusted: self-signed certificate" in doubted
    assert "SSL_CERT_FILE=/path/to/ca.pem" in doubted
    ca = str(tmp_path / "ca.pem")
    assert await asyncio.to_thread(placed, private_server, SSL_CERT_FILE=ca) == "v=0"
    missing = str(tmp_path / "no.pem")
    unread = await asyncio.to_thread(placed, private_server, SSL_CERT_FILE=missing)
    assert f"SSL_CERT_FILE is {missing}, which cannot be read" in unread


async def test_doctor_says_so_too(private_server: str) -> None:
    found = await reachable(Account("openai", private_server, SecretStr("sk-1")))
    assert "is not trusted" in found.message
    assert "SSL_CERT_FILE" in (found.help or "")
