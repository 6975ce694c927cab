"""What a turn took, by moments that are put in by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rtpipe import Bus, Clock, Event, StageContext, audio
from rtpipe.events import TurnUserStopped
from rtpipe_plugins.peers.realtime.latency.meter import LatencyMeter
from rtpipe_plugins.peers.realtime.latency.turns import Latency, TurnMeasured
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted

HANGOVER_S = 0.5
SLOT = 960


class Conversation:
    """A visitor, a model and a loudspeaker, each with a delay of its own."""

    def __init__(self) -> None:
        self.loudspeaker_tells = True
        self.latency = Latency(lambda: self.loudspeaker_tells)
        self.measured: list[TurnMeasured] = []

    def visitor(self, begin_s: float, pcm: np.ndarray, *, sent_after_s: float) -> None:
        """Speak from `begin_s` on; each frame is sent so long after its first sample."""
        for start in range(0, len(pcm), SLOT):
            frame = audio.from_pcm(pcm[start : start + SLOT], sample_rate=48_000, pts=start)
            captured_at = begin_s + start / 48_000
            known = audio.meta(frame)
            known.captured_at = captured_at
            known.read_at, known.queued_at = captured_at + 0.022, captured_at + 0.025
            self.latency.sent(frame, captured_at + sent_after_s)

    def event(self, type: str, at: float) -> None:
        event = Event(type=type, source="realtime", at=at)
        self.measured += self.latency.take(event, HANGOVER_S)

    def model(self, at: float, *, pcm: np.ndarray, kept_s: float = 0.0) -> None:
        frame = audio.from_pcm(pcm, sample_rate=48_000, pts=0)
        audio.meta(frame).captured_at = at
        self.measured += self.latency.arrived(frame, kept_s)

    def answer_begins(self, response_id: str, at: float) -> None:
        self.measured += self.latency.answer_begins(response_id, at)

    def loudspeaker(self, at: float, response_id: str | None) -> None:
        event = PlaybackStarted(at=at, position_s=0.0, response_id=response_id)
        self.measured += self.latency.played(event)

    def turn(self, response_id: str = "resp_1", begin_s: float = 10.0) -> None:
        """Speak for a second and 5 ms; the answer is heard 1.2 s after `begin_s` + 1."""
        self.event("turn.user_started", begin_s + 0.2)
        voice = np.concatenate([loud(48_000 + 240), quiet(0.7)])
        self.visitor(begin_s, voice, sent_after_s=0.045)
        self.event("turn.user_stopped", begin_s + 1.645)
        self.answer_begins(response_id, begin_s + 2.0)
        self.model(begin_s + 2.04, pcm=quiet(0.02))
        self.model(begin_s + 2.06, pcm=np.concatenate([quiet(0.01), loud(480)]), kept_s=0.03)


def loud(samples: int) -> np.ndarray:
    return np.full(samples, 8000, np.int16)


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 48_000), np.int16)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


def parts(turn: TurnMeasured) -> dict[str, float]:
    fields = [f.name for f in dataclasses.fields(turn) if f.name.endswith("_ms")]
    return {name: getattr(turn, name) for name in fields if name != "total_ms"}


def test_each_part_is_measured_and_they_sum_to_the_whole(conversation: Conversation) -> None:
    conversation.turn()
    assert conversation.measured == []
    conversation.loudspeaker(12.2, "resp_1")
    (turn,) = conversation.measured
    assert turn.total_ms == pytest.approx((12.21 - 11.005) * 1000, abs=0.1)  # 10 ms into its frame
    assert parts(turn) == {
        "device_ms": pytest.approx(17.0, abs=0.1),  # the frame that begins at 11.0 ends in silence
        "dsp_ms": pytest.approx(3.0, abs=0.1),
        "queue_ms": pytest.approx(20.0, abs=0.1),
        "hangover_ms": pytest.approx(500.0),
        "network_ms": pytest.approx(100.0 + 70.0 - 30.0, abs=0.1),
        "model_ms": pytest.approx(355.0, abs=0.1),
        "jitter_ms": pytest.approx(30.0),
        "playout_ms": pytest.approx(140.0, abs=0.1),
    }
    assert sum(parts(turn).values()) == pytest.approx(turn.total_ms, abs=1e-6)
    assert (turn.response_id, turn.played) == ("resp_1", True)


def test_without_a_loudspeaker_a_turn_is_measured_with_the_answers_first_sound(
    conversation: Conversation,
) -> None:
    conversation.loudspeaker_tells = False
    conversation.turn()
    (turn,) = conversation.measured
    assert turn.total_ms == pytest.approx((12.07 - 11.005) * 1000, abs=0.1)
    assert sum(parts(turn).values()) == pytest.approx(turn.total_ms, abs=1e-6)
    assert (turn.playout_ms, turn.played) == (0.0, False)
    conversation.model(12.08, pcm=loud(480))
    conversation.loudspeaker(12.2, "resp_1")  # one that stands elsewhere
    conversation.event("turn.answer_stopped", 14.0)
    conversation.measured += conversation.latency.finish()
    assert len(conversation.measured) == 1


def test_sound_that_comes_before_its_announcement_is_measured_with_that(
    conversation: Conversation,
) -> None:
    conversation.loudspeaker_tells = False
    conversation.visitor(10.0, loud(SLOT), sent_after_s=0.02)
    conversation.event("turn.user_stopped", 10.6)
    conversation.model(11.0, pcm=loud(SLOT))
    assert conversation.measured == []
    conversation.answer_begins("resp_1", 11.05)
    (turn,) = conversation.measured
    assert turn.total_ms == pytest.approx((11.0 - 10.02) * 1000, abs=0.1)
    assert sum(parts(turn).values()) == pytest.approx(turn.total_ms, abs=1e-6)


def test_where_a_loudspeaker_never_says_whose_sound_it_plays_a_turn_ends_with_the_answer(
    conversation: Conversation,
) -> None:
    conversation.turn()
    conversation.loudspeaker(12.2, None)
    assert conversation.measured == []
    conversation.event("turn.answer_stopped", 14.0)
    assert [turn.played for turn in conversation.measured] == [False]


def test_after_a_loudspeaker_that_is_gone_a_turn_is_measured_without(
    conversation: Conversation,
) -> None:
    conversation.turn()
    conversation.loudspeaker(12.2, "resp_1")
    conversation.turn("resp_2", begin_s=20.0)
    conversation.loudspeaker_tells = False  # a file takes over before it was heard
    conversation.event("turn.answer_stopped", 24.0)
    conversation.turn("resp_3", begin_s=30.0)
    measured = [(turn.response_id, turn.played) for turn in conversation.measured]
    assert measured == [("resp_1", True), ("resp_2", False), ("resp_3", False)]


def test_an_answer_that_the_loudspeaker_never_played_was_not_waited_for(
    conversation: Conversation,
) -> None:
    conversation.turn()
    conversation.loudspeaker(12.2, "resp_1")
    conversation.turn("resp_2", begin_s=20.0)
    conversation.event("turn.answer_stopped", 24.0)
    assert [turn.response_id for turn in conversation.measured] == ["resp_1"]


def test_a_chime_is_no_answer(conversation: Conversation) -> None:
    conversation.turn()
    conversation.loudspeaker(12.1, None)
    conversation.loudspeaker(12.15, "resp_0")
    assert conversation.measured == []
    conversation.loudspeaker(12.2, "resp_1")
    assert len(conversation.measured) == 1


def test_a_visitor_who_goes_on_is_not_answered_yet(conversation: Conversation) -> None:
    conversation.visitor(10.0, loud(SLOT), sent_after_s=0.02)
    conversation.event("turn.user_stopped", 10.6)
    conversation.event("turn.user_started", 10.7)
    conversation.answer_begins("resp_1", 10.9)
    conversation.model(11.0, pcm=loud(SLOT))
    conversation.loudspeaker(11.1, "resp_1")
    assert conversation.measured == []


def test_the_noise_of_the_room_is_not_the_voice(conversation: Conversation) -> None:
    room = np.full(48_000 // 2, 150, np.int16)
    conversation.visitor(10.0, np.concatenate([loud(48_000), room]), sent_after_s=0.02)
    conversation.event("turn.user_stopped", 11.6)
    conversation.answer_begins("resp_1", 12.0)
    conversation.model(12.0, pcm=loud(SLOT))
    conversation.loudspeaker(12.1, "resp_1")
    (turn,) = conversation.measured
    assert turn.total_ms == pytest.approx(1100, abs=1.1)


def test_news_that_overtake_each_other_make_no_part_negative(conversation: Conversation) -> None:
    conversation.visitor(10.0, loud(SLOT), sent_after_s=0.0)  # as a file: sent when it begins
    conversation.event("turn.user_stopped", 10.3)  # before the hangover is over
    conversation.model(10.5, pcm=loud(SLOT), kept_s=0.2)
    conversation.answer_begins("resp_1", 10.6)
    conversation.loudspeaker(10.7, "resp_1")
    (turn,) = conversation.measured
    assert all(part >= 0 for part in parts(turn).values())
    assert sum(parts(turn).values()) == pytest.approx(turn.total_ms, abs=1e-6)
    assert turn.total_ms == pytest.approx((10.7 - 10.02) * 1000, abs=0.1)


def test_a_microphone_that_clips_is_loud(conversation: Conversation) -> None:
    conversation.event("turn.user_started", 10.2)
    clipped = np.full(4800, -32768, np.int16)
    conversation.visitor(10.0, np.concatenate([loud(4800), clipped, quiet(0.7)]), sent_after_s=0.0)
    conversation.event("turn.user_stopped", 10.9)
    conversation.answer_begins("resp_1", 11.0)
    conversation.model(11.05, pcm=loud(480))
    conversation.loudspeaker(11.2, "resp_1")
    assert conversation.measured[0].total_ms == pytest.approx(1000, abs=1)


def test_a_turn_in_the_middle_of_the_models_own_is_left_out(conversation: Conversation) -> None:
    conversation.visitor(10.0, loud(SLOT), sent_after_s=0.02)
    conversation.model(10.55, pcm=loud(SLOT))
    conversation.event("turn.user_stopped", 10.6)
    conversation.model(10.7, pcm=loud(SLOT))
    conversation.answer_begins("resp_1", 10.9)
    conversation.loudspeaker(11.0, "resp_1")
    assert conversation.measured == []


@pytest.mark.parametrize(("source", "turns"), [("realtime", 1), ("another", 0)])
async def test_the_turns_of_another_stage_are_not_ours(
    bus: Bus, published: Any, patient_link: Any, source: str, turns: int
) -> None:
    ctx = StageContext("realtime", Clock(), bus.publish, bus.subscribe)
    meter = LatencyMeter(ctx)
    meter.begin(lambda: 0.0)
    patient_link.offer(audio.from_pcm(loud(SLOT), sample_rate=48_000, pts=0))
    assert meter.metered(patient_link).get_nowait() is not None
    bus.publish(TurnUserStopped(source=source, at=ctx.now()))
    meter.answer_begins("resp_1")
    frame = audio.from_pcm(loud(SLOT), sample_rate=48_000, pts=0)
    audio.meta(frame).captured_at = ctx.now()
    meter.arrived(frame, kept_s=0.0)
    assert len(published.of("latency.turn_measured")) == turns
    meter.end()
    assert len(published.of("latency.turn_measured")) == turns
