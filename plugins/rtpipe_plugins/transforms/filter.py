"""`filter`: any audio filtergraph of FFmpeg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator

from rtpipe import (
    AudioFormat,
    ExitCode,
    Options,
    Specimen,
    StageContext,
    StageError,
    Transform,
    audio,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rtpipe import AudioFrame
    from rtpipe_plugins.sound.filtergraph import Filtergraph

_BRIDGED_S = 1.0


def _possible(graph: str) -> str:
    from rtpipe_plugins.sound.filtergraph import check

    check(graph)
    return graph


class FilterOptions(Options):
    """What to do to the sound, in FFmpeg's words."""

    main: ClassVar[str | None] = "graph"

    graph: Annotated[str, AfterValidator(_possible)]
    """FFmpeg's filtergraph: `highpass=f=100,acompressor`, or with labels
    `asplit[dry][x];[x]aecho[wet];[dry][wet]amix`. `ffmpeg -filters` lists what there is."""


class Filter(Transform[FilterOptions]):
    """Puts the audio through FFmpeg's filters; rate, layout and format stay as they are.

    - filter: "highpass=f=100,acompressor=threshold=-20dB:ratio=3"

    A filter that holds audio back (loudnorm: 3 s) delays the stream. One that changes its length
    (atempo) is allowed: pts counts what comes out. A hole of up to a second is silence to the
    filters; after a longer one they begin anew.
    """

    kind = "filter"
    live = frozenset({"graph"})

    @classmethod
    def specimens(cls, folder: Path) -> Iterator[Specimen]:  # noqa: ARG003 - it needs no file
        """Yield a filter that changes every sample."""
        yield Specimen({"graph": "volume=0.5"})

    def __init__(self, options: FilterOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._graph: Filtergraph | None = None
        self._next_in = 0
        self._next_out = 0
        self._changed = False
        self._latest: AudioFrame | None = None

    @classmethod
    def change_heard(cls, options: FilterOptions, to: FilterOptions) -> str | None:  # noqa: ARG003 - the same for all
        """Return that the sound is another."""
        return "other filters, which begin anew"

    def change(self, options: FilterOptions) -> None:
        """Let what the filters hold out with the next frame, and put that through the others.

        Raises:
            StageError: FFmpeg does not take them with audio like this.
        """
        if self._graph is not None:
            _made(options.graph, self._graph.format)  # wrong ones are refused here
        self.options = options
        self._changed = self._graph is not None

    def reset(self) -> None:
        """Forget what the filters hold."""
        self._graph = None

    def process(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield what the filters give out for `frame`."""
        pts = frame.pts or 0
        if self._changed:
            self._changed = False
            yield from self.finish()
        if self._graph is not None:
            hole = pts - self._next_in
            if not self._graph.format.admits(frame) or hole > _BRIDGED_S * frame.sample_rate:
                yield from self.finish()
            elif hole > 0:
                yield from self._filtered(
                    self._graph, audio.silence_like(frame, hole, pts=self._next_in)
                )
        if self._graph is None:
            self._begin(frame)
        assert self._graph is not None
        self._next_in = pts + frame.samples
        yield from self._filtered(self._graph, frame)

    def finish(self) -> Iterator[AudioFrame]:
        """Yield what the filters still hold."""
        graph, self._graph = self._graph, None
        if graph is not None:
            yield from self._filtered(graph, None)

    def _begin(self, frame: AudioFrame) -> None:
        self._graph = _made(self.options.graph, AudioFormat.of(frame))
        self._next_out = max(self._next_out, frame.pts or 0)

    def _filtered(self, graph: Filtergraph, frame: AudioFrame | None) -> Iterator[AudioFrame]:
        rate = graph.format.sample_rate or 0
        self._latest = frame or self._latest
        for made in graph.push(frame):
            audio.stamp(made, sample_rate=rate, pts=self._next_out)
            self._next_out += made.samples
            if self._latest is not None:
                _pass_on(self._latest, made)
            yield made


def _made(graph: str, format: AudioFormat) -> Filtergraph:
    from rtpipe_plugins.sound.filtergraph import Filtergraph

    try:
        return Filtergraph(graph, format)
    except ValueError as error:
        raise StageError(str(error), exit_code=ExitCode.CONFIGURATION) from None


def _pass_on(frame: AudioFrame, made: AudioFrame) -> None:
    """Tell of `made` what is known about the frame that it came of."""
    known = audio.meta(frame)
    audio.copy_meta(frame, made)  # FFmpeg lets both share it otherwise
    offset = (made.pts or 0) - (frame.pts or 0)
    if offset or made.samples != frame.samples:  # marks of speech fit no other frame
        told = audio.meta(made)
        told.speech = None
        if known.captured_at is not None:
            told.captured_at = known.captured_at + offset / frame.sample_rate
