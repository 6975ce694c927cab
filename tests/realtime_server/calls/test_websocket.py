"""Sessions on a WebSocket, and the sideband of a call: OpenAI's own client is the judge."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import av
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime_server.caller import Caller
from realtime_server.fake_brain import AMPLITUDE, ANSWER, TONE_HZ, FakeBrain
from realtime_server.judge import judge
from realtime_server.sounds import babble, level, pcm
from rtpipe_realtime_server.calls import keys, websocket
from rtpipe_realtime_server.calls.websocket import Socket
from rtpipe_realtime_server.server import RealtimeServer

KEY = "sk-right"
RATE = 24000
TIMEOUT_S = 20
HEAD = [
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "conversation.item.input_audio_transcription.completed",
]
MADE = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
DONE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]


@pytest.fixture
async def brain() -> FakeBrain:
    return FakeBrain()


@pytest.fixture
async def server(brain: FakeBrain) -> AsyncIterator[RealtimeServer]:
    server = RealtimeServer(brain, api_key=KEY)
    await server.start()
    yield server
    await server.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def client(server: RealtimeServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=KEY,
        base_url=server.base_url,
        websocket_base_url=server.base_url.replace("http", "ws"),
        max_retries=0,
    ) as client:
        yield client


class Listener:
    """Reads a connection's events, judged."""

    def __init__(self, connection: AsyncRealtimeConnection, *, media: bool = False) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._media = media

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next event of a type."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                event = json.loads(await self.connection.recv_bytes())
                judge(event, media=self._media)
                self.events.append(event)
                if event["type"] == kind:
                    return dict(event)

    def kinds(self) -> list[str]:
        kinds = [event["type"] for event in self.events]
        return [kind for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]

    def heard(self) -> NDArray[np.int16]:
        deltas = [e["delta"] for e in self.events if e["type"] == "response.output_audio.delta"]
        return np.frombuffer(b"".join(map(base64.b64decode, deltas)), "<i2").astype(np.int16)


def question(seconds: float = 1.0, rest: float = 0.5) -> str:
    speech = pcm(level(babble(seconds, RATE), -20))
    silence = np.zeros(int(RATE * rest), np.int16)
    return base64.b64encode(np.concatenate([speech, silence]).tobytes()).decode()


async def test_a_spoken_turn(client: openai.AsyncOpenAI, brain: FakeBrain) -> None:
    brain.seconds = 3.0
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        await listener.until("session.created")
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
        )
        started = asyncio.get_running_loop().time()
        await connection.input_audio_buffer.append(audio=question())
        await listener.until("response.done")
        took_s = asyncio.get_running_loop().time() - started
        await listener.until("rate_limits.updated")
    assert took_s < brain.seconds, "it is generated faster than it is played"
    answer = listener.heard()
    assert len(answer) == brain.seconds * RATE
    assert np.abs(answer).max() == pytest.approx(AMPLITUDE, rel=0.02)
    spectrum = np.abs(np.fft.rfft(answer * np.hanning(len(answer))))
    assert spectrum.argmax() * RATE / len(answer) == pytest.approx(TONE_HZ, abs=1)
    kinds = listener.kinds()
    assert [kind for kind in kinds if not kind.endswith("delta")] == [*HEAD, *MADE, *DONE]
    assert kinds[-len(DONE) - 1] == "response.output_audio.delta"
    transcript = listener.events[-2]["response"]["output"][0]["content"][0]["transcript"]
    assert transcript == ANSWER


async def test_barge_in_stops_the_generation_and_the_client_truncates(
    client: openai.AsyncOpenAI, brain: FakeBrain
) -> None:
    brain.seconds = 30.0
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        await connection.input_audio_buffer.append(audio=question())
        delta = await listener.until("response.output_audio.delta")
        await connection.input_audio_buffer.append(audio=question(rest=0.0))
        done = await listener.until("response.done")
        assert done["response"]["status_details"] == {
            "type": "cancelled",
            "reason": "turn_detected",
        }
        assert len(listener.heard()) < 30 * RATE
        where = {"item_id": delta["item_id"], "content_index": 0}
        await connection.conversation.item.truncate(**where, audio_end_ms=100)
        truncated = await listener.until("conversation.item.truncated")
        assert truncated["audio_end_ms"] == 100
        await connection.conversation.item.truncate(**where, audio_end_ms=30_000)
        error = await listener.until("error")
        assert error["error"]["message"] == "Audio content of 100ms is already shorter than 30000ms"


async def test_an_ephemeral_key_opens_its_own_session(
    client: openai.AsyncOpenAI, server: RealtimeServer
) -> None:
    secret = await client.realtime.client_secrets.create(
        session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
    )
    async with (
        openai.AsyncOpenAI(
            api_key=secret.value, websocket_base_url=server.base_url.replace("http", "ws")
        ) as holder,
        holder.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        created = await Listener(connection).until("session.created")
    assert created["session"]["instructions"] == "Be brief."
    assert created["session"]["model"] == "gpt-realtime"


async def test_a_session_outlives_its_key(
    client: openai.AsyncOpenAI, server: RealtimeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 10}
    )
    headers = {"Authorization": f"Bearer {secret.value}"}
    url = f"{server.base_url}/realtime"
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(url) as ws:
        assert (await ws.receive_json())["type"] == "session.created"
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 11)
        monkeypatch.setattr(keys, "time", later)
        async with http.get(url) as refusal:
            assert refusal.status == 401
        await ws.send_json({"type": "session.update", "session": {"type": "realtime"}})
        assert (await ws.receive_json())["type"] == "session.updated"


async def test_a_transcription_session_is_asked_for_by_its_intent(server: RealtimeServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{server.base_url}/realtime?intent=transcription"
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(url) as ws:
        created = await ws.receive_json()
    judge(created, media=False)
    assert created["session"]["object"] == "realtime.transcription_session"


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_g711_is_carried_both_ways(
    client: openai.AsyncOpenAI, brain: FakeBrain, kind: str
) -> None:
    speech = pcm(np.pad(level(babble(1.0, 8000), -20), (0, 4000)))
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        await listener.until("session.created")
        audio_format: Any = {"type": kind}
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"format": audio_format}, "output": {"format": audio_format}},
            }
        )
        sent = _g711(kind, speech)
        await connection.input_audio_buffer.append(audio=base64.b64encode(sent).decode())
        await listener.until("response.done")
    (heard,) = brain.received
    assert len(heard) / 16000 == pytest.approx(1.2, abs=0.3)
    deltas = [e["delta"] for e in listener.events if e["type"] == "response.output_audio.delta"]
    answer = _decoded(kind, b"".join(map(base64.b64decode, deltas)))
    assert len(answer) == brain.seconds * 8000
    assert np.abs(answer).max() == pytest.approx(AMPLITUDE, rel=0.05)


def _g711(kind: str, samples: NDArray[np.int16]) -> bytes:
    """Return what FFmpeg makes of samples: a codec that is not the server's own."""
    encoder: Any = av.CodecContext.create("pcm_mulaw" if kind == "audio/pcmu" else "pcm_alaw", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = 8000
    return b"".join(bytes(packet) for packet in encoder.encode(frame))


def _decoded(kind: str, data: bytes) -> NDArray[np.int16]:
    decoder: Any = av.CodecContext.create("pcm_mulaw" if kind == "audio/pcmu" else "pcm_alaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    return np.concatenate([f.to_ndarray()[0] for f in decoder.decode(av.Packet(data))])


async def test_a_browser_names_its_key_among_the_subprotocols(server: RealtimeServer) -> None:
    protocols = ("realtime", f"openai-insecure-api-key.{KEY}")
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{server.base_url}/realtime", protocols=protocols) as ws,
    ):
        assert ws.protocol == "realtime"
        assert (await ws.receive_json())["type"] == "session.created"


@pytest.mark.parametrize(
    ("key", "query", "status", "code"),
    [
        ("sk-wrong", {}, 401, "invalid_api_key"),
        ("ek_wrong", {}, 401, "invalid_api_key"),
        (KEY, {"call_id": "rtc_none"}, 404, "call_id_not_found"),
    ],
)
async def test_what_is_wrong_is_said_before_the_upgrade(
    server: RealtimeServer, key: str, query: dict[str, str], status: int, code: str
) -> None:
    async with openai.AsyncOpenAI(
        api_key=key, websocket_base_url=server.base_url.replace("http", "ws")
    ) as stranger:
        with pytest.raises(InvalidStatus) as refusal:
            await stranger.realtime.connect(extra_query=query).enter()
    assert refusal.value.response.status_code == status
    assert json.loads(refusal.value.response.body or b"")["error"]["code"] == code


async def test_a_get_that_is_no_upgrade_is_refused(server: RealtimeServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{server.base_url}/realtime") as response,
    ):
        assert response.status == 400
        assert "no upgrade" in (await response.json())["error"]["message"]


async def test_an_expired_session_is_closed_with_its_reason(
    server: RealtimeServer, client: openai.AsyncOpenAI
) -> None:
    server._calls._lifetime_s = 0.05
    async with client.realtime.connect(model="gpt-realtime") as connection:
        listener = Listener(connection)
        error = await listener.until("error")
        assert error["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv_bytes()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    assert closed.value.rcvd.reason == "Your session hit the maximum duration of 60 minutes."


async def test_closing_the_server_closes_its_sockets(
    server: RealtimeServer, client: openai.AsyncOpenAI
) -> None:
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await Listener(connection).until("session.created")
        await server.close()
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv_bytes()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def test_no_message_ends_the_session(server: RealtimeServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{server.base_url}/realtime", max_msg_size=0) as ws,
    ):
        assert (await ws.receive_json())["type"] == "session.created"
        for message in ("{", "[]", "\0", b"\xff\x00"):
            await (ws.send_bytes(message) if isinstance(message, bytes) else ws.send_str(message))
            assert (await ws.receive_json())["error"]["code"] == "invalid_event"
        audio = base64.b64encode(bytes(5_000_000)).decode()
        await ws.send_json({"type": "input_audio_buffer.append", "audio": audio})
        await ws.send_json({"type": "input_audio_buffer.commit"})
        assert (await ws.receive_json())["type"] == "input_audio_buffer.committed"


@pytest.mark.slow
async def test_a_sideband_hears_and_steers_a_call(
    client: openai.AsyncOpenAI, server: RealtimeServer
) -> None:
    async with Caller(server.base_url, key=KEY) as caller:
        await caller.call()
        await caller.until("session.created")
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            listener = Listener(connection, media=True)
            await connection.session.update(session={"type": "realtime", "instructions": "Hi."})
            await listener.until("session.updated")
            assert (await caller.until("session.updated"))["session"]["instructions"] == "Hi."
            await connection.response.create()
            await listener.until("output_audio_buffer.stopped")
            assert "session.created" not in listener.kinds()
            both = [event["event_id"] for event in caller.events[1:]]
            assert [event["event_id"] for event in listener.events] == both
        caller.send("response.create")
        await caller.until("response.done", 2)
        assert len(server._calls.find(caller.call_id).driver._lines) == 1, "the sideband has left"
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            assert await caller.hang_up() == 200
            with pytest.raises(ConnectionClosed):
                await connection.recv_bytes()


@pytest.mark.slow
async def test_a_sideband_steers_a_call_without_a_channel(
    client: openai.AsyncOpenAI, server: RealtimeServer
) -> None:
    async with Caller(server.base_url, key=KEY, channel=False) as caller:
        await caller.call()
        async with client.realtime.connect(call_id=caller.call_id) as connection:
            listener = Listener(connection, media=True)
            await listener.until("session.created")
            await connection.response.create()
            await listener.until("output_audio_buffer.stopped")
        await caller.until_heard(loud=False, count=5)
        assert len(caller.loud_at) > 30


class DeafClient:
    """A connection whose client asks again and again and takes no answer."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.asked = 0
        self.cut_off = False
        self.taken = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._ask()

    async def _ask(self) -> AsyncIterator[Any]:
        while self.asked < self.messages:
            self.asked += 1
            yield SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data="{}")

    async def send_frame(self, _message: bytes, _kind: object) -> None:
        await self.taken.wait()

    async def close(self, **_how: object) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        self.cut_off = name == "socket"


class Echo:
    """Answers every message with an event, and takes a tick for one."""

    def __init__(self) -> None:
        self.protocol = SimpleNamespace(receive=self._answer, tick=lambda: None)
        self.lines: list[Any] = []
        self.steps = 0
        self.ticked_thrice = asyncio.Event()
        self.busy = asyncio.Event()

    def attach(self, line: Any) -> None:
        self.lines.append(line)

    def detach(self, line: Any) -> None:
        if line in self.lines:
            self.lines.remove(line)

    def run(self, step: Any) -> None:
        self.steps += 1
        if self.steps == 3:
            self.ticked_thrice.set()
        step()

    def _answer(self, _message: str) -> None:
        for line in self.lines:
            line.send({"type": "echo"})


async def turns_of_the_loop(count: int = 500) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_does_not_read_is_not_listened_to_meanwhile() -> None:
    client, driver = DeafClient(1000), Echo()
    talk = asyncio.create_task(Socket(client, driver).talk())  # type: ignore[arg-type]
    await turns_of_the_loop()
    assert 0 < client.asked < 50
    client.taken.set()
    await asyncio.wait_for(talk, TIMEOUT_S)
    assert client.asked == 1000
    assert driver.lines == []


async def test_who_never_reads_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_PATIENCE_S", 0.01)
    client, driver = DeafClient(1000), Echo()
    await asyncio.wait_for(Socket(client, driver).talk(), TIMEOUT_S)  # type: ignore[arg-type]
    assert client.cut_off


async def test_who_never_reads_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_FLUSH_S", 0.01)
    client, driver = DeafClient(3), Echo()
    await asyncio.wait_for(Socket(client, driver).talk(), TIMEOUT_S)  # type: ignore[arg-type]
    await turns_of_the_loop(3)
    assert driver.lines == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_time_passes_only_while_something_is_answered_or_played() -> None:
    driver = Echo()
    clock = asyncio.create_task(websocket._let_time_pass(driver))  # type: ignore[arg-type]
    await turns_of_the_loop()
    assert driver.steps == 0
    driver.busy.set()
    await asyncio.wait_for(driver.ticked_thrice.wait(), TIMEOUT_S)
    clock.cancel()
    await asyncio.gather(clock, return_exceptions=True)
