"""What strangers, broken clients and unlucky ones do to the surface: told, and nothing is lost."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rtpipe
from helpers.surface import Opened, parsed, running
from rtpipe_control import surface
from rtpipe_control.http import application, body, listener
from rtpipe_control.options import Wanted
from rtpipe_control.section import ControlOptions
from rtpipe_control.view import listening

LINE = "version: 1\nname: hall\nstages: [tone: {realtime: true}, gain: 0, blackhole]\n"


def lost_ms(here: Opened) -> float:
    links = [link.statistics for link in here.pipeline.links() if link.statistics is not None]
    assert links
    return sum(each.dropped_ms + each.trimmed_ms + each.refused_ms for each in links)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came")


async def raw(here: Opened, data: bytes, *, tcp: bool = False) -> bytes:
    reader, writer = await here.connect(tcp=tcp)
    writer.write(data)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


# -- callers that should not be there ------------------------------------------------------------

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


# -- callers that hold something -----------------------------------------------------------------


@pytest.mark.slow
async def test_silent_callers_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SILENT_S", 0.05)
    monkeypatch.setattr(surface, "SILENT_S", 0.05)
    monkeypatch.setattr(body, "_PATIENCE_S", 0.05)
    async with running(LINE) as here:
        assert await raw(here, b"") == b""
        for began in (b"G", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: "):
            assert await raw(here, began, tcp=True) == b""
        head = b"POST /api/stop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        answer = parsed(await raw(here, head + b"Content-Length: 9\r\n\r\n{"))
        assert answer.status == 408
        kept = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        assert parsed(await raw(here, kept)).status == 200, "and then is sent away, too"


async def test_who_says_nothing_makes_nothing_be_loaded() -> None:
    async with running(LINE) as here:
        callers = [await here.connect() for _ in range(20)]
        await asyncio.sleep(0.1)
        (made,) = [each for each in _alive(listener.Listener) if each.connections == 20]
        (opened,) = (each for each in _alive(surface._Surface) if each._pipeline is here.pipeline)
        assert opened._runners == {}, "what serves HTTP"
        for _, writer in callers:
            writer.close()
        await until(lambda: not made.connections)


def _alive(kind: type) -> list[Any]:
    import gc

    return [each for each in gc.get_objects() if type(each) is kind]


async def test_there_is_room_for_so_many_and_the_rest_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    async with running(LINE) as here:
        held = [await here.connect(tcp=True) for _ in range(3)]
        await asyncio.sleep(0.05)
        answer = parsed(await raw(here, b"", tcp=True))
        assert answer.status == 503
        assert answer.json() == {
            "error": "too many others are connected",
            "help": "try again later",
        }
        assert (await here.call("GET", "/healthz")).status == 200, "the socket has room of its own"
        for _, writer in held:
            writer.close()


async def test_a_caller_who_vanishes_in_mid_answer_leaves_nothing_behind() -> None:
    async with running(LINE) as here:
        for path in ("/api/events?levels=10&state=1", "/api/stages/gain/listen"):
            reader, writer = await here.connect(tcp=True)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            await asyncio.wait_for(reader.read(100), 5)
            writer.transport.abort()
        figures = ("rtpipe_control_readers", "rtpipe_control_listeners")
        for _ in range(100):
            told = (await here.get("/metrics")).body.decode()
            if all(f"\n{name} 0.0\n" in told for name in figures):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail(told)
        assert lost_ms(here) == 0


async def test_who_stops_reading_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_STUCK_S", 0.2)
    async with running(LINE) as here:
        _, writer = await here.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n")
        (opened,) = (each for each in _alive(surface._Surface) if each._pipeline is here.pipeline)
        await until(lambda: opened._feed.readers == 1)
        for _ in range(500):
            event = rtpipe.Event(type=f"noise.made_{'x' * 2000}", source="tone", at=0.0)
            here.pipeline.bus.publish(event)
        await until(lambda: opened._feed.readers == 0)
        await until(lambda: opened._listeners[0].connections == 0)
        writer.close()


@pytest.mark.slow
async def test_a_thousand_readers_that_do_not_read() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4000), hard))
    async with running(LINE) as here:
        await here.get("/healthz")
        callers = []
        for number in range(1000):
            _, writer = await here.connect(tcp=number % 2 == 0)
            writer.write(b"GET /api/events?levels=10&state=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            callers.append(writer)
        before = _resident()
        events = 0
        for _ in range(60):
            for _ in range(50):
                events += 1
                event = rtpipe.Event(type=f"noise.made_{'x' * 2000}", source="tone", at=0.0)
                here.pipeline.bus.publish(event)
            await asyncio.sleep(0.01)
        assert _resident() - before < 150_000_000, f"{events} events of 2 kB, 200 readers"
        (made,) = (each for each in _alive(surface._Surface) if each._pipeline is here.pipeline)
        assert made._feed.readers <= 200
        assert made._feed.missed > 50_000
        assert lost_ms(here) == 0
        for writer in callers:
            writer.transport.abort()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# -- callers that say something odd --------------------------------------------------------------


async def test_bodies_that_are_none() -> None:
    async with running(LINE) as here:

        async def said(data: bytes) -> tuple[int, str]:
            answer = await here.call("POST", "/api/stages/gain/set", body=data)
            return answer.status, answer.json()["error"]

        assert await said(bytes(10_000_000)) == (413, "the body is larger than 64 kB")
        status, error = await said(b"[" * 30_000)
        assert (status, error[:19]) == (400, "the body is no JSON")
        deep = b"[" * 100 + b"]" * 100
        assert await said(deep) == (400, "the body is nested more than 20 deep")
        for number in (b"NaN", b"-Infinity", b"Infinity"):
            status, error = await said(b'{"gain_db": %s}' % number)
            assert status == 400
            assert "is no number there" in error
        assert (await said(b"\xff\xfe"))[0] == 400
        assert (await said(b'"text"'))[1] == "the body is no JSON object"
        assert (await said(b'{"args": 1}'))[0] == 400
        answer = await here.call(
            "POST", "/api/stages/gain/set", {"Content-Encoding": "gzip"}, b"no gzip"
        )
        assert answer.status == 400
        bomb = gzip.compress(bytes(5_000_000))
        assert len(bomb) < 64 * 1024
        answer = await here.call("POST", "/api/stages/gain/set", {"Content-Encoding": "gzip"}, bomb)
        assert answer.status == 413
        assert here.pipeline["gain"]._gain_db == 0


async def test_paths_that_lead_nowhere() -> None:
    async with running(LINE) as here:
        answer = await here.call("GET", "/nothing/" + "x" * 3000)
        assert answer.status == 404
        assert answer.json()["help"] == "docs/reference/http.md has all paths"
        assert len(answer.body) < 200
        answer = await here.call("DELETE", "/api/stop")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.json() == {"error": "`/api/stop` takes no DELETE", "help": "it takes POST"}
        assert (await here.call("OPTIONS", "/api/stop")).status == 204
        for path in ("/api/events", "/api/stages/gain/listen", "/api/pipeline", "/metrics"):
            head = await here.call("HEAD", path)
            assert (head.status, head.body) == (200, b"")
        for path in ("a%2Fb/set", "gain/..%2F..%2Fstop", "%00/set", "gain/__init__", "%F0%9F/set"):
            answer = await here.call("POST", f"/api/stages/{path}", body={})
            assert answer.status == 404
            assert "there is no stage" in answer.json()["error"] or "no action" in str(
                answer.json()
            )
        for query in ("match=" + "x" * 300, "&".join(["match=a"] * 30)):
            assert (await here.call("GET", f"/api/events?{query}")).status == 400
        assert (await here.call("GET", "/api/stages/gain/listen?format=exe")).status == 400
        assert (await here.call("GET", "/api/stages/gone/listen")).status == 404


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["gain/set", "gain/flush", "tone/flush", "speaker/volume"])
async def test_arguments_of_every_wrong_type(action: str) -> None:
    async with running(LINE) as here:
        loop = asyncio.get_running_loop()

        @settings(
            max_examples=150,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )
        @given(ANY_JSON)
        def said(value: Any) -> None:
            data = json.dumps(value).encode()
            call = here.call("POST", f"/api/stages/{action}", body=data)
            answer = asyncio.run_coroutine_threadsafe(call, loop).result()
            assert answer.status in {200, 400, 404, 409}, answer
            told = json.loads(answer.body)
            assert told.keys() >= ({"result"} if answer.status == 200 else {"error", "help"})
            assert "Traceback" not in str(told)

        await asyncio.to_thread(said)
        assert {state.status.value for state in here.pipeline.state()} == {"ok"}
        assert lost_ms(here) == 0


RUBBISH = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS hello
    b"\r\n\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /api/stop HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(1000)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    bytes(range(256)) * 100,
]


async def test_rubbish_is_answered_and_not_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "SILENT_S", 0.1)
    monkeypatch.setattr(surface, "SILENT_S", 0.1)
    caplog.set_level(logging.INFO)
    async with running(LINE) as here:

        async def send(data: bytes, *, tcp: bool) -> None:
            reader, writer = await here.connect(tcp=tcp)
            writer.write(data)
            writer.write_eof()
            try:
                await asyncio.wait_for(reader.read(4000), 5)
            except ConnectionError:
                pass
            finally:
                writer.transport.abort()

        await asyncio.gather(*(send(each, tcp=tcp) for each in RUBBISH for tcp in (True, False)))
        assert (await here.call("GET", "/healthz", tcp=True)).status == 200
        assert {state.status.value for state in here.pipeline.state()} == {"ok"}
    theirs = ("rtpipe.control", "aiohttp", "asyncio")
    told = [each for each in caplog.records if each.name.startswith(theirs)]
    assert not [each for each in told if each.levelno >= logging.INFO]


@pytest.mark.slow
async def test_any_bytes_at_all() -> None:
    async with running(LINE) as here:
        loop = asyncio.get_running_loop()
        start = st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"POST /api/stop HTTP/1.1\r\nHost: "])

        async def send(data: bytes) -> None:
            reader, writer = await here.connect()
            writer.write(data)
            writer.write_eof()
            await asyncio.wait({asyncio.ensure_future(reader.read(1000))}, timeout=0.02)
            writer.transport.abort()

        @settings(max_examples=200, deadline=None)
        @given(start, st.binary(max_size=300))
        def said(head: bytes, tail: bytes) -> None:
            asyncio.run_coroutine_threadsafe(send(head + tail), loop).result()

        await asyncio.to_thread(said)
        assert (await here.call("GET", "/readyz")).body == b"running\n"
        assert lost_ms(here) == 0


# -- stages that are not well --------------------------------------------------------------------


class Broken(rtpipe.Transform[rtpipe.Options]):
    """Fails on its fifth frame, is opened again slowly, and has an action."""

    kind = "broken"

    async def open(self) -> None:
        self._frames = 0

    def process(self, frame: rtpipe.AudioFrame) -> rtpipe.AudioFrame:
        self._frames += 1
        if self._frames == 5:
            raise RuntimeError("no more")
        return frame

    @rtpipe.action
    def poke(self, how: str = "softly") -> dict[Any, Any]:
        """Poke it."""
        if how == "to death":
            raise SystemExit(3)
        return {("a", 1): float("nan"), "self": {1, 2}, "bytes": b"\xff", "deep": _deep(100)}


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else []


class BrokenPlugin:
    @rtpipe.hookimpl
    def rtpipe_stages(self) -> list[Any]:
        return [Broken]


BREAKING = """
version: 1
name: hall
stages:
  - tone: {realtime: true}
  - broken:
    on_error: {restart: {tries: 100, within_s: 1, backoff_s: [30, 30]}}
  - blackhole
"""


async def test_an_action_and_a_tap_while_a_stage_restarts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "_PATIENCE_S", 0.05)
    async with running(BREAKING, plugins=[BrokenPlugin()]) as here:
        first = await here.call("POST", "/api/stages/broken/poke", body={})
        told = first.json()
        assert told["result"]["('a', 1)"] is None
        assert told["result"]["bytes"] == "b'\\xff'"
        answer = await here.call("POST", "/api/stages/broken/poke", body={"how": "to death"})
        assert answer.status in {409, 500}
        await until(lambda: here.pipeline.state()[1].status.value == "recovering")
        answer = await here.call("POST", "/api/stages/broken/poke", body={})
        assert answer.status == 409
        assert answer.json()["error"] == "broken is recovering"
        reader, writer = await here.connect()
        writer.write(b"GET /api/stages/broken/listen HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"RIFF"), 5)
        writer.close()


# -- secrets -------------------------------------------------------------------------------------

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


# -- https ---------------------------------------------------------------------------------------


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


# -- the end -------------------------------------------------------------------------------------


async def test_a_stop_from_outside_ends_all_streams_in_order() -> None:
    async with running(LINE) as here:
        told: list[str] = []
        here.pipeline.bus.subscribe("*", lambda event: told.append(event.type))
        streams = []
        for path in ("/api/events?state=1", "/api/stages/gain/listen", "/api/events?match=none"):
            reader, writer = await here.connect(tcp=True)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            streams.append((reader, writer))
        (opened,) = (each for each in _alive(surface._Surface) if each._pipeline is here.pipeline)
        await until(lambda: opened._feed.readers == 2 and opened._taps.listeners == 1)
        answer = await here.call("POST", "/api/stop", body={}, tcp=True)
        assert answer.json() == {"result": "stopping", "event": None}
        assert opened._view.state in {"stopping", "ended"}
        ready = await here.call("GET", "/readyz")
        assert (ready.status, ready.body) in {(503, b"stopping\n"), (503, b"ended\n")}
        assert (await here.call("GET", "/healthz")).status == 200
        await here.call("POST", "/api/stop", body={})  # changes nothing
        assert told.count("pipeline.stopping") == 1
        assert told.index("control.used") < told.index("pipeline.stopping")
    ends = [await asyncio.wait_for(reader.read(), 5) for reader, _ in streams]
    assert b'event: end\ndata: {"state":"ended"}' in ends[0]
    assert b'event: end\ndata: {"state":"ended"}' in ends[2]
    for data in ends:
        assert data.endswith(b"0\r\n\r\n"), "the answer is whole"
    for _, writer in streams:
        writer.close()
