"""Calls over a WebSocket, with a small server that says what the test tells it to."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import numpy as np
import pytest
from aiohttp import WSMsgType, web

from helpers.sound import fill, tone
from plugins.peers.realtime.visiting import FORGED, KEY, Visit
from rtpipe import EnvironmentProblem, ExitCode, NotConnected, audio
from rtpipe_plugins.peers.realtime.errors import AnswerGivenUp, CallRefused, CallUnavailable


class Server:
    """Takes one WebSocket at a time."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.commands: list[dict[str, Any]] = []
        self.heard = bytearray()
        self.refusal: web.Response | None = None
        self.socket: web.WebSocketResponse | None = None
        self.base_url = ""
        self._runner: Any = None
        self._news = asyncio.Event()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._realtime)
        app.router.add_get("/elsewhere", self._realtime)
        app.router.add_post("/v1/realtime/client_secrets", self._secret)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def close(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        await self._runner.cleanup()

    async def send(self, type: str, **fields: Any) -> None:
        assert self.socket is not None
        await self.socket.send_json({"type": type, "event_id": "event_1", **fields})

    async def speak(self, pcm: np.ndarray, response_id: str = "resp_1") -> None:
        """Send a whole answer at once."""
        place = {"response_id": response_id, "item_id": "item_1", "content_index": 0}
        await self.send("response.created", response={"id": response_id, "conversation_id": "c"})
        delta = base64.b64encode(pcm.tobytes()).decode()
        await self.send("response.output_audio.delta", **place, delta=delta)
        await self.send("response.output_audio.done", **place)
        await self.send("response.done", response={"id": response_id, "status": "completed"})

    async def received(self, type: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while not (found := [c for c in self.commands if c["type"] == type]):
                self._news.clear()
                await self._news.wait()
        return found[0]

    async def hears(self, seconds: float) -> None:
        async with asyncio.timeout(20):
            while len(self.heard) < 2 * 24_000 * seconds:
                self._news.clear()
                await self._news.wait()

    async def _secret(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return web.json_response({"value": "ek_test123456", "expires_at": 1, "session": {}})

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.refusal is not None:
            return self.refusal
        self.socket = socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.send("session.created", session={"id": "sess_1", "type": "realtime"})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._take(json.loads(message.data))
        return socket

    async def _take(self, command: dict[str, Any]) -> None:
        if command["type"] == "input_audio_buffer.append":
            self.heard += base64.b64decode(command["audio"], validate=True)
        else:
            self.commands.append(command)
        if command["type"] == "session.update":
            await self.send("session.updated", session=command["session"])
        self._news.set()


@pytest.fixture
async def server() -> Any:
    far_end = Server()
    await far_end.start()
    yield far_end
    await far_end.close()


@pytest.fixture
def visit(server: Server, ctx: Any, patient_link: Any) -> Any:
    def make(**options: Any) -> Visit:
        return Visit(
            server,
            ctx,
            patient_link,
            **{"transport": "websocket", "reconnect": False} | options,
        )

    return make


async def test_a_call_stands_when_the_session_is_as_asked_for(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit(instructions="Be brief.") as call:
        await call.stage.open()
        (request,) = server.requests
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert request.query["model"] == "gpt-realtime-2.1"
        session = server.commands[0]["session"]
        assert session["instructions"] == "Be brief."
        pcm = {"type": "audio/pcm", "rate": 24_000}
        assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == pcm
        (connected,) = published.of("realtime.connected")
        assert connected.payload()["call_id"] is None
    assert server.socket is not None
    assert server.socket.close_code == 1000


async def test_an_ephemeral_key_opens_the_socket(server: Server, visit: Any) -> None:
    async with visit(ephemeral=True) as call:
        await call.stage.open()
    _, request = server.requests
    assert request.headers["Authorization"] == "Bearer ek_test123456"


async def test_azure_takes_the_resource_key(server: Server, visit: Any) -> None:
    async with visit(provider="azure", model="my deployment") as call:
        await call.stage.open()
    (request,) = server.requests
    assert request.headers["api-key"] == KEY
    assert "Authorization" not in request.headers
    assert request.query["model"] == "my deployment"


@pytest.mark.parametrize(
    ("status", "problem", "exit_code"),
    [
        (401, CallRefused, ExitCode.NO_PERMISSION),
        (400, CallRefused, ExitCode.CONFIGURATION),
        (200, CallRefused, ExitCode.CONFIGURATION),
        (429, CallUnavailable, ExitCode.TEMPORARY),
        (503, CallUnavailable, ExitCode.TEMPORARY),
    ],
)
async def test_a_refusal_is_named_without_the_key(
    server: Server, visit: Any, status: int, problem: type[Exception], exit_code: ExitCode
) -> None:
    message = f"Not with {KEY}, nor with sk-another-key."
    body = {"error": {"message": message, "type": "x", "param": None, "code": "a_code"}}
    server.refusal = web.json_response(body, status=status, headers={"Retry-After": "60"})
    async with visit() as call:
        with pytest.raises(problem) as caught:
            await call.stage.open()
    assert caught.value.exit_code == exit_code  # type: ignore[attr-defined]
    assert "canary" not in str(caught.value)
    assert "another" not in str(caught.value)
    if status >= 400:
        assert "Not with" in str(caught.value)
        assert caught.value.code == "a_code"  # type: ignore[attr-defined]


async def test_the_key_follows_no_redirect(server: Server, visit: Any) -> None:
    server.refusal = web.Response(status=302, headers={"Location": "/elsewhere"})
    async with visit() as call:
        with pytest.raises(CallRefused, match="elsewhere"):
            await call.stage.open()
    assert [request.path for request in server.requests] == ["/v1/realtime"]


async def test_nobody_there(visit: Any) -> None:
    patient = {"initial_s": 1e9, "max_s": 1e9}  # so much so that one attempt is all
    async with visit(base_url="http://127.0.0.1:9/v1", reconnect=patient) as call:
        with pytest.raises(EnvironmentProblem, match=r"cannot reach 127\.0\.0\.1:9: Conn"):
            await call.stage.open()


async def test_the_visitor_is_heard_and_then_silence(server: Server, visit: Any) -> None:
    async with visit() as call:
        fill(call.inlet, tone(0.2))
        await call.begin()
        await server.hears(0.3)
    heard = np.frombuffer(bytes(server.heard), np.int16).astype(float)
    loud = np.flatnonzero(np.abs(heard) > 500)
    assert (loud[-1] - loud[0]) / 24_000 == pytest.approx(0.2, abs=0.003)
    spectrum = np.abs(np.fft.rfft(heard[loud[0] : loud[-1]]))
    assert np.argmax(spectrum) * 24_000 / (loud[-1] - loud[0]) == pytest.approx(440, abs=6)
    assert np.abs(heard).max() == pytest.approx(0.3 * 32767, rel=0.02)


async def test_an_answer_is_heard_at_the_pace_of_speech(
    server: Server, visit: Any, published: Any, ctx: Any
) -> None:
    spoken = tone(0.5)[::2]
    async with visit() as call:
        fill(call.inlet, np.zeros(9600, np.int16))
        await call.begin()
        spoken_at = ctx.now()  # a busy machine may tell of the beginning late, never early
        await server.speak(spoken)
        await published.wait_for("response.done")
        assert not published.of("output_audio_buffer.stopped")
        stopped = await published.wait_for("output_audio_buffer.stopped")
        assert stopped.at - spoken_at >= 0.48
        await asyncio.sleep(0)
        for previous, frame in zip([None, *call.frames], call.frames, strict=False):
            audio.check_frame(frame, previous)
            assert frame.samples == 960
        pcm = call.pcm()
        loud = np.flatnonzero(np.abs(pcm) > 500)
        assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(0.5, abs=0.003)
        assert np.abs(pcm).max() == pytest.approx(0.3 * 32767, rel=0.02)
        answer = next(f for f in call.frames if audio.meta(f).extra.get("response_id") == "resp_1")
        assert answer.pts <= loud[0]
        (delta,) = published.of("response.output_audio.delta")
        assert delta.payload()["audio_ms"] == 500.0
        assert "delta" not in delta.payload()


async def test_a_cancelled_answer_is_silent_at_once_and_truncated(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        await server.speak(tone(5.0)[::2])
        await published.wait_for("output_audio_buffer.started")
        call.stage.cancel()
        assert published.events[-1].type in {"output_audio_buffer.cleared", "transcript.assistant"}
        truncate = await server.received("conversation.item.truncate")
        assert 0 <= truncate["audio_end_ms"] < 2000
        assert not [c for c in server.commands if c["type"] == "output_audio_buffer.clear"]


async def test_the_next_answer_keeps_its_beginning(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        await server.speak(tone(5.0)[::2])
        await published.wait_for("turn.answer_started")
        call.stage.cancel()
        await server.speak(tone(0.4)[::2], "resp_2")
        await published.wait_for("turn.answer_stopped", 2)
        named = [f for f in call.frames if audio.meta(f).extra.get("response_id") == "resp_2"]
        pcm = np.concatenate([audio.pcm(frame)[:, 0] for frame in named])
        loud = np.flatnonzero(np.abs(pcm) > 500)
        assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(0.4, abs=0.003)


async def test_an_answer_that_is_said_to_have_sound_and_has_none_is_over(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        await server.speak(np.zeros(0, np.int16))
        await published.wait_for("response.done")
        conversation = call.stage._manager.call.conversation
        assert conversation.idle


async def test_an_answer_that_never_comes_is_given_up_and_said(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit(patience_s=0.2) as call:
        await call.begin()
        place = {"item_id": "item_U"}
        await server.send("input_audio_buffer.speech_started", **place, audio_start_ms=0)
        await server.send("input_audio_buffer.speech_stopped", **place, audio_end_ms=900)
        await server.send("input_audio_buffer.committed", **place)
        await published.wait_for("input_audio_buffer.committed")
        call.inlet.close()
        with pytest.raises(AnswerGivenUp) as raised:
            await call.over()
        assert raised.value.exit_code is ExitCode.TEMPORARY
    (given_up,) = published.of("realtime.answer_given_up")
    assert given_up.silent_s >= 0.2
    assert "gave up" in given_up.line()
    (bye,) = published.of("realtime.disconnected")
    assert bye.reason == given_up.line()


async def test_noise_at_full_scale_is_turned_down_and_said_once(
    server: Server, visit: Any, published: Any, caplog: pytest.LogCaptureFixture
) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32768, 2400).astype(np.int16)
    async with visit() as call:
        await call.begin()
        await server.speak(noise)
        await server.speak(noise, "resp_2")
        await published.wait_for("output_audio_buffer.stopped", 2)
        await published.wait_for("realtime.noise_limited")
    (limited,) = published.of("realtime.noise_limited")
    assert "noise" in limited.line()
    assert "turned down as noise" in caplog.text
    assert np.abs(call.pcm()[2000:].astype(np.int32)).max() < 32767 / 8


async def test_a_format_that_cannot_be_played_ends_a_call_that_stands(
    server: Server, visit: Any
) -> None:
    async with visit() as call:
        await call.begin()
        opus = {"output": {"format": {"type": "audio/opus"}}}
        await server.send("session.updated", session={"type": "realtime", "audio": opus})
        with pytest.raises(CallRefused, match="audio/opus"):
            await call.over()


@pytest.mark.slow
async def test_seventy_seconds_in_one_event_are_played_from_the_first_to_the_last(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        await server.speak(np.concatenate([tone(1.0)[::2], np.zeros(69 * 24_000, np.int16)]))
        delta = await published.wait_for("response.output_audio.delta")
        assert delta.payload()["audio_ms"] == 70_000
        await published.wait_for("turn.answer_started")
        playout = call.stage._manager.call.transport._media_server
        assert playout.waiting_ms > 65_000
        await server.send("response.created", response={"id": "resp_2", "conversation_id": "c"})
        await published.wait_for("response.created", 2)  # the connection has survived it


async def test_a_server_that_speaks_in_our_name_is_not_heard(
    server: Server, visit: Any, published: Any
) -> None:
    async with visit() as call:
        await call.begin()
        for type in FORGED:
            await server.send(type, path="/etc/passwd")
        await server.send("response.done", response=None)
        await published.wait_for("response.done")
        assert [event for type in FORGED for event in published.of(type)] == []
        assert call.stage._manager.call.conversation.invalid_events == len(FORGED)


async def test_a_server_that_hangs_up_is_named(server: Server, visit: Any) -> None:
    async with visit() as call:
        await call.begin()
        assert server.socket is not None
        await server.socket.close(code=1001, message=b"Your session hit the maximum duration")
        with pytest.raises(NotConnected, match="1001"):
            await call.over()


async def test_a_lost_call_is_called_again(server: Server, visit: Any, published: Any) -> None:
    async with visit(reconnect={}) as call:
        await call.begin()
        assert server.socket is not None
        await server.socket.close(code=1001, message=b"Your session hit the maximum duration")
        await published.wait_for("realtime.connected", 2)


@pytest.mark.slow
async def test_a_dead_server_is_noticed(server: Server, visit: Any) -> None:
    async with visit(dead_after_s=2) as call:
        await call.begin()
        assert server.socket is not None
        server.socket._req.transport.pause_reading()  # it answers no ping any more
        with pytest.raises(NotConnected, match="nothing has come"):
            await call.over()
