"""What callers do who hold something, or say something odd: told, and nothing is lost."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rtpipe
from helpers.surface import LINE, alive, lost_ms, parsed, raw, running, until
from rtpipe_control import surface
from rtpipe_control.http import application, body, listener


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
        (made,) = [each for each in alive(listener.Listener) if each.connections == 20]
        (opened,) = (each for each in alive(surface._Surface) if each._pipeline is here.pipeline)
        assert opened._runners == {}, "what serves HTTP"
        for _, writer in callers:
            writer.close()
        await until(lambda: not made.connections)


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
        (opened,) = (each for each in alive(surface._Surface) if each._pipeline is here.pipeline)
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
        (made,) = (each for each in alive(surface._Surface) if each._pipeline is here.pipeline)
        assert made._feed.readers <= 200
        assert made._feed.missed > 50_000
        assert lost_ms(here) == 0
        for writer in callers:
            writer.transport.abort()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


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
