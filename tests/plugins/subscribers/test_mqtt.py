"""mqtt: events as messages of a real broker that is stopped and started again."""

import asyncio
import gc
import json
import logging
import subprocess
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from pydantic import ValidationError

from helpers.broker import Broker, found, free_port
from plugins.subscribers.deliveries import QUICK
from rtpipe import EnvironmentProblem, Event
from rtpipe.testing import Bench, check_stage, run_stage
from rtpipe_plugins.peers.realtime.events import UserTranscript
from rtpipe_plugins.subscribers.delivery import worker as delivery
from rtpipe_plugins.subscribers.mqtt import Mqtt, MqttOptions


def said(number: int) -> UserTranscript:
    return UserTranscript(text=f"n{number}.", item_id="i", source="realtime", at=float(number))


def texts(messages: Iterable[aiomqtt.Message]) -> list[str]:
    return [json.loads(str(message.payload, "utf-8"))["text"] for message in messages]


def in_order_of_appearance(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    await broker.stop()


def options(broker: Broker, **more: Any) -> dict[str, Any]:
    return {"topic": "desk/{type}", "host": "127.0.0.1", "port": broker.port, **more}


async def until(bench: Bench, event_type: str, count: int = 1) -> None:
    """Wait until `count` events of a type were published."""
    news = asyncio.Event()
    unsubscribe = bench.bus.subscribe(event_type, lambda _: news.set())
    async with asyncio.timeout(20):
        while len(bench.run.of_type(event_type)) < count:
            news.clear()
            await news.wait()
    unsubscribe()


@pytest.mark.slow
async def test_each_event_is_a_message_under_its_type(broker: Broker) -> None:
    await broker.start()
    await broker.subscribe("desk/#")
    events = [said(1), Event(type="odd+#\0.type"), Event(type="\x1f\x9b\ud800"), said(2)]
    run = await run_stage(Mqtt, options(broker, retain=True), events=events)
    messages = await broker.fetch("n2.")
    assert [str(message.topic) for message in messages] == [
        "desk/transcript.user",
        "desk/odd___.type",
        "desk/__?",
        "desk/transcript.user",
    ]
    assert all(message.qos == 1 for message in messages)
    body = json.loads(str(messages[0].payload, "utf-8"))
    assert body.pop("time")
    assert body == said(1).as_dict()
    assert [event.type for event in run.events] == ["mqtt.connected"]
    async with broker.listener() as late:  # retained: the last of each topic
        await late.subscribe("desk/#", qos=1)
        kept: set[str] = set()
        async with asyncio.timeout(20):
            while len(kept) < 3:
                message = await anext(aiter(late.messages))
                if message.retain:  # and not one whose receipt the broker never heard of
                    kept.add(str(message.topic))
    assert kept == {"desk/transcript.user", "desk/odd___.type", "desk/__?"}


@pytest.mark.slow
async def test_a_broker_that_was_away_gets_everything_in_order(broker: Broker) -> None:
    """Away at the start, stopped while idle, and stopped in the middle of delivering."""
    await broker.start()
    await broker.subscribe()
    await broker.stop()
    bench = Bench(Mqtt, options(broker, retry=QUICK, timeout_s=1.0))
    async with bench.opened():
        await bench.play([said(number) for number in range(20)])
        await until(bench, "mqtt.disconnected")
        await broker.start()
        await until(bench, "mqtt.connected")
        first = await broker.fetch("n19.")
        await broker.stop()
        await bench.play([said(number) for number in range(20, 40)])
        await until(bench, "mqtt.disconnected", 2)
        await broker.start()
        await until(bench, "mqtt.connected", 2)
        second = await broker.fetch("n39.")
        stopping = asyncio.create_task(broker.stop())
        await bench.play([said(number) for number in range(40, 140)])
        await stopping
        await until(bench, "mqtt.disconnected", 3)
        await broker.start()
        third = await broker.fetch("n139.")
    got = texts([*first, *second, *third])
    assert in_order_of_appearance(got) == [f"n{number}." for number in range(140)]


@pytest.mark.slow
async def test_what_is_left_is_delivered_by_the_next_run(broker: Broker, tmp_path: Path) -> None:
    await broker.start()
    await broker.subscribe()
    await broker.stop()
    kept = options(broker, outbox=tmp_path / "outbox", retry=QUICK)
    await run_stage(Mqtt, kept, events=[said(number) for number in range(5)])
    await broker.start()
    await run_stage(Mqtt, kept, events=[said(5)])
    assert texts(await broker.fetch("n5.")) == [f"n{number}." for number in range(6)]


@pytest.mark.slow
@pytest.mark.parametrize("password", ["right-s3cret", "wrong-s3cret"])
async def test_a_broker_may_ask_for_a_password_and_nobody_hears_it(
    tmp_path: Path, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    made = [found("mosquitto_passwd"), "-b", "-c", str(passwords), "desk", "right-s3cret"]
    making = await asyncio.create_subprocess_exec(*made, stderr=subprocess.DEVNULL)
    assert await making.wait() == 0
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {passwords}")
    await broker.start()
    login = MqttOptions.model_validate(
        options(broker, username="desk", password=password, retry=QUICK)
    )
    bench = Bench(Mqtt, login)
    async with bench.opened():
        await bench.play([said(1)])
        wanted = "mqtt.connected" if password == "right-s3cret" else "mqtt.disconnected"
        await until(bench, wanted)
    await broker.stop()
    said_of_it = [event.as_dict() for event in bench.run.events]
    if wanted == "mqtt.disconnected":
        assert "authori" in said_of_it[0]["reason"].lower()
    assert "s3cret" not in f"{login!r} {said_of_it} {caplog.text}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see its end
async def test_tls_is_checked_against_the_ca_file(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    broker = Broker(tmp_path, "allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    await broker.start()
    for trusted, expected in ((certificate, "mqtt.connected"), (None, "mqtt.disconnected")):
        over_tls = options(broker, tls=True, ca_file=trusted, retry=QUICK)
        bench = Bench(Mqtt, {**over_tls, "host": "localhost"})
        async with bench.opened():
            await until(bench, expected)
        if trusted is None:
            assert "certificate" in bench.run.events[0].payload()["reason"]
    await broker.stop()
    gc.collect()  # paho leaves the socket of a handshake that failed to the garbage collector


def make_certificate(certificate: Path, key: Path) -> None:
    """Write a certificate for localhost that has signed itself."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("outbox", ["outbox", None])
async def test_events_that_the_broker_never_takes_stop_nothing_behind_them(
    tmp_path: Path, outbox: str | None
) -> None:
    """Too large for this broker, and with a topic too long for MQTT itself."""
    broker = Broker(tmp_path, "allow_anonymous true", "max_packet_size 2000")
    await broker.start()
    await broker.subscribe()
    large = UserTranscript(text="x" * 3000, item_id="large")
    endless = Event(type="y" * 70_000)
    more = {"outbox": tmp_path / outbox} if outbox else {}
    bench = Bench(Mqtt, options(broker, retry=QUICK, **more))
    async with bench.opened():
        await bench.play([said(1), large, large, said(2), endless, said(3)])
        messages = await broker.fetch("n3.")
    await broker.stop()
    assert in_order_of_appearance(texts(messages)) == ["n1.", "n2.", "n3."]
    failed = [event.payload() for event in bench.run.of_type("mqtt.failed")]
    assert [event["event"][:4] for event in failed] == ["tran", "tran", "yyyy"]
    assert "bytes failed 3 times" in failed[0]["reason"]
    assert [bool(event["kept"]) for event in failed] == [bool(outbox)] * 3
    assert len(bench.run.of_type("mqtt.disconnected")) == 6
    if outbox:
        assert len((tmp_path / "outbox.dead.jsonl").read_bytes().splitlines()) == 3


@pytest.mark.slow
async def test_what_the_library_says_of_a_broker_that_talks_nonsense_is_in_the_stages_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said_something = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\xf0\0")
        await reader.read(100)
        writer.close()
        said_something.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bench = Bench(Mqtt, {"topic": "x", "host": "127.0.0.1", "port": port, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1)])
        await asyncio.wait_for(said_something.wait(), 20)
    server.close()
    loggers = {r.name for r in caplog.records if "Unrecognised command" in r.getMessage()}
    assert loggers == {"rtpipe.stage.mqtt.paho"}


async def test_a_broker_that_closes_every_connection_condemns_no_event() -> None:
    """Over its quota, say: it greets, and goes."""
    tries = 0
    enough = asyncio.Event()

    async def greet_and_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        await reader.read(100)
        writer.write(b"\x20\x02\0\0")  # CONNACK: accepted
        writer.close()
        tries += 1
        if tries == 6:
            enough.set()

    server = await asyncio.start_server(greet_and_go, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bench = Bench(Mqtt, {"topic": "x", "host": "127.0.0.1", "port": port, "retry": QUICK})
    async with bench.opened():
        await bench.play([said(1)])
        await asyncio.wait_for(enough.wait(), 20)
    server.close()
    assert bench.run.of_type("mqtt.failed") == []


@pytest.mark.slow
async def test_a_broker_that_ends_or_hangs_is_known_while_there_is_nothing_to_send(
    broker: Broker,
) -> None:
    loop = asyncio.get_running_loop()
    await broker.start()
    bench = Bench(Mqtt, options(broker, retry=QUICK, timeout_s=1.0, keep_alive_s=4))
    async with bench.opened():
        await until(bench, "mqtt.connected")
        await broker.stop()
        await until(bench, "mqtt.disconnected")
        await broker.start()
        await until(bench, "mqtt.connected", 2)
        broker.pause()
        hung_at = loop.time()
        await until(bench, "mqtt.disconnected", 2)
        assert loop.time() - hung_at < 4.5
        broker.resume()
        await until(bench, "mqtt.connected", 3)


async def test_a_ca_file_that_is_none_is_the_surroundings(tmp_path: Path) -> None:
    for content in ("no certificate", None):
        path = tmp_path / "ca.pem"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content, encoding="utf-8")
        with pytest.raises(EnvironmentProblem, match=r"ca\.pem"):
            await run_stage(Mqtt, {"topic": "x", "tls": True, "ca_file": path})


async def test_closing_ends_a_connection_that_is_being_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that takes the connection and says nothing."""
    monkeypatch.setattr(delivery, "_GRACE_S", 0.1)
    accepted = asyncio.Event()
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        while await reader.read(100):
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bench = Bench(Mqtt, {"topic": "x", "host": "127.0.0.1", "port": port})
    async with asyncio.timeout(10):
        async with bench.opened():
            await bench.play([said(1)])
            await accepted.wait()
        await gone.wait()
    server.close()
    assert "1 events were not delivered" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": ""},
        {"topic": "desk/+"},
        {"topic": "desk/#"},
        {"topic": "x", "password": "s3cret"},
        {"topic": "x", "username": "desk", "password": ["s3cret"]},
        {"topic": "x", "host": "mqtt://desk:s3cret@broker"},
        {"topic": "x", "host": "desk:s3cret@broker"},
        {"topic": "x", "qos": 3},
        {"topic": "x", "ca_file": "ca.pem"},
        {"topic": "x", "port": 70_000},
    ],
)
def test_a_wrong_option_is_refused_without_saying_a_secret(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        MqttOptions.model_validate(wrong)
    assert "s3cret" not in str(caught.value)


@pytest.mark.slow
def test_it_keeps_the_contract_without_a_broker() -> None:
    there_is_none = {"topic": "x", "host": "127.0.0.1", "port": free_port(), "retry": QUICK}
    check_stage(Mqtt, there_is_none, real_time=True)


@pytest.mark.slow
def test_it_keeps_the_contract_with_a_broker(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with asyncio.Runner() as runner:
        runner.run(broker.start())
        try:
            check_stage(Mqtt, options(broker), real_time=True)
        finally:
            runner.run(broker.stop())
