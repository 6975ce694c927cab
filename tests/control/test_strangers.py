"""Who should not be there, and what nobody may see: sockets and ports, secrets, TLS."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import rtpipe
from helpers.surface import LINE, lost_ms, parsed, raw, running
from rtpipe_control import surface
from rtpipe_control.options import Wanted
from rtpipe_control.section import ControlOptions

CALL = """
import os, socket, sys
os.setgid(65534)
os.setuid(65534)
caller = socket.socket(socket.AF_UNIX)
caller.connect(sys.argv[1])
caller.sendall(b"GET /api/pipeline HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
while data := caller.recv(65536):
    sys.stdout.write(data.decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
async def test_another_user_stays_outside_even_where_the_folder_was_opened_to_all() -> None:
    async with running(LINE) as here:
        command = (sys.executable, "-I", "-c", CALL, str(here.path))

        async def call() -> subprocess.CompletedProcess[bytes]:
            return await asyncio.to_thread(
                subprocess.run, command, capture_output=True, check=False
            )

        assert b"PermissionError" in (await call()).stderr
        here.path.chmod(0o777)
        for folder in (here.path.parent, here.path.parent.parent):
            folder.chmod(0o755)
        answer = parsed((await call()).stdout)
        assert answer.status == 403
        assert answer.json()["error"] == "this pipeline is another user's"


async def test_nobody_but_the_first_gets_a_port_and_is_told_so() -> None:
    async with running(LINE) as here:
        other = rtpipe.loads(LINE)
        told: list[Any] = []
        other.bus.subscribe("control.*", told.append)
        taken = ControlOptions(listen=str(here.port))
        async with surface.opened(other, Wanted(taken)), other:
            assert [event.type for event in told] == ["control.refused", "control.opened"]
            assert "another pipeline or program has that port" in told[0].reason
            assert (told[1].name, told[1].url) == ("hall-2", "")
            assert sorted(each.name for each in here.path.parent.glob("*.sock")) == [
                "hall-2.sock",
                "hall.sock",
            ]


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("[::1]:0", ""),
        ("localhost:0", ""),
        ("192.0.2.1:0", "no such address"),
        ("no.such.host.invalid:0", "is no address of this computer"),
    ],
)
async def test_addresses_that_can_be_had_and_that_cannot(listen: str, said: str) -> None:
    pipeline = rtpipe.loads(LINE)
    told: list[Any] = []
    pipeline.bus.subscribe("control.*", told.append)
    options = ControlOptions(listen=listen, token="some-token")
    async with surface.opened(pipeline, Wanted(options)), pipeline:
        if said:
            assert said in told[0].reason
            return
        url = told[0].url
        port = int(url.rstrip("/").rpartition(":")[2])
        for family, _, _, _, address in socket.getaddrinfo(
            options.listen.rpartition(":")[0].strip("[]"), port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, socket.SOCK_STREAM) as caller:
                caller.settimeout(2)
                await asyncio.to_thread(caller.connect, address)


SECRETS = """
version: 1
name: hall
description: "says ${env:CANARY_KEY}"
stages:
  - tone: {realtime: true}
  - gain: 0
  - blackhole
events:
  - match: "link.*"
    webhook: {url: "https://user:${env:CANARY_PASSWORD}@127.0.0.1:9/?token=${env:CANARY_TOKEN}"}
"""


async def test_a_secret_is_in_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    canaries = ['k4n"4rie\\vögel', "73501982", "a-token-of-the-hall"]
    monkeypatch.setenv("CANARY_KEY", canaries[0])
    monkeypatch.setenv("CANARY_PASSWORD", canaries[1])
    monkeypatch.setenv("CANARY_TOKEN", canaries[2])
    async with running(SECRETS, token=canaries[2]) as here:
        reader, writer = await here.connect()
        writer.write(b"GET /api/events?levels=10&state=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        for canary in canaries:
            for said in (canary, f"https://u:{canary}@h/", json.dumps(canary)):
                event = rtpipe.Event(type=f"tone.{said}", source="tone", at=0.0)
                here.pipeline.bus.publish(event)
        answers = [
            await here.call("GET", path) for path in ("/api/pipeline", "/metrics", "/readyz")
        ]
        for path in ("/api/stages/x/y", f"/api/stages/gain/{canaries[1]}", "/api/stages/gain/set"):
            bodies = ({}, {"args": canaries}, {"gain_db": canaries[1]})
            answers += [await here.call("POST", path, body=each) for each in bodies]
        answers.append(await here.call("GET", f"/{canaries[1]}"))
        answers.append(await here.call("GET", "/api/pipeline", tcp=True))
        answers.append(await here.call("GET", "/api/pipeline"))
        streamed = b""
        while (
            b'"levels":' not in streamed
            or b"event: state" not in streamed
            or b"tone." not in streamed
        ):
            streamed += await asyncio.wait_for(reader.read(1 << 20), 5)
        writer.close()
        for data in (streamed, *(answer.body for answer in answers)):
            text = data.decode()
            for canary in canaries:
                for form in (
                    canary,
                    json.dumps(canary)[1:-1],
                    json.dumps(canary, ensure_ascii=False)[1:-1],
                ):
                    assert form not in text, text[max(0, text.index(form) - 200) :][:400]
        snapshot = json.loads(answers[0].body)
        assert snapshot["description"] == "says ***"
        assert [event for event in snapshot["recent"]["events"] if event["type"] == "tone.***"]


def certify(folder: Path, password: str = "") -> dict[str, str]:
    """Make a certificate and its key; returns what stands under `tls:`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    lock: Any = (
        serialization.BestAvailableEncryption(password.encode())
        if password
        else serialization.NoEncryption()
    )
    paths = {"certificate": folder / f"c{password}.pem", "key": folder / f"k{password}.pem"}
    paths["certificate"].write_bytes(made.public_bytes(pem))
    form = serialization.PrivateFormat.PKCS8
    paths["key"].write_bytes(key.private_bytes(pem, form, lock))
    return {name: str(path) for name, path in paths.items()}


async def test_https(tmp_path: Path) -> None:
    async with running(LINE, token="some-token", tls=certify(tmp_path)) as here:
        link = (await here.call("POST", "/api/link", body={})).json()["result"]
        assert link.startswith(f"https://127.0.0.1:{here.port}/?link=")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port, ssl=context)
        path = link[link.index("/?") :]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = parsed(await asyncio.wait_for(reader.read(), 5))
        assert answer.status == 303
        assert "; Secure" in answer.headers["Set-Cookie"]
        writer.close()
        assert await raw(here, b"GET / HTTP/1.1\r\n\r\n", tcp=True) == b"", "no plain words there"
        assert lost_ms(here) == 0


async def test_certificates_that_cannot_be_used_are_told_and_nobody_is_asked(
    tmp_path: Path,
) -> None:
    good, locked = certify(tmp_path), certify(tmp_path, "secret")
    for files, said in (
        (locked, "the key has a password"),
        ({**good, "key": good["certificate"]}, "no certificate with its key"),
        ({**good, "key": str(tmp_path / "gone.pem")}, "No such file"),
    ):
        pipeline = rtpipe.loads(LINE)
        told: list[Any] = []
        pipeline.bus.subscribe("control.refused", told.append)
        options = ControlOptions.model_validate({"listen": "0", "tls": files})
        async with surface.opened(pipeline, Wanted(options)), pipeline:
            assert said in told[0].reason
