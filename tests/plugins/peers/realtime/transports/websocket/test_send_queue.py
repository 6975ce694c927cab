"""What waits for a slow network."""

from __future__ import annotations

import pytest

from rtpipe_plugins.peers.realtime.transports.websocket.send_queue import SendQueue

CHUNK_MS = 20.0


def chunk(number: int) -> str:
    return f"audio {number}"


def test_events_leave_in_the_order_of_their_making() -> None:
    queue = SendQueue()
    queue.audio(chunk(1), CHUNK_MS)
    queue.command("commit")
    assert queue.take() == chunk(1)
    assert queue.take() == "commit"
    assert not queue


def test_the_oldest_audio_gives_way_and_no_command_does() -> None:
    queue = SendQueue()
    queue.command("clear")
    for number in range(60):
        queue.audio(chunk(number), CHUNK_MS)
    queue.command("commit")
    waiting = [queue.take() for _ in range(len(queue))]
    assert (waiting[0], waiting[-1]) == ("clear", "commit")
    assert waiting[1:-1] == [chunk(number) for number in range(10, 60)]
    assert queue.dropped_ms == pytest.approx(200)


def test_what_was_sent_makes_room() -> None:
    queue = SendQueue()
    for number in range(200):
        queue.audio(chunk(number), CHUNK_MS)
        queue.take()
    assert queue.dropped_ms == 0
