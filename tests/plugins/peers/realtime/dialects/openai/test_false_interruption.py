"""False interruptions: the model pauses at a noise, and goes on where it was a cough."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr, ValidationError

from rtpipe import audio
from rtpipe_plugins.peers.realtime import RealtimeOptions
from rtpipe_plugins.peers.realtime.account import Account
from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Interrupted
from rtpipe_plugins.peers.realtime.dialects.openai.dialect import OpenAIDialect
from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import PauseBuffer
from rtpipe_plugins.peers.realtime.dialects.openai.session_object import session_object

LOG = logging.getLogger("rtpipe.stage.realtime")
QUIET = 0
TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Talk:
    """Response `a` is being heard: frames of the level 1001, 1002, 1003 …"""

    def __init__(self, **more: Any) -> None:
        options = RealtimeOptions.model_validate(
            {
                "false_interruption": {"min_speech_ms": 500, "words_ms": 1000},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
                **more,
            }
        )
        account = Account("openai", "http://127.0.0.1:9/v1", SecretStr("sk-test-123456"))
        self.protocol = OpenAIDialect(options, account, LOG).conversation()
        self.outputs: list[Any] = self.protocol.give_up_waiting()
        self.levels: list[int] = []
        self._frames = 0
        self.hear(
            {"type": "response.created", "response": {"id": "a"}},
            {"type": "output_audio_buffer.started", "response_id": "a"},
        )
        self.play(3)

    def hear(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.outputs += self.protocol.receive(json.dumps(event))

    def play(self, frames: int, level: int | None = None) -> None:
        for _ in range(frames):
            peak = 1001 + self._frames if level is None else level
            pcm = np.full(960, peak, np.int16)
            frame = audio.from_pcm(pcm, sample_rate=48_000, pts=self._frames * 960)
            self._frames += 1
            self.outputs += self.protocol.elapsed(20)
            (heard,) = self.protocol.listen(frame)
            assert heard.pts == (self._frames - 1) * 960
            self.levels.append(int(audio.pcm(heard)[0, 0]))

    def noise(self, lasts_ms: int, item_id: str = "u") -> None:
        """Have the visitor make a noise; the server hears 400 ms longer, and 300 ms before it."""
        stopped = {"audio_end_ms": 5300 + lasts_ms + 400, "item_id": item_id}
        started = {"audio_start_ms": 5000, "item_id": item_id}
        self.hear({"type": "input_audio_buffer.speech_started", **started})
        self.play((lasts_ms + 400) // 20)
        self.hear({"type": "input_audio_buffer.speech_stopped", **stopped})
        self.hear({"type": "input_audio_buffer.committed", "item_id": item_id})

    def words(self, text: str, item_id: str = "u") -> None:
        self.hear({"type": f"{TRANSCRIPTION}.completed", "item_id": item_id, "transcript": text})

    def sent(self) -> list[str]:
        return [str(o.data["type"]) for o in self.outputs if isinstance(o, Command)]

    @property
    def hushed(self) -> bool:
        return any(isinstance(output, Interrupted) for output in self.outputs)


INTERRUPTED = ["response.cancel", "output_audio_buffer.clear"]


def test_the_session_leaves_it_to_us() -> None:
    options = RealtimeOptions.model_validate({"false_interruption": {}})
    heard = session_object(options)["audio"]["input"]
    assert heard["turn_detection"] == {
        "type": "server_vad",
        "interrupt_response": False,
        "create_response": False,
    }


@pytest.mark.parametrize("detection", [None, {"type": "semantic_vad"}])
def test_only_server_vad_says_how_long_a_noise_was(detection: Any) -> None:
    with pytest.raises(ValidationError, match="server_vad"):
        RealtimeOptions.model_validate({"turn_detection": detection, "false_interruption": {}})


def test_a_cough_costs_no_sample_and_is_forgotten() -> None:
    talk = Talk(transcription=None)
    talk.noise(200)
    talk.play(10)
    silent = talk.levels.count(QUIET)
    assert silent == 30
    assert [level for level in talk.levels if level] == [1001 + n for n in range(13)]
    assert talk.sent() == ["conversation.item.delete"]
    assert not talk.hushed


def test_what_lasts_is_an_interruption_as_soon_as_it_has_lasted() -> None:
    talk = Talk(transcription=None)
    talk.hear({"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 0})
    talk.play(44)
    assert not talk.hushed
    talk.play(1)
    assert talk.hushed
    assert talk.sent() == INTERRUPTED
    talk.play(5)
    assert set(talk.levels[3:]) == {QUIET}
    talk.hear({"type": "input_audio_buffer.committed", "item_id": "u"})
    talk.hear({"type": "response.done", "response": {"id": "a", "status": "cancelled"}})
    assert talk.sent() == [*INTERRUPTED, "response.create"]


def test_the_server_may_say_how_long_it_was_when_no_audio_comes_to_count_by() -> None:
    talk = Talk()
    started = {"audio_start_ms": 5000, "item_id": "u"}
    stopped = {"audio_end_ms": 5000 + 300 + 600 + 400, "item_id": "u"}
    talk.hear({"type": "input_audio_buffer.speech_started", **started})
    talk.hear({"type": "input_audio_buffer.speech_stopped", **stopped})
    assert talk.sent() == INTERRUPTED


def test_a_short_word_interrupts_when_it_is_understood() -> None:
    talk = Talk()
    talk.noise(300)
    talk.play(10)
    assert not talk.hushed
    talk.words("Stop!")
    assert talk.hushed
    assert talk.sent()[:2] == INTERRUPTED
    talk.play(5)
    assert set(talk.levels[3:]) == {QUIET}
    talk.hear({"type": "response.done", "response": {"id": "a", "status": "cancelled"}})
    assert talk.sent()[2:] == ["response.create"]


@pytest.mark.parametrize("text", ["", " … "])
def test_a_noise_without_words_is_a_cough(text: str) -> None:
    talk = Talk()
    talk.noise(300)
    talk.play(10)
    talk.words(text)
    talk.play(4)
    assert [level for level in talk.levels if level] == [1001 + n for n in range(7)]
    assert talk.sent() == ["conversation.item.delete"]


def test_words_are_not_waited_for_for_ever() -> None:
    talk = Talk()
    talk.noise(300)
    talk.play(49)
    assert talk.levels[-1] == QUIET
    talk.play(2)
    assert talk.levels[-2:] == [1004, 1005]


def test_what_a_pause_made_late_is_made_up_for_in_silence() -> None:
    talk = Talk(transcription=None)
    talk.noise(200)
    talk.play(10)
    talk.play(60, level=QUIET)
    talk.play(5)
    assert talk.levels[-1] == 1001 + len(talk.levels) - 1
    voiced = [level for level in talk.levels if level]
    assert voiced == [1001 + n for n in range(43)] + [1001 + n for n in range(103, 108)]


def test_a_turn_while_nobody_else_speaks_is_answered_by_our_asking() -> None:
    talk = Talk()
    talk.hear({"type": "response.done", "response": {"id": "a", "status": "completed"}})
    talk.hear({"type": "output_audio_buffer.stopped", "response_id": "a"})
    talk.noise(200)
    assert talk.sent() == ["response.create"]
    assert QUIET not in talk.levels


def test_a_short_silence_in_what_was_held_is_kept() -> None:
    pause = PauseBuffer()
    frames = [audio.from_pcm(np.full(960, level, np.int16), sample_rate=48_000, pts=960 * n)
              for n, level in enumerate((9, 5000, 0, 0, 0, 6000, 0, 0, 0, 0))]  # fmt: skip
    pause.begin()
    for frame in frames[:3]:
        pause.take(frame)
    pause.end()
    heard = [int(audio.pcm(pause.take(frame)).max()) for frame in frames[3:]]
    assert heard == [9, 5000, 0, 0, 0, 6000, 0]
