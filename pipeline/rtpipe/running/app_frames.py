"""Frames from and to the program around a pipeline, as GStreamer's appsrc and appsink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe.audio import check_frame
from rtpipe.hookspecs import hookimpl
from rtpipe.link import Link, LinkClosed, QueuePolicy, WhenFull
from rtpipe.stage import Options, Sink, Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rtpipe.audio import AudioFrame
    from rtpipe.formats import AudioFormat


class FrameSource:
    """Gives a program's frames to its pipeline, as appsrc: a plugin with one kind of source.

    `rtpipe.loads("... - frame_source ...", plugins=[source])`. For one run of one pipeline, and
    only from the thread of its event loop.

    Args:
        kind: The kind's name in the file.
        live: Whether the frames come at a pace of their own, as from a microphone: then late audio
            is dropped. Otherwise the program waits for the pipeline.
        max_ms: How much audio may wait to be taken (ms); one frame always may.

    Attributes:
        link: Where they wait.
    """

    def __init__(
        self, kind: str = "frame_source", *, live: bool = False, max_ms: float = 200.0
    ) -> None:
        self.kind = kind
        self.live = live
        self.link = _link(kind, max_ms)
        self._latest: AudioFrame | None = None

    @hookimpl
    def rtpipe_stages(self) -> list[type[Source[Any]]]:
        """Return the kind of source that gives out what it is given here."""
        return [type("FrameSourceStage", (_Given,), {"kind": self.kind, "handle": self})]

    def push(self, frame: AudioFrame) -> bool:
        """Give `frame` to the pipeline without waiting; returns False where there is no room yet.

        Raises:
            LinkClosed: The source was closed, or the pipeline has ended.
            FormatError: The frame breaks the rules of `rtpipe.audio.check_frame`.
        """
        self._check(frame)
        if not self.link.offer(frame):
            return False
        self._latest = frame
        return True

    async def send(self, frame: AudioFrame) -> None:
        """Give `frame` to the pipeline, waiting for room.

        Raises:
            LinkClosed: The source was closed, or the pipeline has ended.
            FormatError: The frame breaks the rules of `rtpipe.audio.check_frame`.
        """
        self._check(frame)
        self._latest = frame
        if not self.link.offer(frame):  # a coroutine only where there is no room
            await self.link.put(frame)

    def close(self) -> None:
        """Say that no more frames will come: the stream ends after those that wait."""
        self.link.close()

    def _check(self, frame: AudioFrame) -> None:
        if self.link.closed:
            raise LinkClosed(self.kind)
        check_frame(frame, self._latest)


class FrameSink:
    """Gives a pipeline's frames to the program around it, as appsink: `async for frame in sink`.

    A plugin with one kind of sink. The iteration ends when the stream has ended. For one run of one
    pipeline, and only from the thread of its event loop.

    Args:
        kind: The kind's name in the file.
        accepts: What the frames are to look like; the pipeline converts. None: as they come.
        frame_ms: The exact length of the frames (ms). None: as they come.
        max_ms: How much audio may wait to be read (ms); beyond that the pipeline waits, or drops
            where it is live.

    Attributes:
        link: Where they wait.
    """

    def __init__(
        self,
        kind: str = "frame_sink",
        *,
        accepts: AudioFormat | None = None,
        frame_ms: float | None = None,
        max_ms: float = 200.0,
    ) -> None:
        self.kind = kind
        self.link = _link(kind, max_ms)
        self._declared = {"kind": kind, "handle": self, "accepts": accepts, "exact_ms": frame_ms}

    @hookimpl
    def rtpipe_stages(self) -> list[type[Sink[Any]]]:
        """Return the kind of sink whose frames come out here."""
        return [type("FrameSinkStage", (_Taken,), self._declared)]

    def __aiter__(self) -> AsyncIterator[AudioFrame]:
        return self.link


def _link(kind: str, max_ms: float) -> Link:
    return Link(kind, QueuePolicy(max_ms, WhenFull.BLOCK, trim=False))


class _Given(Source[Options]):
    """Frames that the program gives, through a `rtpipe.FrameSource`."""

    handle: ClassVar[FrameSource]

    @classmethod
    def has_clock(cls, options: Options) -> bool:  # noqa: ARG003 - the program says it
        return cls.handle.live

    @classmethod
    def claims(cls, options: Options) -> str:  # noqa: ARG003 - there is one handle
        return f"frames:{cls.kind}"

    def frames(self) -> AsyncIterator[AudioFrame]:
        return self.handle.link

    async def close(self) -> None:
        self.handle.link.abandon()


class _Taken(Sink[Options]):
    """Frames that the program takes, through a `rtpipe.FrameSink`."""

    handle: ClassVar[FrameSink]

    @classmethod
    def claims(cls, options: Options) -> str:  # noqa: ARG003 - there is one handle
        return f"frames:{cls.kind}"

    async def consume(self, frame: AudioFrame) -> None:
        await self.handle.link.put(frame)

    def reset(self) -> None:
        self.handle.link.flush()

    async def close(self) -> None:
        self.handle.link.close()
