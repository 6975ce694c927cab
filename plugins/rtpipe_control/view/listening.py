"""Listening to a stage: what it gives out, as one stream without end for each who listens.

One tap serves all who listen to a stage in the same form; it comes with the first and goes with the
last, and what it sees is given by reference: no frame and no timing changes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from rtpipe import CANONICAL, AudioFormat, Converter, audio
from rtpipe_control.events import ControlSoundLost
from rtpipe_control.view.encoders import encoder
from rtpipe_control.view.placement import Placement

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe import AudioFrame, Pipeline
    from rtpipe_control.view.encoders import Encoder, Form

BEHIND_S: dict[Form, float] = {"wav": 1.0, "mp3": 0.3}
"""How long a stage may give nothing before there is silence (s): a browser must not stall, a file
must be exact on a busy machine, too."""
MOST_LISTENERS = 50
_MOST_WAITING_S = 10.0
"""Of sound for one who does not read; then the oldest goes."""
_PATIENCE_S = 1.0
"""So long the first frame is waited for, which says what the stream is like."""
_LOOK_S = 0.1


class Listener:
    """One who listens; what waits for him, in order.

    Attributes:
        lost_s: How much went because he did not read (s).
    """

    def __init__(self) -> None:
        self._head = b""
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._waits_s = 0.0
        self._over = False
        self._news = asyncio.Event()
        self.lost_s = 0.0

    def begin(self, head: bytes) -> None:
        """Let what the stream begins with wait: that is never lost."""
        self._head = head
        self._news.set()

    def take(self, data: bytes, seconds: float) -> None:
        """Let encoded sound wait."""
        self._waiting.append((data, seconds))
        self._waits_s += seconds
        while self._waits_s > _MOST_WAITING_S and len(self._waiting) > 1:
            _, gone_s = self._waiting.popleft()
            self._waits_s -= gone_s
            self.lost_s += gone_s
        self._news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self._over = True
        self._news.set()

    async def next(self) -> bytes | None:
        """Return all that waits, as soon as anything does; None when nothing more comes."""
        while not self._waiting and not self._head:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        data = b"".join([self._head, *(data for data, _ in self._waiting)])
        self._head = b""
        self._waiting.clear()
        self._waits_s = 0.0
        return data


class Tap:
    """What one stage gives out, in one form, for all who want it so.

    The first frame says what rate and how many channels there are. It belongs to the place in the
    pipeline: a stage that is opened again, or a fallback, goes on in the same stream.

    Args:
        pipeline: The pipeline.
        stage: Whose output it is.
        form: See `Form`.
    """

    def __init__(self, pipeline: Pipeline, stage: str, form: Form) -> None:
        self._pipeline = pipeline
        self._stage = stage
        self._form: Form = form
        self._converter: Converter | None = None
        self._encoder: Encoder | None = None
        self._placement: Placement | None = None
        self._rate = self._channels = 0
        self._raw: deque[bytes] = deque()
        self._raw_samples = 0
        """Of what waits for an encoder that is slow."""
        self._lost_s = 0.0
        self._began_at = pipeline.clock.now()
        self._listeners: list[Listener] = []
        self._end = pipeline.tap_output(stage, self._take)
        self._filling = asyncio.create_task(self._fill(), name=f"listening to {stage}")

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @property
    def lost_s(self) -> float:
        """How much was lost to those who listen (s)."""
        return self._lost_s + sum(each.lost_s for each in self._listeners)

    def join(self) -> Listener:
        """Return a new listener, who hears from now on."""
        listener = Listener()
        if self._encoder is not None:
            listener.begin(self._encoder.head())
        self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Let `listener` hear no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._lost_s += listener.lost_s
            if listener.lost_s:
                lost_s, now = round(listener.lost_s, 3), self._pipeline.clock.now()
                told = ControlSoundLost(source="control", stage=self._stage, lost_s=lost_s)
                self._pipeline.bus.publish(replace(told, at=now))
        listener.end()

    def close(self) -> None:
        """Let go of the stage, and end for all who listen."""
        self._end()
        self._filling.cancel()
        for listener in self._listeners:
            listener.end()

    def _take(self, frame: AudioFrame) -> None:
        if self._converter is None:
            self._begin(AudioFormat.of(frame))
        assert self._converter is not None
        assert self._placement is not None
        now = self._pipeline.clock.now()
        for piece in self._converter.process(frame):
            self._silence(self._placement.before(piece.pts or 0, piece.samples, now))
            self._give(audio.pcm(piece).tobytes(), piece.samples)

    def _begin(self, format: AudioFormat) -> None:
        """Let a frame's format say what the stream is like."""
        import av

        layout = av.AudioLayout(format.layout or "mono")
        if self._form == "mp3" and layout.nb_channels > 2:
            layout = av.AudioLayout("stereo")
        self._rate, self._channels = format.sample_rate or 0, layout.nb_channels
        self._converter = Converter(AudioFormat(self._rate, layout.name, "s16"))
        self._placement = Placement(self._rate, self._pipeline.clock.now(), BEHIND_S[self._form])
        self._encoder = encoder(self._form, self._rate, self._channels)
        for listener in self._listeners:
            listener.begin(self._encoder.head())

    def _silence(self, samples: int) -> None:
        if samples:
            self._give(bytes(2 * self._channels * samples), samples)

    def _give(self, data: bytes, samples: int) -> None:
        assert self._encoder is not None
        if not self._encoder.slow:
            self._hand_out(self._encoder.encode(data), samples)
            return
        self._raw.append(data)
        self._raw_samples += samples
        while self._raw_samples > _MOST_WAITING_S * self._rate and len(self._raw) > 1:
            gone = len(self._raw.popleft()) // (2 * self._channels)
            self._raw_samples -= gone
            self._lost_s += gone / self._rate

    def _hand_out(self, encoded: bytes, samples: int) -> None:
        if encoded:
            for listener in self._listeners:
                listener.take(encoded, samples / self._rate)

    async def _fill(self) -> None:
        """Give out silence for what does not come, and let a slow encoder work beside the audio."""
        clock = self._pipeline.clock
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._placement is not None:
                self._silence(self._placement.due(clock.now()))
            elif clock.now() - self._began_at >= _PATIENCE_S:
                self._begin(self._newest_format())
            if self._raw and self._encoder is not None:
                data, samples = b"".join(self._raw), self._raw_samples
                self._raw.clear()
                self._raw_samples = 0
                self._hand_out(await asyncio.to_thread(self._encoder.encode, data), samples)

    def _newest_format(self) -> AudioFormat:
        """Return what the stage's newest frame was like; the usual where there was none."""
        states = (state for state in self._pipeline.state() if state.id == self._stage)
        newest = next((state.last for state in states), None)
        return CANONICAL if newest is None else AudioFormat.of(newest)


class Taps:
    """The taps of a pipeline, each for as long as somebody listens.

    Args:
        pipeline: Whose.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._taps: dict[tuple[str, Form], Tap] = {}
        self._lost_s = 0.0

    @property
    def listeners(self) -> int:
        """How many listen, to whatever stage."""
        return sum(tap.listeners for tap in self._taps.values())

    @property
    def lost_s(self) -> float:
        """How much was lost to those who do not read, in all (s)."""
        return self._lost_s + sum(tap.lost_s for tap in self._taps.values())

    def join(self, stage: str, form: Form) -> tuple[Listener, Callable[[], None]]:
        """Return who listens to `stage` from now on, and a function that ends it.

        Raises:
            StageError: There is no such stage.
        """
        key = (stage, form)
        tap = self._taps.get(key) or Tap(self._pipeline, stage, form)
        self._taps[key] = tap
        listener = tap.join()

        def leave() -> None:
            tap.leave(listener)
            if not tap.listeners and self._taps.get(key) is tap:
                del self._taps[key]
                self._lost_s += tap.lost_s
                tap.close()

        return listener, leave

    def close(self) -> None:
        """End all streams."""
        for tap in self._taps.values():
            tap.close()
        self._taps.clear()
