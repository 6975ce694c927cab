"""The media server's part, without a clock or a network."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from plugins.peers.realtime.dialects.openai.playing import Call, sound
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import BLOCK
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted


def test_the_visitors_audio_travels_in_events(call: Call) -> None:
    append = json.loads(call.playout.append(sound(1).tobytes()))
    assert append["type"] == "input_audio_buffer.append"
    assert base64.b64decode(append["audio"], validate=True) == sound(1).tobytes()


def test_an_answer_that_comes_at_once_is_handed_out_block_by_block(call: Call) -> None:
    spoken = np.arange(3 * BLOCK, dtype=np.int16)
    call.respond()
    call.delta(spoken)
    call.audio_done()
    call.done()
    assert call.buffer() == []
    np.testing.assert_array_equal(call.hear(3), spoken)
    assert call.buffer() == [("started", "resp_1"), ("stopped", "resp_1")]
    assert not call.hear(2).any()
    assert call.playout.gaps == 0


def test_what_is_told_of_the_playing_is_marked_as_ours(call: Call) -> None:
    call.respond()
    call.delta(sound(1))
    call.hear(1)
    (started,) = (event for event in call.told if event["type"].endswith("started"))
    assert started["event_id"].startswith("rtpipe_")


def test_the_audio_is_taken_out_of_the_event(call: Call) -> None:
    call.delta(sound(2.5))
    (event,) = call.told
    assert event == {
        "type": "response.output_audio.delta",
        "event_id": "event_1",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
        "audio_ms": 50.0,
    }


def test_the_rest_of_a_block_is_played_when_the_audio_is_whole_and_not_before(call: Call) -> None:
    call.respond()
    call.delta(sound(1.5))
    assert np.count_nonzero(call.hear(2)) == BLOCK
    call.audio_done()
    assert np.count_nonzero(call.hear(1)) == BLOCK / 2


def test_deltas_that_split_a_sample_fit_together_again(call: Call) -> None:
    spoken = np.arange(2 * BLOCK, dtype=np.int16)
    place = {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}
    for piece in (spoken.tobytes()[:333], spoken.tobytes()[333:]):
        audio = base64.b64encode(piece).decode()
        call.server("response.output_audio.delta", **place, delta=audio)
    np.testing.assert_array_equal(call.hear(2), spoken)


def test_a_response_that_is_still_generated_has_not_stopped(call: Call) -> None:
    call.respond()
    call.delta(sound(1))
    call.hear(3)
    assert call.buffer() == [("started", "resp_1")]
    call.delta(sound(1))
    call.hear(1)
    assert call.playout.gaps == 1
    call.audio_done()
    call.hear(1)
    assert call.buffer() == [("started", "resp_1")]
    call.done()
    call.hear(1)
    assert call.buffer() == [("started", "resp_1"), ("stopped", "resp_1")]


def test_one_response_follows_another_without_a_gap(call: Call) -> None:
    for number in (1, 2):
        call.respond(f"resp_{number}")
        call.delta(sound(1.5, number), f"resp_{number}", f"item_{number}")
        call.done(f"resp_{number}")
    heard = call.hear(3)
    np.testing.assert_array_equal(heard, np.concatenate([sound(1.5, 1), sound(1.5, 2)]))
    assert call.buffer() == [
        ("started", "resp_1"),
        ("stopped", "resp_1"),
        ("started", "resp_2"),
        ("stopped", "resp_2"),
    ]


def test_a_visitor_who_speaks_up_silences_the_answer_at_the_place_that_was_heard(
    call: Call,
) -> None:
    call.respond()
    call.delta(sound(100))
    call.hear(10)
    call.server("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_U")
    assert call.types()[-2:] == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
    ]
    (truncate,) = call.sent
    assert truncate.pop("event_id").startswith("rtpipe_")
    assert truncate == {
        "type": "conversation.item.truncate",
        "item_id": "item_1",
        "content_index": 0,
        "audio_end_ms": 200,
    }
    call.delta(sound(5))  # what was on its way
    assert not call.hear(5).any()
    call.done()
    call.respond("resp_2")
    call.delta(sound(1), "resp_2", "item_2")
    assert call.hear(1).all()
    assert call.buffer()[1:] == [("cleared", "resp_1"), ("started", "resp_2")]


def test_a_loudspeaker_that_is_late_has_played_less(call: Call) -> None:
    call.respond()
    call.delta(np.concatenate([sound(5, 0), sound(100)]))  # 100 ms of silence before the first word
    call.hear(20)
    call.sounds("resp_1", at=0.1 + 0.09)
    call.command("output_audio_buffer.clear")
    assert call.sent[-1]["audio_end_ms"] == pytest.approx(400 - 90, abs=1)


def test_a_loudspeaker_that_knows_the_moment_is_believed(call: Call) -> None:
    call.respond()
    call.delta(sound(100))
    call.hear(20)
    call.loudspeaker.take(
        PlaybackStarted(response_id="resp_1", at=0.08, position_s=0.0, heard_at=0.11)
    )
    call.command("output_audio_buffer.clear")
    assert call.sent[-1]["audio_end_ms"] == 290


def test_a_loudspeaker_that_has_stopped_says_how_much_it_played(call: Call) -> None:
    call.respond()
    call.delta(np.concatenate([sound(5, 0), sound(100)]))
    call.hear(20)
    call.sounds("resp_1", at=0.1)
    call.falls_silent("resp_1", played_ms=120.0)
    call.command("output_audio_buffer.clear")
    assert call.sent[-1]["audio_end_ms"] == 220


def test_an_answer_that_no_loudspeaker_has_begun_was_not_heard(call: Call) -> None:
    call.sounds("resp_0", at=0.0)
    call.falls_silent("resp_0", played_ms=100.0)
    call.respond()
    call.delta(sound(100))
    call.hear(3)
    call.command("output_audio_buffer.clear")
    assert call.sent[-1]["audio_end_ms"] == 0


def test_a_pause_in_the_answer_is_not_the_end_of_it(call: Call) -> None:
    call.respond()
    call.delta(sound(100))
    call.hear(20)
    call.sounds("resp_1", at=0.05)
    call.falls_silent("resp_1", played_ms=120.0)
    call.sounds("resp_1", at=0.4)
    call.command("output_audio_buffer.clear")
    assert call.sent[-1]["audio_end_ms"] == pytest.approx(350, abs=1)


def test_other_sounds_of_the_loudspeaker_say_nothing_about_the_answer(call: Call) -> None:
    call.respond()
    call.delta(sound(100))
    call.hear(20)
    call.sounds(None, at=0.3)
    call.falls_silent(None, played_ms=1.0)
    call.command("output_audio_buffer.clear")
    assert call.sent[-1]["audio_end_ms"] == 400


def test_what_waited_behind_the_answer_is_truncated_to_nothing(call: Call) -> None:
    call.respond("resp_1")
    call.delta(sound(10), "resp_1", "item_1")
    call.done("resp_1")
    call.respond("resp_2")
    call.delta(sound(10), "resp_2", "item_2")
    call.done("resp_2")
    call.hear(2)
    call.command("output_audio_buffer.clear")
    assert [(c["item_id"], c["audio_end_ms"]) for c in call.sent] == [("item_1", 40), ("item_2", 0)]
    assert call.buffer()[1:] == [("cleared", "resp_1"), ("cleared", "resp_2")]


def test_clearing_what_is_silent_does_nothing(call: Call) -> None:
    call.command("output_audio_buffer.clear")
    assert (call.sent, call.told) == ([], [])


def test_other_commands_go_to_the_server_as_they_are(call: Call) -> None:
    call.command("response.create", response={"instructions": "…"})
    assert call.sent == [{"type": "response.create", "response": {"instructions": "…"}}]


@pytest.mark.parametrize(
    "detection",
    [None, {"type": "server_vad", "interrupt_response": False}],
)
def test_a_session_that_is_not_to_be_interrupted_is_not(
    call: Call, detection: dict[str, Any] | None
) -> None:
    call.server("session.updated", session={"audio": {"input": {"turn_detection": detection}}})
    call.respond()
    call.delta(sound(10))
    call.hear(1)
    call.server("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_U")
    assert call.sent == []
    assert call.hear(5).all()


def test_an_answer_that_is_interrupted_before_its_sound_comes_is_not_heard(call: Call) -> None:
    call.respond()
    call.server("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_U")
    call.delta(sound(5))
    assert not call.hear(5).any()
    assert call.buffer() == []


def test_an_interruption_leaves_what_is_asked_beside_the_conversation(call: Call) -> None:
    call.respond("resp_side", conversation_id=None)
    call.server("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_U")
    call.delta(sound(1), "resp_side", "item_side")
    assert call.hear(1).all()


@pytest.mark.parametrize(
    "message", ["", "[]", "{", '{"type": 7}', '{"type":"response.output_audio.delta"}', b"\x00"]
)
def test_nonsense_is_left_to_the_conversation(call: Call, message: str | bytes) -> None:
    assert len(call.playout.arrived(message)) == 1
    assert not call.hear(1).any()


def test_audio_that_is_none_is_not_heard(call: Call) -> None:
    call.server("response.output_audio.delta", response_id="r", item_id="i", delta="a")
    assert not call.hear(1).any()
