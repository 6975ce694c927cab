"""Whole sessions that go wrong, over WebSockets: the faults in the running server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from realtime_server.bench import session
from rtpipe.testing import run_virtual
from rtpipe_realtime_server.brains.script import Script
from rtpipe_realtime_server.brains.script_brain import ScriptBrain
from rtpipe_realtime_server.calls.driver import Driver
from rtpipe_realtime_server.faults.injection import Injector
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.limits import Limits
from rtpipe_realtime_server.server import RealtimeServer

TIMEOUT_S = 20
TEXT = {"type": "realtime", "output_modalities": ["text"]}


class Client:
    """A WebSocket and everything that came over it."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.messages: list[aiohttp.WSMessage] = []
        self.events: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send_json({"type": kind, **fields})

    async def ask(self, words: str) -> None:
        part = {"type": "input_text", "text": words}
        item = {"type": "message", "role": "user", "content": [part]}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next event of a type, waiting for it."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                message = await self.ws.receive()
                self.messages.append(message)
                assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
                try:
                    event = json.loads(message.data)
                except (ValueError, RecursionError):
                    continue
                if isinstance(event, dict):
                    self.events.append(event)
                    if event["type"] == kind:
                        return event


@asynccontextmanager
async def conversation(
    *turns: dict[str, Any], audio: bool = False, **faults: Any
) -> AsyncIterator[Client]:
    brain = ScriptBrain(Script.model_validate({"turns": list(turns) or [{}]}))
    server = RealtimeServer(brain, faults=Faults(**faults))
    await server.start()
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer sk-x"}) as http,
            http.ws_connect(server.base_url + "/realtime?model=gpt-realtime") as ws,
        ):
            client = Client(ws)
            if not audio:
                await client.send("session.update", session=TEXT)
            yield client
    finally:
        await server.close()


async def answer(client: Client, words: str) -> dict[str, Any]:
    await client.ask(words)
    response: dict[str, Any] = (await client.until("response.done"))["response"]
    return response


async def test_a_dialogue_goes_by_its_script() -> None:
    turns: list[dict[str, Any]] = [
        {"hear": "open", "say": "At ten."},
        {"call": {"name": "get_price", "arguments": {"ticket": "day"}}},
        {"say": "Twelve euros."},
        {"fail": "insufficient_quota"},
        {"say": "One two three.", "incomplete": "max_output_tokens"},
    ]
    async with conversation(*turns) as client:
        first = await answer(client, "When do you open?")
        assert first["output"][0]["content"][0]["text"] == "At ten."
        call = (await answer(client, "What does it cost?"))["output"][0]
        assert (call["name"], json.loads(call["arguments"])) == ("get_price", {"ticket": "day"})
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "12"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        told = (await client.until("response.done"))["response"]
        assert told["output"][0]["content"][0]["text"] == "Twelve euros."
        failed = await answer(client, "And?")
        assert failed["status_details"]["error"]["code"] == "insufficient_quota"
        broken = await answer(client, "And?")
        assert broken["status_details"]["reason"] == "max_output_tokens"
        mismatch = await answer(client, "Where is the café?")
        assert mismatch["status_details"]["error"]["code"] == "script_mismatch"


async def test_broken_messages_come_between_the_events_and_the_session_goes_on() -> None:
    async with conversation(malformed_every=1, binary_every=2) as client:
        await answer(client, "Hello")
        kinds = [message.type for message in client.messages]
        assert kinds.count(aiohttp.WSMsgType.BINARY) >= 3
        events = [event for event in client.events if isinstance(event["type"], str)]
        assert len(client.messages) > 2 * len(events)
        assert (await answer(client, "Hello"))["status"] == "completed"


SPEAKING = {"sound": {"tone_hz": 440, "duration_s": 1.0}}


def sounds(client: Client) -> list[bytes]:
    deltas = [e["delta"] for e in client.events if e["type"] == "response.output_audio.delta"]
    return [base64.b64decode(delta) for delta in deltas]


async def test_the_audio_of_an_answer_comes_in_one_event() -> None:
    async with conversation(SPEAKING, audio=True) as client:
        await answer(client, "Hello")
        pieces = sounds(client)
    async with conversation(SPEAKING, audio=True, one_delta=True) as client:
        await answer(client, "Hello")
        assert len(pieces) > 1
        assert sounds(client) == [b"".join(pieces)]
        kinds = [event["type"] for event in client.events]
        done = kinds.index("response.output_audio.done")
        assert kinds[done - 1] == "response.output_audio.delta"


@pytest.mark.parametrize(
    ("audio_format", "shown", "size"),
    [
        ("pcm_16k", {"type": "audio/pcm", "rate": 16_000}, 32_000),
        ("pcmu", {"type": "audio/pcmu"}, 8000),
        ("pcma", {"type": "audio/pcma"}, 8000),
    ],
)
async def test_a_format_is_kept_whatever_is_asked_for(
    audio_format: Any, shown: dict[str, Any], size: int
) -> None:
    async with conversation(SPEAKING, audio=True, audio_format=audio_format) as client:
        pcm = {"format": {"type": "audio/pcm", "rate": 24_000}}
        asked = {"type": "realtime", "audio": {"input": pcm, "output": pcm}}
        await client.send("session.update", session=asked)
        session = (await client.until("session.updated"))["session"]
        assert session["audio"]["input"]["format"] == shown
        assert session["audio"]["output"]["format"] == shown
        await answer(client, "Hello")
        assert len(b"".join(sounds(client))) == pytest.approx(size, rel=0.01)


async def test_a_server_of_the_beta_is_asked_in_its_own_words() -> None:
    async with conversation(audio=True, beta_names=True) as client:
        asked = {"voice": "ash", "turn_detection": None, "output_audio_format": "pcm16"}
        await client.send("session.update", session=asked)
        session = (await client.until("session.updated"))["session"]
        assert {key: session[key] for key in asked} == asked


class Line:
    """One of several ways to the client."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.raw: list[str | bytes] = []

    def send(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def send_raw(self, message: str | bytes) -> None:
        self.raw.append(message)

    def hang_up(self, reason: str, code: int = 1001) -> None:
        pass


def driver(**faults: Any) -> Driver:
    return Driver(
        "a call",
        session(),
        ScriptBrain(Script.model_validate({"turns": [{}]})),
        media=True,
        lifetime_s=60,
        limits=Limits(),
        faults=Injector(Faults(**faults), seed=1).for_call(),
        on_note=lambda _sentence: None,
    )


async def test_a_sideband_has_every_event_and_no_broken_message() -> None:
    call = driver(binary_every=1, duplicate_every=1)
    channel, sideband = Line(), Line()
    call.attach(channel)
    call.attach(sideband)
    call.open()
    await call.close()
    assert channel.events == sideband.events
    assert len(channel.events) == 2
    assert (len(channel.raw), len(sideband.raw)) == (1, 0)


def test_session_updated_is_as_late_as_it_was_told_to_be() -> None:
    update = json.dumps({"type": "session.update", "session": TEXT})

    async def late() -> list[int]:
        call, line = driver(session_updated_delay_ms=2000), Line()
        call.attach(line)
        call.open()
        call.run(lambda: call.protocol.receive(update))
        sent = []
        for _ in range(2):
            await asyncio.sleep(1.5)
            sent.append(len(line.events))
        await call.close()
        return sent

    assert run_virtual(late()) == [1, 2]


async def test_an_event_of_a_megabyte() -> None:
    async with conversation(huge_event_kb=1000) as client:
        huge = await client.until("session.updated")
        assert len(huge["session"]["instructions"]) > 900_000
        assert (await answer(client, "Hello"))["status"] == "completed"


async def test_session_updated_comes_after_what_follows_it() -> None:
    async with conversation(session_updated_delay_ms=50) as client:
        await client.send("conversation.item.retrieve", item_id="nobody")
        await client.until("session.updated")
        kinds = [event["type"] for event in client.events]
        assert kinds == ["session.created", "error", "session.updated"]


async def test_a_session_is_ended_in_good_order() -> None:
    async with conversation(hang_up_s=0.1) as client:
        await client.until("session.created")
        async with asyncio.timeout(TIMEOUT_S):
            while (message := await client.ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert message.type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("faults", "code", "reason"),
    [
        ({"close_code": 1008}, 1008, ""),
        ({"close_code": 4000, "close_reason": "Ünknown model"}, 4000, "Ünknown model"),
        ({"close_code": 1011, "close_reason": "Later", "hang_up_s": 0.1}, 1011, "Later"),
        ({"close_reason": "é" * 70, "hang_up_s": 0.1}, 1001, "é" * 61),
    ],
)
async def test_a_socket_is_closed_with_the_code_and_the_reason_asked_for(
    faults: dict[str, Any], code: int, reason: str
) -> None:
    async with conversation(**faults) as client:
        await client.until("session.created")
        async with asyncio.timeout(TIMEOUT_S):
            while (message := await client.ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert (message.data, message.extra) == (code, reason)


async def test_a_call_has_no_close_code() -> None:
    call, line = driver(close_code=1008), Line()
    call.attach(line)
    call.open()
    call.run(lambda: call.protocol.receive("{}"))
    assert [event["type"] for event in line.events] == ["session.created", "error"]
    await call.close()


async def test_a_response_fails_by_a_knob() -> None:
    async with conversation(response_failed="rate_limit_exceeded") as client:
        done = await answer(client, "Hello")
        assert done["status_details"]["error"]["code"] == "rate_limit_exceeded"


def test_only_the_first_calls_are_spoilt() -> None:
    injector = Injector(Faults(first_calls=2, vanish_s=1, duplicate_every=1), seed=0)
    event = {"type": "session.updated"}
    calls = [injector.for_call() for _ in range(3)]
    assert [call.knobs.vanish_s for call in calls] == [1, 1, None]
    assert [len(call.events.apply([dict(event)])) for call in calls] == [2, 2, 1]


async def test_the_words_of_a_turn_come_late_because_the_script_says_so() -> None:
    turn = {"transcribe": "Good day", "transcription": "late", "sound": {"duration_s": 0.1}}
    async with conversation(turn, audio=True) as client:
        await client.until("session.created")
        transcription = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}}
        await client.send("session.update", session={"type": "realtime", "audio": transcription})
        silence = "AAAA" * 2400  # 150 ms of zeros at 24 kHz
        await client.send("input_audio_buffer.append", audio=silence)
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        told = await client.until("conversation.item.input_audio_transcription.completed")
        assert told["transcript"] == "Good day"
        assert "response.done" in [event["type"] for event in client.events]
