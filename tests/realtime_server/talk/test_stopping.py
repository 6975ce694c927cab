"""How a client stops an answer: cancel, clear, truncate."""

from __future__ import annotations

import numpy as np

from realtime_server.bench import Bench, user_text


def test_cancel_ends_the_generation_and_leaves_what_was_said_to_be_played() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(10)
    bench.send("response.cancel")
    response = bench.one("response.done")["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert response["output"][0]["status"] == "incomplete"
    generated_ms = 10 * 160
    bench.tick(generated_ms // 20 - 10)
    assert bench.frames[-1].any()
    assert not bench.all("output_audio_buffer.stopped")
    bench.tick()
    assert not bench.frames[-1].any()
    assert bench.events[-1]["type"] == "output_audio_buffer.stopped"


def test_cancel_and_clear_silence_the_call() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(10)
    bench.send("response.cancel")
    bench.send("output_audio_buffer.clear")
    cleared = bench.one("output_audio_buffer.cleared")
    assert cleared["response_id"] == bench.one("response.done")["response"]["id"]
    assert bench.one("conversation.item.truncated")["audio_end_ms"] == 200
    bench.tick(20)
    assert not np.concatenate(bench.frames[-20:]).any()
    assert not bench.all("output_audio_buffer.stopped")


def test_clear_alone_lets_the_words_come_to_their_end_unheard() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(10)
    bench.send("output_audio_buffer.clear")
    bench.tick(200)
    assert not np.concatenate(bench.frames[-200:]).any()
    assert bench.one("response.done")["response"]["status"] == "completed"
    item_id = bench.one("response.output_item.done")["item"]["id"]
    bench.send("conversation.item.retrieve", item_id=item_id)
    assert bench.one("conversation.item.retrieved")["item"]["content"][0]["transcript"] == ""
    bench.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=201)
    assert bench.error()["message"] == "Audio content of 200ms is already shorter than 201ms"


def test_clear_of_nothing_says_nothing() -> None:
    bench = Bench()
    bench.send("output_audio_buffer.clear")
    assert bench.kinds() == ["session.created"]


def test_on_a_websocket_an_interrupted_answer_keeps_nobody_busy() -> None:
    bench = Bench(media=False)
    bench.send("response.create")
    bench.think(seconds=20.0)
    bench.tick(30)
    bench.hear(5, speech=True)
    assert bench.one("response.done")["response"]["status"] == "cancelled"
    assert bench.protocol.idle


def test_what_the_client_truncates_is_forgotten() -> None:
    bench = Bench()
    bench.send("response.create")
    bench.think(seconds=2.0)
    bench.tick(150)
    item_id = bench.one("response.output_item.done")["item"]["id"]
    where = {"item_id": item_id, "content_index": 0}
    bench.send("conversation.item.truncate", **where, audio_end_ms=2001)
    assert bench.error()["message"] == "Audio content of 2000ms is already shorter than 2001ms"
    bench.send("conversation.item.truncate", **where, audio_end_ms=700)
    assert bench.one("conversation.item.truncated")["audio_end_ms"] == 700
    bench.send("conversation.item.retrieve", item_id=item_id)
    assert bench.one("conversation.item.retrieved")["item"]["content"][0]["transcript"] == ""


def test_only_the_models_audio_can_be_truncated() -> None:
    bench = Bench()
    bench.send("conversation.item.create", item=user_text("hello", id="x"))
    bench.send("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=1)
    assert bench.error()["code"] is None
    assert bench.error()["message"] == "Only model output audio messages can be truncated"
