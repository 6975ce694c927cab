"""Voice activity detection (VAD): marks speech, tells when it starts and stops."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field

from rtpipe import AudioFormat, Event, Options, Transform, action, audio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, StageContext

_RATE = 16_000
_LISTENED = AudioFormat(_RATE, "mono", "s16")
_LATE_MS = 5  # more than any rate converter holds back


class VadOptions(Options):
    """Tell speech from everything else."""

    main: ClassVar[str | None] = "aggressiveness"

    engine: Literal["webrtc"] = "webrtc"
    """What judges: WebRTC's detector, which works offline and costs almost nothing."""
    aggressiveness: Annotated[int, Field(ge=0, le=3)] = 2
    """How much is rejected as not being speech: 0 the least, 3 the most."""
    frame_ms: Literal[10, 20, 30] = 20
    """How much audio is judged at a time (ms)."""
    min_speech_ms: Annotated[float, Field(ge=0)] = 60.0
    """How long it must sound like speech before it counts as speech (ms)."""
    min_silence_ms: Annotated[float, Field(ge=0)] = 500.0
    """Hang-over: how long it must be silent before speech counts as over (ms)."""


@dataclass(frozen=True, kw_only=True)
class SpeechStarted(Event):
    """Somebody began to speak.

    Attributes:
        at_ms: Media time at which the speech began, `min_speech_ms` or more before it was told.
    """

    type: str = "vad.speech_started"
    at_ms: int


@dataclass(frozen=True, kw_only=True)
class SpeechStopped(Event):
    """Somebody stopped speaking.

    Attributes:
        at_ms: Media time at which the speech ended, `min_silence_ms` or more before it was told.
    """

    type: str = "vad.speech_stopped"
    at_ms: int


class Vad(Transform[VadOptions]):
    """Marks frames with whether somebody speaks; drops nothing, delays nothing.

    Every frame gets `audio.meta(frame).speech`: for each 20 ms slice of media time that ends in
    the frame (`audio.slice_ends`), whether speech was going on there as far as was known then.

    - vad: {aggressiveness: 2, min_silence_ms: 300}
    """

    kind = "vad"
    accepts = AudioFormat(format="s16")
    mutates = True  # no sample, but the marks: a frame that others hold must not carry ours
    publishes = (SpeechStarted, SpeechStopped)

    def __init__(self, options: VadOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._judge: Callable[[bytes], bool] | None = None
        self._turn = _SpeechState(options, ctx)
        self._windows: _Windows | None = None
        self._heard: deque[_Window] = deque()  # not due yet: see `_Window.due`
        self._next_pts = 0

    async def open(self) -> None:
        """Make a detector."""
        self._judge = _webrtc(self.options.aggressiveness)

    @action
    def reset(self) -> None:
        """Forget the voice and the noise heard so far; speech that was going on is over."""
        self._turn.end()
        self._heard.clear()
        self._windows = None
        if self._judge is not None:
            self._judge = _webrtc(self.options.aggressiveness)

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame`, marked."""
        pts = frame.pts or 0
        windows = self._windows
        if windows is None or pts != self._next_pts or not windows.format.admits(frame):
            windows = self._begin(frame, pts)
        self._next_pts = pts + frame.samples
        self._heard.extend(windows.cut(frame))
        verdicts: list[bool] = []
        for offset in audio.slice_ends(frame):
            self._listen(until=pts + offset)
            verdicts.append(self._turn.speaking)
        self._listen(until=self._next_pts)
        audio.meta(frame).speech = tuple(verdicts)
        return frame

    def finish(self) -> None:
        """Tell the end of speech that the end of the stream cuts off."""
        self._listen(until=None)
        self._turn.end()

    def _begin(self, frame: AudioFrame, pts: int) -> _Windows:
        """Start anew at `frame`: the first one, or one after a hole or of another format."""
        if self._windows is not None:
            self._listen(until=None)
            self._turn.silent((pts - self._next_pts) * 1000 / frame.sample_rate)
        self._windows = _Windows(frame, pts, self.options.frame_ms)
        return self._windows

    def _listen(self, until: int | None) -> None:
        assert self._judge is not None
        while self._heard and (until is None or self._heard[0].due <= until):
            window = self._heard.popleft()
            self._turn.hear(window, voiced=self._judge(window.data))


class _Window(NamedTuple):
    """What is judged at once.

    Attributes:
        data: s16 mono 16 kHz.
        start_ms: Media time of its first sample.
        end_ms: Media time after its last sample.
        due: The pts at which its verdict counts. Fixed by the window's place alone, so that it
            does not depend on how the stream is cut into frames.
    """

    data: bytes
    start_ms: float
    end_ms: float
    due: int


class _Windows:
    """Cuts a stream without holes into windows, whatever its frames are."""

    def __init__(self, frame: AudioFrame, pts: int, window_ms: int) -> None:
        import numpy as np

        from rtpipe import Converter

        self.format = AudioFormat.of(frame)
        self._rate = frame.sample_rate
        self._window_ms = window_ms
        self._start_pts = pts
        self._count = 0
        self._held: NDArray[np.int16] = np.empty(0, np.int16)
        self._ones = np.ones(3, np.float32)
        self._decimates = (frame.sample_rate, frame.layout.name) == (3 * _RATE, "mono")
        self._converter = Converter(_LISTENED)
        exact = self._decimates or _LISTENED.admits(frame)
        self._late = 0 if exact else _LATE_MS * self._rate // 1000

    def cut(self, frame: AudioFrame) -> Iterator[_Window]:
        """Yield the windows that `frame` makes complete."""
        if self._decimates:
            samples = self._joined([audio.pcm(frame)[:, 0]])
            step = 3
        else:
            samples = self._joined([audio.pcm(f)[:, 0] for f in self._converter.process(frame)])
            step = 1
        size = step * _RATE * self._window_ms // 1000
        whole = len(samples) - len(samples) % size
        self._held = samples[whole:].copy()  # the frame's memory is not ours to keep
        data = (self._third(samples[:whole]) if step == 3 else samples[:whole]).tobytes()
        length = 2 * size // step
        for start in range(0, len(data), length):
            yield self._window(data[start : start + length])

    def _joined(self, parts: list[NDArray[np.int16]]) -> NDArray[np.int16]:
        import numpy as np

        if len(self._held):
            parts = [self._held, *parts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [self._held])

    def _third(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return 48 kHz samples at 16 kHz by a mean of three, at a quarter of a conversion's cost.

        Whole numbers up to 98,301 are exact in float32, so the sum does not depend on the order in
        which BLAS takes them, and with it on the length of the frame.
        """
        import numpy as np

        sums: NDArray[np.float32] = np.dot(samples.reshape(-1, 3), self._ones)
        return (sums * np.float32(1 / 3)).astype(np.int16)

    def _window(self, data: bytes) -> _Window:
        start_ms = self._start_pts * 1000 / self._rate + self._count * self._window_ms
        self._count += 1
        end = self._start_pts - (-self._count * self._window_ms * self._rate // 1000)
        return _Window(data, start_ms, start_ms + self._window_ms, end + self._late)


class _SpeechState:
    """VAD onset and hang-over: from when to when somebody speaks, by a verdict for each window."""

    def __init__(self, options: VadOptions, ctx: StageContext) -> None:
        self.speaking = False
        self._options = options
        self._ctx = ctx
        self._voiced_ms = 0.0
        self._silent_ms = 0.0
        self._began_ms = 0.0
        self._voiced_until_ms = 0.0

    def hear(self, window: _Window, *, voiced: bool) -> None:
        """Take the verdict on the next window."""
        if not voiced:
            self.silent(self._options.frame_ms)
            return
        self._silent_ms = 0.0
        self._voiced_until_ms = window.end_ms
        if self._voiced_ms == 0.0:
            self._began_ms = window.start_ms
        self._voiced_ms += self._options.frame_ms
        if not self.speaking and self._voiced_ms >= self._options.min_speech_ms:
            self.speaking = True
            self._ctx.publish(SpeechStarted(at_ms=round(self._began_ms)))

    def silent(self, duration_ms: float) -> None:
        """Take so much silence, or so much that is missing."""
        self._voiced_ms = 0.0
        self._silent_ms += duration_ms
        if self._silent_ms >= self._options.min_silence_ms:
            self.end()

    def end(self) -> None:
        """Let speech that is going on be over."""
        self._voiced_ms = 0.0
        if self.speaking:
            self.speaking = False
            self._ctx.publish(SpeechStopped(at_ms=round(self._voiced_until_ms)))


def _webrtc(aggressiveness: int) -> Callable[[bytes], bool]:
    """Return a new WebRTC detector: is this (s16 mono 16 kHz, 10 to 30 ms) speech?"""
    try:
        import _webrtcvad as engine
    except ImportError:
        import webrtcvad  # the same behind a module that may take 0.1 s to import

        detector = webrtcvad.Vad(aggressiveness)
        return lambda data: bool(detector.is_speech(data, _RATE))
    state = engine.create()
    engine.init(state)
    engine.set_mode(state, aggressiveness)
    return lambda data: bool(engine.process(state, _RATE, data, len(data) // 2))
