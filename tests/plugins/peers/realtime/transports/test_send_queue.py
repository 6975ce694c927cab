"""What waits for a slow network."""

from __future__ import annotations

import base64
import json

import pytest

from rtpipe_plugins.peers.realtime.transports.websocket.send_queue import SendQueue

CHUNK_MS = 20.0


def chunk(number: int) -> bytes:
    return number.to_bytes(2, "little") * 480


def test_events_leave_in_the_order_of_their_making() -> None:
    outbox = SendQueue()
    outbox.audio(chunk(1), CHUNK_MS)
    outbox.command('{"type":"input_audio_buffer.commit"}')
    append = json.loads(outbox.take())
    assert append["type"] == "input_audio_buffer.append"
    assert base64.b64decode(append["audio"]) == chunk(1)
    assert outbox.take() == '{"type":"input_audio_buffer.commit"}'
    assert not outbox


def test_the_oldest_audio_gives_way_and_no_command_does() -> None:
    outbox = SendQueue()
    outbox.command("clear")
    for number in range(60):
        outbox.audio(chunk(number), CHUNK_MS)
    outbox.command("commit")
    waiting = [outbox.take() for _ in range(len(outbox))]
    assert (waiting[0], waiting[-1]) == ("clear", "commit")
    sent = [base64.b64decode(json.loads(text)["audio"]) for text in waiting[1:-1]]
    assert sent == [chunk(number) for number in range(10, 60)]
    assert outbox.dropped_ms == pytest.approx(200)


def test_what_was_sent_makes_room() -> None:
    outbox = SendQueue()
    for number in range(200):
        outbox.audio(chunk(number), CHUNK_MS)
        outbox.take()
    assert outbox.dropped_ms == 0
