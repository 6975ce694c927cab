"""The media server's part with other servers: formats, the beta, sizes, what is not told."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from plugins.peers.realtime.dialects.openai.playing import Call, sound
from rtpipe_plugins.peers.realtime.dialects.openai.media_server import BLOCK


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
