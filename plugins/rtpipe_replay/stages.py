"""What stands in the place of sources and peers in a replay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping  # noqa: TC003 - a field of a dataclass that is inspected
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from av import AudioLayout

from rtpipe import Event, InputPath, Options, Peer, Source, Specimen, audio
from rtpipe_replay.record import HEADER_BYTES, VERSION, Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rtpipe import AudioFrame, Link, Send, StageContext
    from rtpipe_replay.record import Frame

_NOT_THE_PEERS = ("stage.", "link.", "pipeline.", "plugin.")
"""Events about a stage; the runtime tells them anew."""


class ReplayedOptions(Options):
    """Options of `replayed` and `replayed_peer`."""

    main = "record"

    record: InputPath
    """The record's folder."""
    of: str
    """The id that the stage had in it."""


@dataclass(frozen=True, kw_only=True)
class _Again(Event):
    """An event of a record: what it said is read like the first time."""

    said: Mapping[str, Any] = field(default_factory=dict)

    def payload(self) -> Mapping[str, Any]:
        """See `Event.payload`."""
        return self.said

    def __getattr__(self, name: str) -> Any:
        """Return a field of the event that it was."""
        try:
            return self.said[name]
        except KeyError:
            raise AttributeError(name) from None


def _sounds(record: Record, of: str) -> Iterator[tuple[Frame, AudioFrame]]:
    """Yield the frames of a stage, each with when it came."""
    for frame in record.frames(of):
        with (record.folder / frame.file).open("rb") as file:
            channels = AudioLayout(frame.layout).nb_channels
            file.seek(HEADER_BYTES + 2 * channels * frame.offset)
            data = file.read(2 * channels * frame.samples)
        pcm = np.frombuffer(data, np.int16).reshape(-1, channels)
        if len(pcm):
            pts = round(frame.time_s * frame.rate)
            yield (
                frame,
                audio.from_pcm(pcm, sample_rate=frame.rate, pts=pts, layout=frame.layout),
            )


def _short_record(folder: Path) -> Path:
    """Write a record of half a second; returns its folder."""
    from rtpipe.testing import speech_like, write_wav

    write_wav(folder / "mic.wav", speech_like(seconds=0.5))
    head = {"version": VERSION, "name": "short", "file": "", "families": {"mic": "source"}}
    (folder / "record.json").write_text(json.dumps(head), "utf-8")
    shape = {"audio": "mic", "file": "mic.wav", "samples": 960, "rate": 48_000, "layout": "mono"}
    lines = ({"at": n * 0.02, "time_s": n * 0.02, "offset": n * 960, **shape} for n in range(25))
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "record.jsonl").write_text(text, "utf-8")
    return folder


class Replayed(Source[ReplayedOptions]):
    """Gives what a record has of a source, at the same times.

    - replayed: {record: tuesday, of: mic}
    """

    kind = "replayed"

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a short record."""
        yield Specimen({"record": _short_record(folder), "of": "mic"})

    @classmethod
    def has_clock(cls, options: ReplayedOptions) -> bool:  # noqa: ARG003 - the same for all options
        """Return True."""
        return True

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Yield the frames of the record."""
        for frame, sound in _sounds(Record(self.options.record), self.options.of):
            await self.ctx.clock.sleep_until(frame.at)
            if self.ctx.stopping:
                return
            yield sound


class ReplayedPeer(Peer[ReplayedOptions]):
    """Gives what a record has of a peer, at the same times: its audio and its events.

    What it is told is swallowed: it answers as it did then, whatever it is asked now.

    - replayed_peer: {record: tuesday, of: realtime}
    """

    kind = "replayed_peer"

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a short record."""
        yield Specimen({"record": _short_record(folder), "of": "mic"})

    def __init__(self, options: ReplayedOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._record: Record | None = None
        self._telling: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to tell the events."""
        self._record = await asyncio.to_thread(Record, Path(self.options.record))
        self._telling = asyncio.create_task(self._tell(self._record))

    async def close(self) -> None:
        """Tell no more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def converse(self, inlet: Link, send: Send) -> None:
        """Swallow what comes, and give the record's audio."""
        speaking = asyncio.create_task(self._speak(send))
        try:
            async for _ in inlet:
                pass
            if self._telling is not None and not self.ctx.stopping:
                await asyncio.wait({speaking, self._telling})  # what was still on its way
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _speak(self, send: Send) -> None:
        assert self._record is not None
        for frame, sound in _sounds(self._record, self.options.of):
            await self.ctx.clock.sleep_until(frame.at)
            await send(sound)

    async def _tell(self, record: Record) -> None:
        for said in record.events(self.options.of):
            event_type = str(said["type"])
            if event_type.startswith(_NOT_THE_PEERS):
                continue
            await self.ctx.clock.sleep_until(float(said["at"]))
            rest = {name: value for name, value in said.items() if name not in {"source", "at"}}
            rest.pop("type")
            self.ctx.publish(_Again(type=event_type, said=rest))
