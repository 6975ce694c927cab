"""When a turn is measured, in whole calls: with the first sound that is heard, or given out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rtpipe
from helpers.packages import needs_server
from rtpipe import AudioFrame, Options, Sink, audio, hookimpl
from rtpipe.testing import run_pipeline
from rtpipe_plugins.sinks.speaker.playback import PlaybackStarted

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_server

SCRIPT = """
turns:
  - {transcribe: Where is the café?, say: On the left., sound: {tone_hz: 600, duration_s: 3}}
"""
FRAME_S = 0.02


class DeskSpeaker(Sink[Options]):
    """Plays what it takes 0.3 s later, and says so."""

    kind = "desk_speaker"
    publishes = (PlaybackStarted,)
    _begun = False

    async def consume(self, frame: AudioFrame) -> None:
        if audio.peak(audio.pcm(frame)) >= audio.AUDIBLE and not self._begun:
            self._begun = True
            response_id = audio.meta(frame).extra["response_id"]
            heard_at = self.ctx.now() + 0.3
            await self.ctx.clock.sleep_until(heard_at)
            self.ctx.publish(
                PlaybackStarted(position_s=0.0, response_id=response_id, heard_at=heard_at)
            )


class Desk:
    @hookimpl
    def rtpipe_stages(self) -> list[type[Sink[Any]]]:
        return [DeskSpeaker]


def turn(folder: Path, sink: str) -> dict[str, Any]:
    """Return the events of a call with one turn, by type."""
    (folder / "script.yaml").write_text(SCRIPT)
    pipeline = rtpipe.loads(
        f"""
version: 1
stages:
  - tone: {{waveform: speech_like, duration_s: 2, realtime: true}}
  - realtime: {{provider: embedded, transport: memory, script: script.yaml}}
  - gain: 0
  - {sink}
""",
        path=folder / "pipeline.yaml",
        plugins=[Desk()],
    )
    events = run_pipeline(pipeline, ["turn.answer_*", "playback.*", "latency.*"])
    assert [event.type for event in events].count("latency.turn_measured") == 1
    return {event.type: event for event in events}


def test_it_is_measured_with_the_first_sound_that_is_given_out(tmp_path: Path) -> None:
    told = turn(tmp_path, "file_sink: {path: out.wav}")
    measured = told["latency.turn_measured"]
    assert 0 <= measured.at - told["turn.answer_started"].at <= FRAME_S
    assert told["turn.answer_stopped"].at > measured.at + 2.5
    assert not measured.played


def test_it_is_measured_with_the_first_sound_that_a_loudspeaker_plays(tmp_path: Path) -> None:
    told = turn(tmp_path, "desk_speaker")
    measured = told["latency.turn_measured"]
    assert measured.at == told["playback.started"].at
    assert 290 <= measured.playout_ms <= 330
    assert measured.played


def test_a_file_that_stands_in_for_a_loudspeaker_does_not_tell(tmp_path: Path) -> None:
    told = turn(tmp_path, "speaker: {device: nobody has this}\n    fallback: {file_sink: out.wav}")
    assert told["latency.turn_measured"].at - told["turn.answer_started"].at <= FRAME_S
