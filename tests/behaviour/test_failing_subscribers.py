"""What writes events down may fail in any way: the audio of the same pipeline is complete."""

import shutil
from pathlib import Path

from helpers.media_files import read_wav
from rtpipe import Event
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import run_virtual
from rtpipe_plugins.peers.realtime.events import UserTranscript

RATE = 48_000


def test_a_full_disk_and_a_folder_that_goes_stop_no_audio(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    text = f"""
version: 1
stages:
  - tone: {{duration_s: 2}}
  - level: 100
  - file_sink: {tmp_path / "audio.wav"}
events:
  - match: level
    jsonl: /dev/full
    id: full
  - match: level
    jsonl: {notes / "level.jsonl"}
    id: gone
  - transcript: {notes / "said.srt"}
"""

    async def run() -> list[Event]:
        pipeline = Pipeline(from_text(text, registry=Registry.discover()).graph, check=True)
        failed: list[Event] = []
        pipeline.bus.subscribe("stage.failed", failed.append)

        def lose_the_folder(_: Event) -> None:
            if notes.is_dir():
                shutil.rmtree(notes)
                notes.write_text("in the way", encoding="utf-8")
            pipeline.bus.publish(UserTranscript(text="x", item_id="i"))

        pipeline.bus.subscribe("level", lose_the_folder)
        await pipeline.run()
        return failed

    failed = run_virtual(run())
    assert {event.source for event in failed} == {"full", "gone", "transcript"}
    assert {event.payload()["policy"] for event in failed} == {"drop"}
    assert len(read_wav(tmp_path / "audio.wav")[0]) == 2 * RATE
