"""What can be asked of a recorder."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from rtpipe import CANONICAL, ExitCode, Options, StageError
from rtpipe_plugins.disk.output_path import ConfinedPath
from rtpipe_plugins.disk.path_pattern import EVENTS, TURNS, Companions, PathPattern
from rtpipe_plugins.disk.retention import Keep
from rtpipe_plugins.media.encoding import find_encoding
from rtpipe_plugins.sinks.recorder.recording import Layout


class RecorderOptions(Options):
    """A recording."""

    main: ClassVar[str | None] = "path"

    path: ConfinedPath
    """Where, with strftime fields (`%Y%m%d-%H%M%S`), which never make a folder. If the file exists,
    the recording goes to `name-2`, `name-3`, …  A kill costs a live recording less than a second of
    .mka, .wav, .opus or .flac, a power cut two: it is synced to the disk every second."""
    autostart: bool = True
    """Record from the first audio on. false: wait for the action `start`."""
    layout: Layout | None = None
    """tracks: a track for each input. stereo: the first input left, the second right. mix: all in
    one. By default tracks where the file can hold them (as .mka does), else stereo for two inputs
    and mix for any other number."""
    codec: str | None = None
    """opus, flac, pcm, or any encoder of FFmpeg; by default what suits the file's ending."""
    overwrite: bool = False
    """Replace a file that exists, once the new one is complete: until then, and after a kill, it is
    `NAME.part.EXT`."""
    segment_s: float | None = Field(None, ge=1)
    """Begin a new file after so many seconds; together they hold every sample. Each is named by
    the time it begins, so give `path` strftime fields, else they are `name-2`, `name-3`, … One
    of AAC is up to 21 ms longer: it ends where a block of the codec does."""
    segment_mb: float | None = Field(None, gt=0)
    """Begin a new file when one is about so large (megabytes). A WAV never passes 4 GB."""
    turns: bool = False
    """Write each turn of the user and of the assistant to a file of its own, too, in the folder
    `name.turns`: from `speech_started` to `speech_stopped`, and as long as the answer plays."""
    keep: Keep | None = None
    """How long recordings are kept, with what lies beside them: `keep: {days: 30, gb: 20}`. By
    default for ever. What this `path` cannot have written is never touched, nor what is in use."""
    sidecar: bool = True
    """Write the pipeline's events beside the recording, to `name.events.jsonl`, in its time."""
    words: bool = True
    """Write into the sidecar what was said, too: false keeps audio without transcripts, and of each
    event only numbers, ids and the like."""

    @model_validator(mode="after")
    def _can_be_written(self) -> Self:
        encoding = find_encoding(self.path, codec=self.codec)
        rates = encoding.sample_rates()
        if rates and CANONICAL.sample_rate not in rates:
            raise ValueError(f"{encoding.codec} does not take {CANONICAL.sample_rate} Hz")
        if self.layout == "tracks" and not encoding.many_tracks:
            raise ValueError(f"a {self.path.suffix} file holds one track; use .mka, or stereo")
        return self

    @property
    def pattern(self) -> PathPattern:
        """Which files are the recorder's."""
        one = self.overwrite and self.segment_s is None and self.segment_mb is None
        beside = Companions(counted=not one, aside=True, sidecar=EVENTS, folder=TURNS)
        return PathPattern(self.path.absolute(), beside)

    def layout_for(self, inputs: int) -> Layout:
        """Return the layout for a number of inputs.

        Raises:
            StageError: The one that was asked for does not hold them.
        """
        if self.layout == "stereo" and inputs > 2:
            raise StageError(
                f"stereo holds two inputs, not {inputs}",
                help="use `layout: tracks` (with .mka) or `layout: mix`",
                exit_code=ExitCode.CONFIGURATION,
            )
        if self.layout is not None:
            return self.layout
        if find_encoding(self.path, codec=self.codec).many_tracks:
            return "tracks"
        return "stereo" if inputs == 2 else "mix"
