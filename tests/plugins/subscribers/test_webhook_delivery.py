"""webhook with a server that is away, busy or unwilling: what waits, how long, and what is lost."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from helpers.broker import free_port
from helpers.web_server import WebServer, answer
from plugins.subscribers.deliveries import QUICK, numbers, said
from rtpipe import Event
from rtpipe.testing import Bench, run_stage, run_virtual
from rtpipe_plugins.subscribers.delivery import worker as delivery
from rtpipe_plugins.subscribers.webhook import Webhook


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def types(bench: Bench) -> list[str]:
    return [event.type for event in bench.run.events]


# --- the server is away


async def test_a_server_that_was_away_gets_everything_once_and_in_order(server: WebServer) -> None:
    await server.stop()
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(number) for number in range(30)])
        await asyncio.sleep(0.1)
        await server.start()
        await server.until(lambda: len(server.taken) == 30)
        await server.stop()
        await bench.play([said(number) for number in range(30, 60)])
        await asyncio.sleep(0.1)
        await server.start()
        await server.until(lambda: len(server.taken) == 60)
    assert numbers(server.taken) == list(range(60))
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 60
    assert types(bench) == ["webhook.disconnected", "webhook.connected"] * 2
    assert bench.run.events[0].payload()["reason"] == "Connection refused"
    assert bench.run.events[0].payload()["host"] == "127.0.0.1"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_what_may_work_later_is_tried_again(server: WebServer, status: int) -> None:
    server.answers = [answer(200), answer(status), answer(status)]
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1), said(2), said(3)])
        await server.until(lambda: len(server.taken) == 3)
    assert numbers(server.bodies) == [1, 2, 2, 2, 3]
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert len(set(keys)) == 3
    assert types(bench) == ["webhook.connected", "webhook.disconnected", "webhook.connected"]


async def test_a_server_that_does_not_answer_is_tried_again(server: WebServer) -> None:
    server.silent = True
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK, "timeout_s": 0.2})
    async with bench.opened():
        await bench.play([said(1)])
        await server.until(lambda: len(server.requests) == 2)
        server.silent = False
        await server.until(lambda: len(server.requests) == 3)
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert bench.run.events[0].payload()["reason"] == "no answer within 0.2 s"


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 422])
async def test_what_is_refused_is_dropped_and_told(server: WebServer, status: int) -> None:
    server.answers = [answer(status, Location=server.url)]
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1), said(2)])
        await server.until(lambda: len(server.taken) == 1)
    assert numbers(server.bodies) == [1, 2]
    failed = bench.run.of_type("webhook.failed")[0].payload()
    assert (failed["status"], failed["event"], failed["host"]) == (
        status,
        "transcript.user",
        "127.0.0.1",
    )


async def test_a_refusal_is_not_reported_to_who_refused(server: WebServer) -> None:
    await run_stage(Webhook, {"url": server.url}, events=[Event(type="webhook.failed"), said(1)])
    assert numbers(server.bodies) == [1]
    assert len(server.bodies) == 1


# --- how long it waits


def pauses(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[float | None], **retry: float
) -> list[float]:
    """Return the pauses (s) after attempts that fail, asking for a time, or succeed: None."""
    attempts: list[float] = []

    async def main() -> None:
        done = asyncio.Event()

        async def send(self: Webhook, session: object, message: object) -> None:
            outcome = outcomes[len(attempts)]
            attempts.append(self.ctx.now())
            if len(attempts) == len(outcomes):
                done.set()
            if outcome is not None:
                raise delivery.TryLater("away", outcome)

        monkeypatch.setattr(Webhook, "_send", send)
        bench = Bench(Webhook, {"url": "http://x", "retry": retry})
        async with bench.opened():
            await bench.play([said(1)] * outcomes.count(None))
            await done.wait()

    run_virtual(main())
    after_failures = zip(pairwise(attempts), outcomes, strict=False)
    return [later - at for (at, later), outcome in after_failures if outcome is not None]


def test_pauses_grow_with_jitter_to_their_limit_and_begin_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = [0.0, 0.0, 0.0, 0.0, 0.0, None, 0.0, None]
    waited = pauses(monkeypatch, outcomes, initial_s=1, max_s=6)
    for pause, longest in zip(waited, [1, 2, 4, 6, 6, 1], strict=True):
        assert longest / 2 <= pause <= longest
    assert len(set(waited)) == len(waited)


def test_a_server_is_left_alone_as_long_as_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = pauses(monkeypatch, [40.0, None], initial_s=1, max_s=6)
    assert waited == [pytest.approx(40.0)]


def test_but_for_no_longer_than_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = pauses(monkeypatch, [99999999.0, None], initial_s=1, max_s=6)
    assert waited == [pytest.approx(3600.0)]


async def test_retry_after_is_read_from_the_answer(server: WebServer) -> None:
    server.answers = [answer(503, Retry_After="1")]
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    loop = asyncio.get_running_loop()
    async with bench.opened():
        await bench.play([said(1)])
        await server.until(lambda: len(server.requests) == 1)
        refused_at = loop.time()
        await server.until(lambda: len(server.taken) == 1)
        assert loop.time() - refused_at >= 0.9


# --- what happens to what waits


async def test_the_oldest_is_lost_and_counted_when_the_outbox_is_full(server: WebServer) -> None:
    await server.stop()
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK, "outbox_limit": 5})
    async with bench.opened():
        await bench.play([said(number) for number in range(20)])
        await server.start()
        await server.until(lambda: server.taken != [] and numbers(server.taken)[-1] == 19)
    assert numbers(server.taken)[-4:] == [16, 17, 18, 19]
    assert len(server.taken) <= 6  # and the one that was under way
    (told,) = bench.run.of_type("subscriber.overflowed")
    assert told.payload()["lost"] > 0


async def test_closing_does_not_wait_for_a_server_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with asyncio.timeout(5):
        options = {"url": f"http://127.0.0.1:{free_port()}", "retry": {"initial_s": 60.0}}
        await run_stage(Webhook, options, events=[said(1), said(2)])
    assert "2 events were not delivered" in caplog.text


async def test_closing_ends_a_request_that_hangs(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(delivery, "_GRACE_S", 0.1)
    server.silent = True
    outbox = tmp_path / "outbox"
    async with asyncio.timeout(10):
        await run_stage(Webhook, {"url": server.url, "outbox": outbox}, events=[said(1)])
    server.silent = False
    await run_stage(Webhook, {"url": server.url, "outbox": outbox})
    first, second = (request.headers["Idempotency-Key"] for request in server.requests)
    assert first == second


async def test_what_is_left_is_delivered_by_the_next_run(
    server: WebServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await server.stop()
    options = {"url": server.url, "outbox": tmp_path / "outbox"}
    await run_stage(Webhook, options, events=[said(number) for number in range(5)])
    assert "5 events wait in" in caplog.text
    await server.start()
    await run_stage(Webhook, options, events=[said(5)])
    assert numbers(server.taken) == list(range(6))
    await run_stage(Webhook, options)
    assert len(server.taken) == 6


KILLED = """
import asyncio, sys
from rtpipe.testing import Bench
from rtpipe_plugins.peers.realtime.events import UserTranscript
from rtpipe_plugins.subscribers.webhook import Webhook

async def main():
    options = {"url": sys.argv[1], "outbox": sys.argv[2], "retry": {"initial_s": 0.02}}
    bench = Bench(Webhook, options)
    async with bench.opened():
        number = int(sys.argv[3])
        while True:
            await bench.play([UserTranscript(text=f"{number}", item_id="i")])
            print(number, flush=True)
            number += 1

asyncio.run(main())
"""


@pytest.mark.slow
async def test_a_killed_process_loses_nothing_that_it_took(
    server: WebServer, tmp_path: Path
) -> None:
    """Once with the server away, once in the middle of delivering."""
    outbox = tmp_path / "outbox"
    taken: list[int] = []
    for first, away in ((0, True), (100_000, False)):
        if away:
            await server.stop()
        else:
            await server.start()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", KILLED, server.url, str(outbox), f"{first}"),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        taken += [int(await process.stdout.readline()) for _ in range(40)]
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        taken += [int(line) for line in (await process.stdout.read()).split(b"\n")[:-1]]
        await process.wait()
    bench = Bench(Webhook, {"url": server.url, "outbox": outbox})
    async with bench.opened():
        await bench.play([said(200_000)])
        await server.until(lambda: 200_000 in numbers(server.taken))
    by_key = {
        request.headers["Idempotency-Key"]: int(body["text"])
        for request, body in zip(server.requests, server.bodies, strict=True)
    }
    delivered = list(by_key.values())
    assert delivered == sorted(set(delivered))
    assert set(taken) < set(delivered)
    # Each kill may come between an event's being kept and its being printed.
    assert len(delivered) - len(taken) <= 3
    assert len(server.bodies) - len(by_key) <= 1  # the one that was under way when it was killed


# --- what can never be delivered


@pytest.mark.parametrize("value", ["Mon, 01 Jan 99999999999 00:00:00 GMT", "1" * 400, "soon"])
async def test_an_odd_retry_after_ends_nothing(server: WebServer, value: str) -> None:
    server.answers = [answer(503, Retry_After=value)]
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1), said(2)])
        await server.until(lambda: len(server.taken) == 2)


async def test_an_answer_that_is_no_http_does_not_repeat_an_event_for_ever() -> None:
    bodies: list[int] = []
    third = asyncio.Event()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        bodies.append(int(json.loads(await reader.readexactly(length))["text"]))
        writer.write(b"HTTP/1.1 200 OK\r\nX-Endless: " + b"x" * 20_000 + b"\r\n\r\n")
        await writer.drain()
        writer.close()
        if 3 in bodies:
            third.set()

    babbler = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = babbler.sockets[0].getsockname()[1]
    bench = Bench(Webhook, {"url": f"http://127.0.0.1:{port}/", "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1), said(2), said(3)])
        await asyncio.wait_for(third.wait(), 20)
    babbler.close()
    assert bodies[:7] == [1, 1, 1, 2, 2, 2, 3]
    assert "no answer that HTTP knows" in bench.run.of_type("webhook.failed")[0].line()


async def test_what_is_refused_lies_in_the_dead_letter_file(
    server: WebServer, tmp_path: Path
) -> None:
    server.answers = [answer(413)]
    outbox = tmp_path / "outbox"
    bench = Bench(Webhook, {"url": server.url, "outbox": outbox})
    async with bench.opened():
        await bench.play([said(1), said(2)])
        await server.until(lambda: len(server.taken) == 1)
    (failed,) = bench.run.of_type("webhook.failed")
    kept = Path(failed.payload()["kept"])
    assert kept == tmp_path / "outbox.dead.jsonl"
    (letter,) = lines(kept)
    assert (letter["event"]["text"], letter["reason"][:3]) == ("1", "413")
    assert "413 Request Entity Too Large" in failed.line()
    assert f"{kept}" in failed.line()


async def test_a_dead_letter_file_that_cannot_be_written_stops_nothing(
    server: WebServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "outbox.dead.jsonl").mkdir()
    server.answers = [answer(413)]
    bench = Bench(Webhook, {"url": server.url, "outbox": tmp_path / "outbox"})
    async with bench.opened():
        await bench.play([said(1), said(2)])
        await server.until(lambda: len(server.taken) == 1)
    (failed,) = bench.run.of_type("webhook.failed")
    assert failed.payload()["kept"] == ""
    assert "Is a directory" in caplog.text


async def test_whatever_one_event_raises_stops_nothing_behind_it(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours or of a library: tried three times, and never in the words of the error."""
    real = Webhook._send
    tries: list[str] = []

    async def send(self: Webhook, session: Any, message: Any) -> None:
        if '"text": "2"' in message.body:
            tries.append(message.id)
            raise LookupError(f"{self.options.address} is odd")
        await real(self, session, message)

    monkeypatch.setattr(Webhook, "_send", send)
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1), said(2), said(3)])
        await server.until(lambda: len(server.taken) == 2)
    assert numbers(server.taken) == [1, 3]
    assert len(tries) == 3
    assert len(set(tries)) == 1
    (failed,) = bench.run.of_type("webhook.failed")
    assert (failed.payload()["reason"], failed.payload()["status"]) == ("LookupError", 0)


async def test_whatever_connecting_raises_is_tried_again(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, harmed = Webhook.connection, iter([True] * 5)

    def connection(self: Webhook) -> Any:
        if next(harmed, False):
            raise LookupError
        return real(self)

    monkeypatch.setattr(Webhook, "connection", connection)
    bench = Bench(Webhook, {"url": server.url, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1)])
        await server.until(lambda: len(server.taken) == 1)
    assert types(bench) == ["webhook.disconnected", "webhook.connected"]


async def test_a_damaged_outbox_is_told(server: WebServer, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_bytes(bytes(8192))
    bench = Bench(Webhook, {"url": server.url, "outbox": tmp_path / "outbox"})
    async with bench.opened():
        await bench.play([said(1)])
        await server.until(lambda: len(server.taken) == 1)
    (told,) = bench.run.of_type("outbox.damaged")
    assert told.payload()["kept"] == f"{tmp_path / 'outbox.damaged'}"
