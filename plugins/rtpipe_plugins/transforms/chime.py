"""`chime`: a sound file that is heard in the stream when something happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from rtpipe import (
    CANONICAL,
    Event,
    EventGlob,
    ExitCode,
    Finding,
    Importance,
    InputPath,
    Options,
    Specimen,
    StageContext,
    StageError,
    Transform,
    action,
    audio,
    reason_of,
)
from rtpipe.examination import missing_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, Surroundings

_LONGEST_S = 60
"""The whole sound is held in memory, and an hour of music is not a chime."""


@dataclass(frozen=True, kw_only=True)
class ChimePlayed(Event):
    """The sound is in the stream, to its end; the loudspeaker is a few milliseconds behind."""

    importance = Importance.INFO
    type: str = "chime.played"


class ChimeOptions(Options):
    """Which sound, and when."""

    main: ClassVar[str | None] = "path"

    path: InputPath
    """The sound: anything FFmpeg reads, at most a minute of it."""
    on: EventGlob | list[EventGlob] = Field(default=[])
    """The events, by name or glob (`realtime.connected`, `*.speech_started`); a route may also say
    `do: chime.play`."""
    gain_db: Annotated[float, Field(ge=-120, le=60)] = 0.0
    """How loud, relative to the file (dB)."""


class Chime(Transform[ChimeOptions]):
    """Mixes a sound into the stream when an event comes.

    - chime: {path: audio/ding.wav, on: pipeline.started, gain_db: -6}

    It is heard over what passes, from the next frame on, and needs a stream that flows; where there
    is none, `tone: {waveform: silence, realtime: true}` is one. An event that comes while it is
    heard does not begin it again. At the end of the stream it is heard to its own end.
    """

    kind = "chime"
    accepts = CANONICAL
    mutates = True
    publishes = (ChimePlayed,)
    live = frozenset({"on", "gain_db"})

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:
        """Yield a short sound, at the start."""
        from rtpipe.testing import tone, write_wav

        yield Specimen(
            {"path": write_wav(folder / "ding.wav", tone(880, seconds=0.5))}, tolerance=0
        )

    @classmethod
    def examine_surroundings(cls, options: ChimeOptions, around: Surroundings) -> Iterator[Finding]:
        """Return that nothing sets it off."""
        if not options.on and "play" not in around.called:
            help = "name the event that does: `on: realtime.connected`"
            yield Finding("odd", "nothing in this file sets it off", help=help)

    @classmethod
    def examine(cls, options: ChimeOptions) -> Iterator[Finding]:
        """Look for the sound."""
        return missing_file(options.path, "path")

    def __init__(self, options: ChimeOptions, ctx: StageContext) -> None:
        import numpy as np

        super().__init__(options, ctx)
        self._sound: NDArray[np.float32] = np.zeros(0, np.float32)
        self._at: int | None = None
        self._next_pts = 0
        self._end_listening: Callable[[], None] | None = None

    async def open(self) -> None:
        """Read the sound.

        Raises:
            StageError: There is no such file, or FFmpeg cannot read it.
        """
        self._sound = await asyncio.to_thread(_read, self.options.path)
        self._listen()

    def change(self, options: ChimeOptions) -> None:
        """Be set off by other events, or sound louder or softer."""
        self.options = options
        self._listen()

    def _listen(self) -> None:
        if self._end_listening is not None:
            self._end_listening()
        on = self.options.on
        self._end_listening = self.ctx.on(on, self._heard_of) if on else None

    def _heard_of(self, event: Event) -> None:
        if event.source != self.ctx.id:  # else `on: "*"` would never let it end
            self.play()

    @action
    def play(self) -> None:
        """Let it be heard, unless it is being heard already."""
        if self._at is None:
            self._at = 0

    def why_not(self, action: str) -> str:
        """See `Stage.why_not`."""
        return "it is being heard" if action == "play" and self._at is not None else ""

    def reset(self) -> None:
        """Break off."""
        self._at = None

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame`, the sound mixed in."""
        import numpy as np

        self._next_pts = (frame.pts or 0) + frame.samples
        if self._at is None:
            return frame
        samples = audio.pcm(frame)[:, 0]
        sound = self._sound[self._at : self._at + len(samples)]
        sound = sound * np.float32(10 ** (self.options.gain_db / 20))
        heard = samples[: len(sound)]
        heard[:] = audio.to_s16(heard + sound)
        self._at += len(sound)
        if self._at >= len(self._sound):
            self._at = None
            self.ctx.publish(ChimePlayed())
        return frame

    def finish(self) -> Iterator[AudioFrame]:
        """Yield the rest of the sound."""
        size = 48 * self.ctx.frame_ms
        while self._at is not None:
            count = min(size, len(self._sound) - self._at)
            yield self.process(audio.silence(count, pts=self._next_pts))


def _read(path: Path) -> NDArray[np.float32]:
    """Return a file's audio, s16 values of canonical samples."""
    import numpy as np
    from av.error import FFmpegError

    from rtpipe import Converter
    from rtpipe_plugins.media.decoding import decoded, open_media, pick_stream

    converter = Converter(CANONICAL)
    frames: list[AudioFrame] = []
    try:
        with open_media(str(path.absolute())) as container:
            for frame in decoded(container, pick_stream(container, 0, str(path))):
                frames += converter.process(frame)
                if frames and (frames[-1].pts or 0) > _LONGEST_S * 48_000:
                    raise StageError(
                        f"{path} is longer than {_LONGEST_S} s, too long for a chime",
                        help="play it with `file`, and mix it in with `mix`",
                        exit_code=ExitCode.CONFIGURATION,
                    )
    except (FFmpegError, OSError, ValueError) as error:
        raise StageError(
            f"cannot read the chime {path}: {reason_of(error)}",
            exit_code=ExitCode.CONFIGURATION,
        ) from None
    frames += converter.finish()
    parts = [audio.pcm(frame)[:, 0].astype(np.float32) for frame in frames]
    if not parts:
        raise StageError(f"the chime {path} is empty", exit_code=ExitCode.CONFIGURATION)
    return np.concatenate(parts)
