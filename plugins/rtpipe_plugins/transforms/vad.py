"""Voice activity detection (VAD): marks speech, tells when it starts and stops."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from struct import Struct
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from rtpipe import AudioFormat, Event, Options, Transform, action, audio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, StageContext

    _Judge: TypeAlias = Callable[[bytes], bytes]
    """Takes windows, returns a byte for each: 1 where there is a voice."""

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
    live = frozenset({"aggressiveness", "frame_ms", "min_speech_ms", "min_silence_ms"})

    def __init__(self, options: VadOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._judge: _Judge | None = None
        self._turn = _SpeechState(options, ctx)
        self._windows: _Windows | None = None
        self._next_pts = 0

    async def open(self) -> None:
        """Make a detector."""
        self._judge = _webrtc(self.options)

    def change(self, options: VadOptions) -> None:
        """Judge otherwise from the next window on; whoever speaks goes on speaking."""
        before, self.options = self.options, options
        self._turn.options = options
        another_length = options.frame_ms != before.frame_ms
        if another_length:
            self._windows = None
        if another_length or options.aggressiveness != before.aggressiveness:
            self._judge = _webrtc(options)

    @action
    def reset(self) -> None:
        """Forget the voice and the noise heard so far; speech that was going on is over."""
        self._turn.end()
        self._windows = None
        if self._judge is not None:
            self._judge = _webrtc(self.options)

    def process(self, frame: AudioFrame) -> AudioFrame:
        """Return `frame`, marked."""
        assert self._judge is not None
        pts = frame.pts or 0
        windows = self._windows
        if windows is None or pts != self._next_pts or not windows.format.admits(frame):
            windows = self._begin(frame, pts)
        self._next_pts = pts + frame.samples
        windows.verdicts += self._judge(windows.cut(frame))
        audio.meta(frame).speech = self._marks(frame, windows)
        return frame

    def finish(self) -> None:
        """Tell the end of speech that the end of the stream cuts off."""
        if self._windows is not None:
            self._listen(self._windows)
        self._turn.end()

    def _begin(self, frame: AudioFrame, pts: int) -> _Windows:
        """Start anew at `frame`: the first one, or one after a hole or of another format."""
        if self._windows is not None:
            self._listen(self._windows)
            self._turn.silent((pts - self._next_pts) * 1000 / frame.sample_rate)
        self._windows = _Windows(frame, pts, self.options.frame_ms)
        return self._windows

    def _marks(self, frame: AudioFrame, windows: _Windows) -> tuple[bool, ...]:
        """Return for each slice that ends in `frame` whether speech is going on there."""
        slices = audio.slice_numbers(frame)
        speaking = self._turn.speaking
        changes = self._listen(windows, until=self._next_pts)
        if not changes:
            return (speaking,) * len(slices)
        marks: list[bool] = []
        for pts, speaks in changes:
            first = (pts - 1) * 50 // frame.sample_rate + 1  # the first that ends there or later
            marks += [speaking] * (min(first, slices.stop) - slices.start - len(marks))
            speaking = speaks
        marks += [speaking] * (len(slices) - len(marks))
        return tuple(marks)

    def _listen(self, windows: _Windows, until: int | None = None) -> list[tuple[int, bool]]:
        """Hear what is due by a pts; return from which pts on somebody speaks, or does not."""
        changes: list[tuple[int, bool]] = []
        number, verdicts = windows.take(until)
        for told_of in self._turn.hear(number, verdicts, windows.start_ms):
            changes.append((windows.due(told_of), self._turn.speaking))
            if self._windows is not windows:  # whoever was told has reset this stage
                break
        return changes


class _Windows:
    """Cuts a stream without holes into windows, each judged at once, whatever its frames are.

    Attributes:
        format: Of the stream.
        verdicts: On the next windows that are not due yet: a byte each, 1 where there is a voice.
    """

    def __init__(self, frame: AudioFrame, pts: int, window_ms: int) -> None:
        import numpy as np

        from rtpipe import Converter

        self.format = AudioFormat.of(frame)
        self.verdicts = b""
        self._rate = frame.sample_rate
        self._window_ms = window_ms
        self._start_pts = pts
        self._taken = 0
        self._nothing: NDArray[np.int16] = np.empty(0, np.int16)
        self._held = self._nothing
        self._ones = np.ones(3, np.float32)
        self._share = np.float32(1 / 3)
        self._decimates = (frame.sample_rate, frame.layout.name) == (3 * _RATE, "mono")
        exact = self._decimates or _LISTENED.admits(frame)
        self._converter = None if exact else Converter(_LISTENED)
        self._late = 0 if exact else _LATE_MS * self._rate // 1000
        self._size = (3 if self._decimates else 1) * _RATE * window_ms // 1000

    def cut(self, frame: AudioFrame) -> bytes:
        """Return the windows that `frame` makes complete, one after another: s16 mono 16 kHz."""
        if self._converter is None and not len(self._held):
            samples = audio.pcm(frame)[:, 0]
        else:
            samples = self._joined(frame)
        rest = len(samples) % self._size
        self._held = self._nothing
        if rest:
            self._held = samples[-rest:].copy()  # the frame's memory is not ours to keep
            samples = samples[:-rest]
        return (self._third(samples) if self._decimates else samples).tobytes()

    def take(self, until: int | None) -> tuple[int, bytes]:
        """Return the next window's number and the verdicts that are due by a pts; None: all.

        When a window is due depends on its place alone, and so not on how the stream is cut into
        frames.
        """
        number, verdicts = self._taken, self.verdicts
        if until is not None:
            due = (until - self._start_pts - self._late) * 1000 // (self._window_ms * self._rate)
            verdicts = verdicts[: max(due - number, 0)]
        self._taken += len(verdicts)
        self.verdicts = self.verdicts[len(verdicts) :]
        return number, verdicts

    def due(self, number: int) -> int:
        """Return the pts at which the verdict on a window counts: its end, or a little later."""
        end = -(-(number + 1) * self._window_ms * self._rate // 1000)
        return self._start_pts + end + self._late

    def start_ms(self, number: int) -> float:
        """Return the media time of a window's first sample (ms)."""
        return self._start_pts * 1000 / self._rate + number * self._window_ms

    def _joined(self, frame: AudioFrame) -> NDArray[np.int16]:
        """Return what is held, and `frame`."""
        import numpy as np

        frames = [frame] if self._converter is None else self._converter.process(frame)
        return np.concatenate([self._held, *(audio.pcm(each)[:, 0] for each in frames)])

    def _third(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return 48 kHz samples at 16 kHz by a mean of three, at a quarter of a conversion's cost.

        Whole numbers up to 98,301 are exact in float32, so the sum does not depend on the order in
        which BLAS takes them, and with it on the length of the frame.
        """
        sums: NDArray[np.float32] = samples.reshape(-1, 3).dot(self._ones)
        sums *= self._share
        return sums.astype("i2")


class _SpeechState:
    """VAD onset and hang-over: from when to when somebody speaks, by a verdict for each window."""

    def __init__(self, options: VadOptions, ctx: StageContext) -> None:
        self.speaking = False
        self.options = options
        self._ctx = ctx
        self._contrary_ms = 0.0  # how long it has sounded like the other: not for long enough yet
        self._began_ms = 0.0
        self._voiced_until_ms = 0.0

    def hear(self, number: int, verdicts: bytes, start_ms: Callable[[int], float]) -> Iterator[int]:
        """Take the verdicts on the next windows; yield after which of them something was told.

        Args:
            number: Of the first.
            verdicts: See `_Windows`.
            start_ms: Returns the media time at which a window begins (ms).
        """
        window_ms, count = self.options.frame_ms, len(verdicts)
        at = 0
        while at < count:
            voiced = bool(verdicts[at])
            turn = verdicts.find(not voiced, at)
            alike = (count if turn < 0 else turn) - at
            if voiced is self.speaking:
                at += alike
                self._contrary_ms = 0.0
                self._voiced_until_ms = start_ms(number + at - 1) + window_ms
                continue
            if self._contrary_ms == 0.0:
                self._began_ms = start_ms(number + at)
            enough = ceil((self._enough_ms - self._contrary_ms) / window_ms)
            taken = min(max(enough, 1), alike)
            at += taken
            self._contrary_ms += taken * window_ms
            if self._contrary_ms >= self._enough_ms:
                if voiced:
                    self._begin(until_ms=start_ms(number + at - 1) + window_ms)
                else:
                    self.end()
                yield number + at - 1

    def silent(self, duration_ms: float) -> None:
        """Take so much that is missing."""
        if not self.speaking:
            self._contrary_ms = 0.0
            return
        self._contrary_ms += duration_ms
        if self._contrary_ms >= self._enough_ms:
            self.end()

    @property
    def _enough_ms(self) -> float:
        options = self.options
        return options.min_silence_ms if self.speaking else options.min_speech_ms

    def _begin(self, until_ms: float) -> None:
        self._contrary_ms = 0.0
        self._voiced_until_ms = until_ms
        self.speaking = True
        self._ctx.publish(SpeechStarted(at_ms=round(self._began_ms)))

    def end(self) -> None:
        """Let speech that is going on be over."""
        self._contrary_ms = 0.0
        if self.speaking:
            self.speaking = False
            self._ctx.publish(SpeechStopped(at_ms=round(self._voiced_until_ms)))


def _webrtc(options: VadOptions) -> _Judge:
    """Return a new WebRTC detector: which of these windows (s16 mono 16 kHz) hold speech?"""
    samples = _RATE * options.frame_ms // 1000
    each = Struct(f"{2 * samples}s").iter_unpack
    try:
        import _webrtcvad as engine
    except ImportError:
        import webrtcvad  # the same behind a module that may take 0.1 s to import

        judge = webrtcvad.Vad(options.aggressiveness).is_speech
        return lambda data: bytes([judge(window, _RATE) for (window,) in each(data)])
    state = engine.create()
    engine.init(state)
    engine.set_mode(state, options.aggressiveness)
    process = engine.process
    return lambda data: bytes([process(state, _RATE, window, samples) for (window,) in each(data)])
