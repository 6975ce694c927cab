"""Traces at a real OTLP receiver over HTTP, read with opentelemetry-proto."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import rtpipe
from helpers.media_files import write_wav
from rtpipe import Backoff, EnvironmentProblem, Event
from rtpipe.errors import ConfigError
from rtpipe.testing import joined, speech_like
from rtpipe_otel import rtpipe_running
from rtpipe_otel.conversations import Conversation
from rtpipe_otel.section import OtelOptions
from rtpipe_otel.sender import Sender
from rtpipe_otel.spans import Span as OurSpan
from rtpipe_otel.tracing import Tracing, traced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

FILE = """
version: 1
name: hall
vars: {desk_token: sesame-sesame}
stages: [tone: {realtime: true}, blackhole]
"""


class Happened(Event):
    """Any event of the peer, with any payload."""

    def __init__(self, type: str, at: float, **payload: Any) -> None:
        super().__init__(type=type, source="realtime", at=at)
        object.__setattr__(self, "told", payload)

    def payload(self) -> dict[str, Any]:
        return self.told  # type: ignore[attr-defined,no-any-return]


CONNECTED = Happened(
    "realtime.connected",
    0.5,
    provider="openai",
    model="gpt-realtime",
    host="api.openai.com",
    session_id="s-1",
)
LATENCY = {"hangover_ms": 500.0, "network_ms": 100.0, "model_ms": 300.0, "total_ms": 900.0}
TURN = [
    Happened("turn.user_started", 1.0),
    Happened("turn.user_stopped", 3.0),
    Happened("transcript.user", 3.1, text="Where is the sesame-sesame?"),
    Happened("turn.answer_started", 3.4, response_id="r1"),
    Happened("latency.turn_measured", 3.4, spoken_at=2.5, played=True, **LATENCY),
    Happened("tool.called", 3.5, call_id="c1", name="find", arguments={"what": "café"}),
    Happened("tool.returned", 3.6, call_id="c1", name="find", output="left"),
    Happened("transcript.assistant", 4.0, text="On the left."),
    Happened("realtime.tokens_used", 4.1, response_id="r1", input_tokens=70, output_tokens=30),
    Happened("turn.answer_stopped", 5.0, quiet_s=0.0),
]


class Receiver:
    """Takes traces, or does not."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.partial = ExportTracePartialSuccess()
        self.port = 0
        self.asked = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        self.asked.set()
        self.headers.append(dict(request.headers))
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), text="sesame-sesame")
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            pairs = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.resources.append(pairs)
            for scope in resource.scope_spans:
                self.spans += scope.spans
        answer = ExportTraceServiceResponse(partial_success=self.partial)
        return web.Response(body=answer.SerializeToString())

    @property
    def options(self) -> OtelOptions:
        return OtelOptions.model_validate({"endpoint": f"http://127.0.0.1:{self.port}"})


@asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    took = Receiver()
    app = web.Application()
    app.add_routes([web.post("/v1/traces", took.take)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    took.port = runner.addresses[0][1]
    try:
        yield took
    finally:
        await runner.cleanup()


def values(span: Span) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in span.attributes
    }


def conversation(*, words: bool = False, events: list[Happened] | None = None) -> list[OurSpan]:
    sent: list[OurSpan] = []
    held = Conversation("realtime", "hall", sent.append, lambda: 1000.0, words=words)
    for event in [CONNECTED, *(TURN if events is None else events)]:
        held.take(event)
    held.end()
    return sent


def test_a_turn_is_a_span_its_wait_another_and_the_parts_fill_it() -> None:
    turn, wait, *rest = conversation()
    root = rest[-1]
    parts, (answer, tool) = rest[:3], rest[3:5]
    assert (root.name, root.parent_id) == ("conversation", b"")
    assert (turn.name, turn.parent_id) == ("invoke_agent hall", root.span_id)
    assert (turn.start, turn.end) == (1.0, 5.0)
    assert (wait.parent_id, wait.start) == (turn.span_id, 2.5)
    assert wait.end == pytest.approx(2.5 + LATENCY["total_ms"] / 1000)
    assert [each.name for each in parts] == ["hangover", "network", "model"]
    assert all(each.parent_id == wait.span_id for each in parts)
    assert sum(each.end - each.start for each in parts) == pytest.approx(0.9)
    assert answer.attributes["gen_ai.usage.output_tokens"] == 30
    assert answer.attributes["gen_ai.request.model"] == "gpt-realtime"
    assert (tool.name, tool.start, tool.end) == ("execute_tool find", 3.5, 3.6)
    assert len({each.trace_id for each in (turn, wait, *rest)}) == 1
    assert root.attributes["gen_ai.conversation.id"] == "s-1"
    assert (root.end, root.attributes["rtpipe.turns"]) == (5.0, 1)


@pytest.mark.parametrize("words", [True, False])
def test_words_are_told_only_if_the_file_says_so(*, words: bool) -> None:
    told = json.dumps([each.attributes for each in conversation(words=words)])
    assert ("On the left" in told) is words
    assert ("left" in told) is words


def test_who_comes_later_is_another_conversation() -> None:
    rolled = Happened("realtime.rolled_over", 60.0, session_id="s-2", forced=False)
    again = Happened("turn.user_started", 70.0)
    spans = conversation(events=[*TURN, rolled, again])
    roots = [each for each in spans if each.name == "conversation"]
    assert [root.attributes["gen_ai.conversation.id"] for root in roots] == ["s-1", "s-2"]
    assert len({root.trace_id for root in roots}) == 2
    unanswered = [each for each in spans if "unanswered" in each.attributes.values()]
    assert len(unanswered) == 1


def test_a_failed_answer_is_an_error() -> None:
    failed = Happened("realtime.response_failed", 3.6, response_id="r1", code="server_error")
    turn = conversation(events=[*TURN[:4], failed])[0]
    assert turn.error == "server_error"


async def test_a_receiver_reads_it_without_secrets() -> None:
    async with receiver() as took:
        pipeline = rtpipe.loads(FILE)
        options = OtelOptions.model_validate(
            {
                "endpoint": f"http://127.0.0.1:{took.port}",
                "headers": {"Authorization": "Bearer sesame"},
                "words": True,
            }
        )
        assert "sesame" not in repr(options)
        async with traced(pipeline, options), pipeline:
            for event in [CONNECTED, *TURN]:
                pipeline.bus.publish(event)
        names = [each.name for each in took.spans]
        assert names[0] == "invoke_agent hall"
        assert names[-1] == "conversation"
        assert {"chat gpt-realtime", "execute_tool find", "wait for the answer"} <= set(names)
        assert took.headers[0]["Authorization"] == "Bearer sesame"
        assert took.resources[0]["service.name"] == "rtpipe"
        (turn,) = (each for each in took.spans if each.name == "invoke_agent hall")
        (root,) = (each for each in took.spans if each.name == "conversation")
        assert turn.parent_span_id == root.span_id
        assert turn.end_time_unix_nano - turn.start_time_unix_nano == 4_000_000_000
        told = json.dumps([values(each) for each in took.spans], default=str)
        assert "sesame" not in told
        assert "***" in told


def sender_of(options: OtelOptions, told: list[Event]) -> Sender:
    return Sender(options, {}, "1", told.append, backoff=Backoff(initial_s=0.01, max_s=0.05))


def a_span() -> OurSpan:
    return OurSpan("turn", b"t" * 16, 0.0, 1.0, 2.0)


async def until(told: list[Event], type: str) -> Event:
    async with asyncio.timeout(20):
        while True:
            for event in told:
                if event.type == type:
                    return event
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_a_busy_receiver_is_asked_again_and_nothing_is_lost() -> None:
    async with receiver() as took:
        took.statuses = [503, 429, 502]
        told: list[Event] = []
        sender = sender_of(took.options, told)
        sender.put(a_span())
        await until(told, "otel.connected")
        await sender.close()
        assert [each.name for each in took.spans] == ["turn"]
        assert [each.type for each in told] == ["otel.disconnected", "otel.connected"]
        assert sender.lost == 0


@pytest.mark.slow
@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_what_is_refused_for_good_is_counted_and_told_without_their_words(
    status: int,
) -> None:
    async with receiver() as took:
        took.statuses = [status]
        told: list[Event] = []
        sender = sender_of(took.options, told)
        sender.put(a_span())
        lost = await until(told, "otel.spans_lost")
        sender.put(a_span())
        await sender.close()
        assert str(status) in lost.line()
        assert "sesame" not in lost.line()
        assert (sender.lost, len(took.spans)) == (1, 1)


@pytest.mark.slow
async def test_what_a_receiver_rejects_of_a_batch_is_counted() -> None:
    async with receiver() as took:
        took.partial = ExportTracePartialSuccess(rejected_spans=1, error_message="too old")
        told: list[Event] = []
        sender = sender_of(took.options, told)
        sender.put(a_span())
        assert "too old" in (await until(told, "otel.spans_lost")).line()
        await sender.close()


def nobody() -> OtelOptions:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return OtelOptions.model_validate({"endpoint": f"http://127.0.0.1:{port}", "queue": 64})


@pytest.mark.slow
async def test_without_a_receiver_the_oldest_go_the_end_is_bounded_and_all_is_counted() -> None:
    told: list[Event] = []
    sender = sender_of(nobody(), told)
    for _ in range(100):
        sender.put(a_span())
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(20):
        await sender.close()
    assert asyncio.get_running_loop().time() - began < 10, "a bound, not a measure"
    assert sender.lost == 100
    assert sum(event.payload()["lost"] for event in told if event.type == "otel.spans_lost") == 100


@pytest.mark.slow
async def test_a_certificate_that_is_not_trusted_is_said(
    certificate: Callable[[], ssl.SSLContext],
) -> None:
    async with receiver(certificate()) as took:
        told: list[Event] = []
        address = f"https://127.0.0.1:{took.port}"
        sender = sender_of(OtelOptions.model_validate({"endpoint": address}), told)
        sender.put(a_span())
        assert "certificate is not trusted" in (await until(told, "otel.disconnected")).line()
        await sender.close()
        assert sender.lost == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[[], ssl.SSLContext]:
    import subprocess

    def made() -> ssl.SSLContext:
        key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
        subprocess.run(
            [*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    return made


async def test_a_conversation_is_sent_while_the_run_goes_on() -> None:
    async with receiver() as took:
        pipeline = rtpipe.loads(FILE)
        sent: list[OurSpan] = []

        class Kept:
            put = staticmethod(sent.append)

        tracing = Tracing(pipeline, OtelOptions.model_validate({"idle_s": 5}), Kept())  # type: ignore[arg-type]
        for event in [CONNECTED, *TURN]:
            tracing.take(event)
        (held,) = tracing._conversations.values()
        held.look(6.0, 5.0)
        assert not sent, "what belongs to it may still come"
        held.look(7.5, 5.0)
        assert [each.name for each in sent if each.name == "conversation"] == []
        assert sent
        held.look(10.5, 5.0)
        assert sent[-1].name == "conversation"
        assert not took.spans


@pytest.mark.slow
async def test_a_real_call_is_a_trace_whose_wait_is_the_printed_latency(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(
        "turns: [{transcribe: Hello?, say: Hello., sound: {tone_hz: 600, duration_s: 0.6}}]\n"
    )
    visitor = joined(speech_like(seconds=1.2))
    write_wav(tmp_path / "visitor.wav", visitor)
    async with receiver() as took:
        pipeline = rtpipe.loads(
            f"""
version: 1
name: hall
otel: {{endpoint: "http://127.0.0.1:{took.port}"}}
stages:
  - file: {{path: visitor.wav, realtime: true}}
  - realtime: {{provider: embedded, transport: memory, script: script.yaml}}
  - file_sink: {{path: out.wav, overwrite: true}}
""",
            path=tmp_path / "pipeline.yaml",
        )
        measured: list[Event] = []
        pipeline.bus.subscribe("latency.turn_measured", measured.append)
        async with asyncio.timeout(60):
            await pipeline.run()
        (waited,) = (each for each in took.spans if each.name == "wait for the answer")
        lasted_ms = (waited.end_time_unix_nano - waited.start_time_unix_nano) / 1e6
        assert lasted_ms == pytest.approx(measured[0].payload()["total_ms"], abs=0.01)


async def test_without_its_library_the_install_line_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtpipe_otel.tracing._is_installed", lambda: False)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'rtpipe-media\[otel\]'"):
        async with traced(rtpipe.loads(FILE), nobody()):
            pass


def test_it_is_off_without_an_address_and_in_a_program_without_the_section() -> None:
    assert rtpipe_running(rtpipe.loads(FILE)) is None
    assert rtpipe_running(rtpipe.loads(f'{FILE}otel: ""')) is None


@pytest.mark.parametrize(
    "wrong",
    ["ftp://x", "http://", "//x", '{headers: {"a b": x}}', "{queue: 1}", "{idle_s: 1}"],
)
def test_a_section_that_is_wrong_is_an_error_in_the_file(wrong: str) -> None:
    value = wrong if wrong.startswith("{") else f'"{wrong}"'
    with pytest.raises(ConfigError, match="otel"):
        rtpipe.loads(f"{FILE}otel: {value}")
