"""The media server's part, without a clock or a network."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from plugins.peers.realtime.dialects.openai.talk import LOG
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import BLOCK, RealtimeMediaServer
from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted, PlaybackStopped

BLOCK_S = 0.02


class Call:
    """A playout, a server's events for it, and what comes of them, by type."""

    def __init__(self) -> None:
        self.loudspeaker = LoudspeakerPosition()
        self.playout = RealtimeMediaServer(self.loudspeaker, LOG)
        self.told: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []
        self.now = 0.0

    def server(self, type: str, **fields: Any) -> None:
        message = json.dumps({"type": type, "event_id": "event_1", **fields})
        self._carry_out(self.playout.arrived(message))

    def command(self, type: str, **fields: Any) -> None:
        self._carry_out(self.playout.commanded(json.dumps({"type": type, **fields})))

    def respond(self, id: str = "resp_1", conversation_id: str | None = "conv_1") -> None:
        response = {"id": id, "conversation_id": conversation_id}
        self.server("response.created", response=response)

    def delta(self, pcm: np.ndarray, response: str = "resp_1", item: str = "item_1") -> None:
        audio = base64.b64encode(pcm.tobytes()).decode()
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.server("response.output_audio.delta", **place, delta=audio)

    def audio_done(self, response: str = "resp_1", item: str = "item_1") -> None:
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        self.server("response.output_audio.done", **place)

    def done(self, id: str = "resp_1") -> None:
        self.server("response.done", response={"id": id, "status": "completed"})

    def hear(self, blocks: int) -> np.ndarray:
        heard = []
        for _ in range(blocks):
            pcm, steps = self.playout.block(self.now)
            assert pcm.shape == (BLOCK,)
            self._carry_out(steps)
            heard.append(pcm)
            self.now += BLOCK_S
        return np.concatenate(heard)

    def sounds(self, response_id: str | None, at: float) -> None:
        self.loudspeaker.take(PlaybackStarted(response_id=response_id, at=at, position_s=0.0))

    def falls_silent(self, response_id: str | None, played_ms: float) -> None:
        self.loudspeaker.take(
            PlaybackStopped(response_id=response_id, played_ms=played_ms, position_s=0.0)
        )

    def types(self) -> list[str]:
        return [event["type"] for event in self.told]

    def buffer(self) -> list[tuple[str, str]]:
        """The events about the playing, with the responses they name."""
        prefix = "output_audio_buffer."
        return [
            (event["type"].removeprefix(prefix), event["response_id"])
            for event in self.told
            if event["type"].startswith(prefix)
        ]

    def _carry_out(self, steps: Any) -> None:
        for step in steps:
            if isinstance(step, Command):
                self.sent.append(dict(step.data))
            else:
                self.told.append(json.loads(step))


def sound(blocks: float, value: int = 1000) -> np.ndarray:
    return np.full(round(blocks * BLOCK), value, np.int16)


@pytest.fixture
def call() -> Call:
    return Call()


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


def shown(**output: Any) -> dict[str, Any]:
    return {"audio": {"output": {"format": output}, "input": {"format": output}}}


def test_audio_is_read_in_the_format_that_the_session_shows(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    spoken = (8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16_000)).astype(np.int16)
    call.server("session.updated", session=shown(type="audio/pcm", rate=16_000))
    call.respond()
    call.delta(spoken)
    assert call.told[-1]["audio_ms"] == 500.0
    call.done()
    heard = call.hear(26)
    assert np.abs(np.fft.rfft(heard[: 25 * BLOCK])).argmax() * 2 == 440
    assert np.flatnonzero(heard)[-1] == pytest.approx(12_000, abs=24)
    assert "audio/pcm of 16000 Hz" in caplog.text


def test_the_visitor_is_heard_in_the_format_that_the_session_shows(call: Call) -> None:
    call.server("session.updated", session=shown(type="audio/pcmu"))
    sent = b"".join(
        base64.b64decode(json.loads(call.playout.append(sound(1).tobytes()))["audio"])
        for _ in range(50)
    )
    assert len(sent) == pytest.approx(8000, abs=20)


def test_a_session_that_shows_no_format_changes_none(call: Call) -> None:
    call.server("session.created", session=shown(type="audio/pcm", rate=16_000))
    call.server("session.updated", session={"voice": "marin"})
    call.delta(sound(10))
    assert call.told[-1]["audio_ms"] == 300.0


def test_what_cannot_be_read_is_not_played(call: Call) -> None:
    call.server("session.updated", session=shown(type="audio/opus"))
    call.respond()
    call.delta(sound(10))
    assert not call.hear(10).any()


def test_names_of_the_beta_mean_the_same(call: Call) -> None:
    place = {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}
    audio = base64.b64encode(sound(1.5).tobytes()).decode()
    call.respond()
    call.server("response.audio.delta", **place, delta=audio)
    call.server("response.audio.done", **place)
    assert call.told[-2]["type"] == "response.audio.delta"
    assert np.count_nonzero(call.hear(2)) == 1.5 * BLOCK


def test_a_server_does_not_know_what_is_played_here(call: Call) -> None:
    call.respond()
    call.delta(sound(2))
    for what in ("started", "stopped"):
        call.server(f"output_audio_buffer.{what}", response_id="resp_1")
    assert call.buffer() == []
    call.done()
    call.hear(3)
    assert call.buffer() == [("started", "resp_1"), ("stopped", "resp_1")]


def test_a_response_whose_sound_never_came_is_over_with_it(call: Call) -> None:
    call.respond()
    call.audio_done()
    call.done()
    assert call.buffer() == [("stopped", "resp_1")]


def test_a_response_without_sound_is_nobodys_playing(call: Call) -> None:
    call.respond()
    call.done()
    assert call.buffer() == []


def test_ten_minutes_may_come_in_one_event_and_no_more(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    call.respond()
    call.delta(np.ones(11 * 60 * 24_000, np.int16))
    assert call.playout.waiting_ms == 600_000
    assert call.hear(3).all()
    assert "more than ten minutes" in caplog.text


def test_nobody_can_make_us_hold_more_than_ten_minutes(call: Call) -> None:
    minute = sound(3000)
    for _ in range(12):
        call.delta(minute)
    assert call.playout.waiting_ms == 600_000
