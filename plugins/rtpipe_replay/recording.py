"""Writes a record beside a running pipeline, which never waits for it and never ends by it."""

from __future__ import annotations

import asyncio
import json
import wave
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rtpipe import Peer, Source, audio, local_time, reason_of
from rtpipe_replay.events import ReplayRecorded, ReplayRecordFailed
from rtpipe_replay.record import VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rtpipe import AudioFrame, Event, Pipeline

_EVERY_S = 0.5
_MOST_LINES = 100_000
"""Waiting to be written; more are lost, and counted."""


@asynccontextmanager
async def recorded(pipeline: Pipeline, folder: Path) -> AsyncIterator[None]:
    """Record what happens in `pipeline` while the block lasts.

    Args:
        pipeline: It is about to run.
        folder: Where; made if it is not there. A record that is there is replaced.
    """
    recording = _Recording(pipeline, folder)
    await asyncio.to_thread(recording.begin)
    ends = [
        pipeline.bus.subscribe("*", recording.happened),
        *(pipeline.tap_output(id, partial(recording.came, id)) for id in recording.families),
    ]
    writing = asyncio.create_task(recording.write_again_and_again(), name="record")
    try:
        yield
    finally:
        for end in ends:
            end()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await recording.write()
        await asyncio.to_thread(recording.close)
        recording.tell_end()


class _Recording:
    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self._pipeline = pipeline
        self._folder = folder
        self._lines: list[dict[str, Any]] = []
        self._pcm: dict[str, list[bytes]] = {}
        self._files: dict[str, _Sound] = {}
        self._open: dict[str, wave.Wave_write] = {}
        self._failed = False
        self._events = self._lost = 0
        self.families = {
            stage.id: "source" if issubclass(stage.stage_type, Source) else "peer"
            for stage in pipeline.spec.stages
            if issubclass(stage.stage_type, (Source, Peer))
        }
        """Which of its stages are recorded."""

    def begin(self) -> None:
        """Write what is run.

        Raises:
            OSError: That cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in (*self._folder.glob("*.wav"), self._folder / "record.jsonl"):
            old.unlink(missing_ok=True)
        spec = self._pipeline.spec
        head = {
            "version": VERSION,
            "name": spec.name,
            "file": str(spec.path.absolute()),
            "began": local_time().isoformat(timespec="seconds"),
            "families": self.families,
        }
        text = json.dumps(head, indent=1, ensure_ascii=False)
        (self._folder / "record.json").write_text(f"{text}\n", "utf-8")
        (self._folder / "record.jsonl").touch()

    def happened(self, event: Event) -> None:
        """Keep an event."""
        self._keep({"at": round(event.at, 6), "event": event.as_dict()})

    def came(self, id: str, frame: AudioFrame) -> None:
        """Keep a frame."""
        sound = self._files.get(id)
        shape = (frame.sample_rate, frame.layout.name)
        if sound is None or sound.shape != shape:
            number = 1 if sound is None else sound.number + 1
            sound = self._files[id] = _Sound(id, number, *shape)
        kept = self._keep(
            {
                "at": round(self._pipeline.clock.now(), 6),
                "audio": id,
                "file": sound.name,
                "offset": sound.samples,
                "samples": frame.samples,
                "rate": frame.sample_rate,
                "layout": frame.layout.name,
                "time_s": round(frame.time or 0.0, 6),
            }
        )
        if kept:
            sound.samples += frame.samples
            data = audio.to_s16(audio.samples(frame) * 32768.0).tobytes()
            self._pcm.setdefault(sound.name, []).append(data)

    def _keep(self, line: dict[str, Any]) -> bool:
        if self._failed or len(self._lines) >= _MOST_LINES:
            self._lost += 1
            return False
        self._lines.append(line)
        return True

    async def write_again_and_again(self) -> None:
        """Write what came, twice a second, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write what came; where that fails, the record ends and the run goes on."""
        lines, self._lines = self._lines, []
        pcm, self._pcm = self._pcm, {}
        if self._failed or not lines:
            return
        sounds = {sound.name: sound for sound in self._files.values()}
        try:
            await asyncio.to_thread(self._write, lines, pcm, sounds)
            self._events += sum("event" in line for line in lines)
        except OSError as error:
            self._failed = True
            self._lost += len(lines)
            self._publish(
                ReplayRecordFailed(
                    path=str(self._folder), reason=reason_of(error), lost_events=self._lost
                )
            )

    def _write(
        self, lines: list[dict[str, Any]], pcm: dict[str, list[bytes]], sounds: dict[str, _Sound]
    ) -> None:
        for name, pieces in pcm.items():
            file = self._open.get(name)
            if file is None:
                file = self._open[name] = sounds[name].opened(self._folder)
            file.writeframesraw(b"".join(pieces))
        mask = self._pipeline.spec.masked
        texts = (mask(json.dumps(line, ensure_ascii=False, default=str)) for line in lines)
        with (self._folder / "record.jsonl").open("a", encoding="utf-8") as out:
            out.write("".join(f"{text}\n" for text in texts))

    def close(self) -> None:
        """Write the lengths into the sound files."""
        for file in self._open.values():
            with suppress(OSError):
                file.close()

    def tell_end(self) -> None:
        """Tell that the record is complete, if it is."""
        if not self._failed:
            now = self._pipeline.clock.now()
            path = str(self._folder)
            self._publish(ReplayRecorded(path=path, duration_s=round(now, 3), events=self._events))

    def _publish(self, event: ReplayRecorded | ReplayRecordFailed) -> None:
        now = self._pipeline.clock.now()
        self._pipeline.bus.publish(replace(event, source="record", at=now))


class _Sound:
    """A WAV file of a stage, as long as its format is the same."""

    def __init__(self, id: str, number: int, rate: int, layout: str) -> None:
        self.number = number
        self.shape = (rate, layout)
        self.name = f"{id}.wav" if number == 1 else f"{id}.{number}.wav"
        self.samples = 0

    def opened(self, folder: Path) -> wave.Wave_write:
        """Return the file, to write into."""
        import av

        file = wave.open(str(folder / self.name), "wb")  # noqa: SIM115 - open as long as the record
        file.setnchannels(av.AudioLayout(self.shape[1]).nb_channels)
        file.setsampwidth(2)
        file.setframerate(self.shape[0])
        return file
