"""Whose voice may be heard: nothing of an interrupted answer, everything of the next."""

from __future__ import annotations

import itertools
import json
import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtpipe import audio
from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Interrupted
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol

LOG = logging.getLogger("rtpipe.stage.realtime")
OLD, NEW, QUIET = 4000, 9000, 0


class Listening:
    """A protocol in a session that stands, and what of the model's audio was heard."""

    def __init__(self, turn_detection: dict[str, Any] | None = None) -> None:
        detection = {"type": "server_vad"} if turn_detection is None else turn_detection
        session = {"audio": {"input": {"turn_detection": detection, "transcription": None}}}
        self.protocol = RealtimeProtocol(session, given=lambda: True, mask=str, log=LOG)
        self.outputs: list[Any] = self.protocol.give_up_waiting()
        self.heard: list[tuple[int, int]] = []
        self._frames = 0
        self.names: dict[int, str | None] = {}

    def hear(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.outputs += self.protocol.receive(json.dumps(event))

    def play(self, level: int, frames: int = 1, *, skip: int = 0) -> None:
        """Have `frames` of a voice come, after a hole of `skip` frames."""
        self._frames += skip
        for _ in range(frames):
            pcm = np.full(960, level, np.int16)
            frame = audio.from_pcm(pcm, sample_rate=48_000, pts=self._frames * 960)
            self._frames += 1
            for given_ in self.protocol.listen(frame):
                level_ = int(audio.pcm(given_)[0, 0])
                self.heard.append((given_.pts or 0, level_))
                self.names[level_] = audio.meta(given_).extra.get("response_id")

    def levels(self) -> list[int]:
        return [level for _, level in self.heard]

    def commands(self) -> list[str]:
        return [str(o.data["type"]) for o in self.outputs if isinstance(o, Command)]

    @property
    def hushed(self) -> int:
        return sum(isinstance(output, Interrupted) for output in self.outputs)


def created(id: str) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": id}}


def buffer(what: str, id: str) -> dict[str, Any]:
    return {"type": f"output_audio_buffer.{what}", "response_id": id}


def done(id: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_audio", "transcript": "words"}]
    item = {"id": f"item_{id}", "role": "assistant", "content": content}
    return {"type": "response.done", "response": {"id": id, "status": status, "output": [item]}}


SPEECH = {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 0}
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": 1000}
TRUNCATED = {"type": "conversation.item.truncated", "item_id": "item_a", "audio_end_ms": 40}


def talking(**settings: Any) -> Listening:
    """Response `a` is being heard."""
    there = Listening(**settings)
    there.hear(created("a"), buffer("started", "a"))
    there.play(OLD, 3)
    assert there.levels() == [OLD] * 3
    return there


# -- an interruption -------------------------------------------------------------------------------


def test_what_still_comes_of_an_interrupted_answer_is_silenced() -> None:
    there = talking()
    there.hear(SPEECH)
    assert there.hushed == 1
    there.play(OLD, 5)
    there.hear(buffer("cleared", "a"), TRUNCATED, done("a", "cancelled"))
    there.play(OLD, 2)
    assert there.hushed == 1
    assert there.levels() == [OLD] * 3 + [QUIET] * 7
    assert there.commands() == []  # the server knows: it has said so


def test_the_next_answer_is_heard_from_its_first_sample_and_by_its_name() -> None:
    there = talking()
    there.hear(SPEECH, buffer("cleared", "a"), done("a", "cancelled"))
    there.play(OLD, 4)
    there.play(QUIET, 20)
    there.hear(created("b"), buffer("started", "b"))
    there.play(NEW, 5)
    assert there.levels()[3:] == [QUIET] * 24 + [NEW] * 5
    assert there.names == {OLD: "a", QUIET: None, NEW: "b"}


def test_every_frame_goes_out_once_and_in_order() -> None:
    there = talking()
    there.hear(SPEECH)
    there.play(OLD, 3)
    there.play(QUIET, 3)
    there.play(NEW, 6)  # unannounced: held, then given up in silence
    there.play(QUIET, 3)
    there.hear(created("b"), buffer("started", "b"))
    there.play(NEW, 4)
    assert [pts for pts, _ in there.heard] == [n * 960 for n in range(22)]
    assert there.levels() == [OLD] * 3 + [QUIET] * 15 + [NEW] * 4


@pytest.mark.parametrize("early", range(5))
def test_a_voice_that_comes_before_its_announcement_loses_nothing(early: int) -> None:
    there = talking()
    there.hear(SPEECH, buffer("cleared", "a"), done("a", "cancelled"))
    there.play(OLD, 2)
    there.play(QUIET, 3)
    there.play(NEW, early)
    there.hear(created("b"), buffer("started", "b"))
    there.play(NEW, 6 - early)
    assert there.levels().count(NEW) == 6


def test_a_hole_of_the_servers_making_parts_voices_as_silence_does() -> None:
    there = talking()
    there.hear(SPEECH, buffer("cleared", "a"), done("a", "cancelled"))
    there.play(OLD, 2)
    there.hear(created("b"), buffer("started", "b"))
    there.play(NEW, 4, skip=40)
    assert there.levels() == [OLD] * 3 + [QUIET] * 2 + [NEW] * 4


def test_the_old_voice_runs_out_even_when_the_next_is_announced_at_once() -> None:
    there = talking()
    there.outputs += there.protocol.cancel()
    there.hear(buffer("cleared", "a"), done("a", "cancelled"))
    there.hear(created("b"), buffer("started", "b"))
    there.play(OLD, 6)
    there.play(QUIET, 2)
    there.play(NEW, 4)
    assert there.levels() == [OLD] * 3 + [QUIET] * 8 + [NEW] * 4


@pytest.mark.parametrize("late", [buffer("started", "a"), created("b")])
def test_only_the_word_that_the_next_answer_plays_gives_it_the_floor(late: dict[str, Any]) -> None:
    there = talking()
    there.hear(SPEECH, late)
    there.play(OLD, 12)
    assert there.levels() == [OLD] * 3 + [QUIET] * 12


def test_a_voice_that_follows_the_old_one_without_a_pause_is_not_muted_for_ever() -> None:
    there = talking()
    there.outputs += there.protocol.cancel()
    there.hear(buffer("cleared", "a"), done("a", "cancelled"))
    there.hear(created("b"), buffer("started", "b"))
    there.play(OLD, 4)
    there.play(NEW, 10)
    assert there.levels() == [OLD] * 3 + [QUIET] * 8 + [NEW] * 6


def test_a_server_that_never_says_what_it_plays_is_heard_again_all_the_same() -> None:
    there = Listening()
    there.hear(created("a"))
    there.play(OLD, 3)
    there.hear(SPEECH, done("a", "cancelled"))
    there.play(OLD, 2)
    there.play(QUIET, 5)
    there.hear(STOPPED, created("b"))
    there.play(NEW, 4)
    assert there.levels() == [OLD] * 3 + [QUIET] * 7 + [NEW] * 4


def test_an_interruption_of_nobody_silences_nobody() -> None:
    there = Listening()
    there.hear(SPEECH, STOPPED, created("a"), buffer("started", "a"))
    there.outputs += there.protocol.interrupt()
    assert there.hushed == 1
    there.hear(buffer("cleared", "a"), done("a", "cancelled"))
    there.outputs += there.protocol.interrupt()
    assert there.hushed == 1
    there.hear(created("b"), buffer("started", "b"))
    there.play(QUIET, 2)
    there.play(NEW, 3)
    assert there.levels()[-3:] == [NEW] * 3


# -- check 21, 22: any order -----------------------------------------------------------------------


def interrupted_by(order: tuple[dict[str, Any], ...], moments: list[int]) -> Listening:
    """Let events come between the frames of an old voice, a pause and a new voice."""
    there = talking()
    there.hear(SPEECH)
    stream = [OLD] * 4 + [QUIET] * 3 + [NEW] * 8
    for number, level in enumerate(stream):
        there.hear(*(e for e, at in zip(order, moments, strict=True) if at == number))
        there.play(level)
    there.hear(*(e for e, at in zip(order, moments, strict=True) if at >= len(stream)))
    there.hear(STOPPED, done("b"), buffer("stopped", "b"))
    return there


LATE = (
    buffer("cleared", "a"),
    TRUNCATED,
    done("a", "cancelled"),
    buffer("stopped", "a"),
    buffer("started", "a"),
)
"""What may still be said of the old answer."""


@settings(max_examples=300, deadline=None)
@given(
    order=st.permutations([*LATE, created("b"), buffer("started", "b")]),
    at=st.lists(st.integers(0, 10), min_size=7, max_size=7),
)
def test_in_any_order_nothing_stale_is_heard_and_nothing_new_is_lost(
    order: list[dict[str, Any]], at: list[int]
) -> None:
    """Check 20 and 21: `started` may come up to 80 ms after its sound, all else whenever."""
    there = interrupted_by(tuple(order), sorted(at))
    assert OLD not in there.levels()[3:]
    assert there.levels().count(NEW) == 8
    assert not there.protocol.speaking
    assert there.hushed == 1


@pytest.mark.slow
def test_any_order_ends_the_same() -> None:
    ends = set()
    for order in itertools.permutations([*LATE[:4], created("b"), buffer("started", "b")]):
        there = interrupted_by(order, [5] * len(order))
        ends.add((tuple(there.levels()), there.protocol.speaking, there.protocol.idle))
    assert len(ends) == 1


def test_news_of_an_old_answer_does_not_touch_the_new_one() -> None:
    """Check 22."""
    there = talking()
    there.hear(SPEECH, buffer("cleared", "a"), done("a", "cancelled"))
    there.play(QUIET, 3)
    there.hear(created("b"), buffer("started", "b"))
    there.play(NEW, 2)
    there.hear(*LATE)
    there.play(NEW, 2)
    assert there.levels()[-4:] == [NEW] * 4
    assert there.protocol.speaking
    assert there.hushed == 1


def test_news_of_an_answer_that_is_long_over_does_not_give_it_the_floor() -> None:
    """Check 22."""
    there = Listening()
    there.hear(created("z"), buffer("started", "z"), done("z"), buffer("stopped", "z"))
    there.hear(created("a"), buffer("started", "a"))
    there.hear(SPEECH, buffer("started", "z"))
    there.play(OLD, 12)
    assert OLD not in there.levels()


# -- who may interrupt -----------------------------------------------------------------------------


def test_a_session_without_interruptions_plays_on() -> None:
    there = talking(turn_detection={"type": "server_vad", "interrupt_response": False})
    there.hear(SPEECH)
    there.play(OLD, 3)
    assert there.levels() == [OLD] * 6
    assert there.hushed == 0


def test_a_server_that_throws_its_audio_away_unasked_has_interrupted() -> None:
    """Seen with `interrupt_response: false`, too."""
    there = talking(turn_detection={"type": "server_vad", "interrupt_response": False})
    there.hear(SPEECH, buffer("cleared", "a"))
    there.play(OLD, 3)
    assert there.levels() == [OLD] * 3 + [QUIET] * 3
    assert there.hushed == 1


def test_we_tell_the_server_what_it_does_not_know() -> None:
    there = talking()
    there.outputs += there.protocol.interrupt()
    assert there.commands() == ["response.cancel", "output_audio_buffer.clear"]
    there.hear(SPEECH)  # its own detector is later
    there.outputs += there.protocol.interrupt()
    assert there.commands() == ["response.cancel", "output_audio_buffer.clear"]
    assert there.hushed == 1


def test_what_is_generated_already_is_only_cleared() -> None:
    there = talking()
    there.hear(done("a"))
    there.outputs += there.protocol.interrupt()
    assert there.commands() == ["output_audio_buffer.clear"]


def test_an_answer_that_was_not_played_yet_is_not_awaited_any_more() -> None:
    there = Listening()
    there.hear(created("a"), done("a"))
    assert there.protocol.speaking
    there.outputs += there.protocol.interrupt()
    assert there.protocol.idle
    there.hear(buffer("started", "a"))
    there.play(OLD, 3)
    assert OLD not in there.levels()
