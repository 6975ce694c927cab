"""The mute gate: closed it lets zero samples through, never nothing.

A Realtime server's own voice detection must hear the pause; without frames it hears no end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from rtpipe import (
    AudioFormat,
    Event,
    EventGlob,
    Finding,
    Ineffective,
    Options,
    Peer,
    Transform,
    action,
    audio,
)
from rtpipe_plugins.transforms.mute_gate.modes import Echo, GateMode, Talk, VoiceMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from rtpipe import AudioFrame, StageContext, Surroundings

Milliseconds: TypeAlias = Annotated[float, Field(ge=0, le=60_000)]


class MuteGateOptions(Options):
    """Let audio through, or silence of the same length."""

    main: ClassVar[str | None] = "mode"

    mode: Literal["open", "closed", "half_duplex", "push_to_talk", "vad"] = "open"
    """What opens it. open, closed: only actions and events. half_duplex: open while nobody else
    speaks (the Realtime peer, a speaker), so the model does not hear itself. push_to_talk: open
    from `talk` to `release`. vad: open while a `vad` before it hears speech."""
    tail_ms: Milliseconds = 400.0
    """half_duplex: how much longer it stays closed, for the echo of the room (ms)."""
    preroll_ms: Milliseconds = 300.0
    """vad: how much audio from before the detection is let through, so that no first syllable is
    lost (ms). Everything leaves the gate that much later; no sample's time changes."""
    ramp_ms: Milliseconds = 5.0
    """How long the gate takes to open or close, so that it makes no click (ms)."""
    open_on: EventGlob | tuple[EventGlob, ...] = ()
    """Events (names or globs) that do what the action `open` does."""
    close_on: EventGlob | tuple[EventGlob, ...] = ()
    """Events (names or globs) that do what the action `close` does."""


@dataclass(frozen=True, kw_only=True)
class GateOpened(Event):
    """Audio passes, from this media time on."""

    type: str = "mute_gate.opened"
    at_ms: int


@dataclass(frozen=True, kw_only=True)
class GateClosed(Event):
    """Silence passes, from this media time on."""

    type: str = "mute_gate.closed"
    at_ms: int


class MuteGate(Transform[MuteGateOptions]):
    """Gives out as many samples as it is given, at the same times: as they are, or zeros.

    The mode decides when it is open. `close` shuts it whatever the mode says, and `open` ends
    that. Where the stream begins it publishes how it stands; then every change.

    - mute_gate: {mode: half_duplex, tail_ms: 400}
    """

    kind = "mute_gate"
    accepts = AudioFormat(format="s16")
    mutates = True
    publishes = (GateOpened, GateClosed)
    live = frozenset({"mode", "tail_ms", "preroll_ms", "ramp_ms", "open_on", "close_on"})

    @classmethod
    def examine(cls, options: MuteGateOptions) -> Iterator[Ineffective]:
        """Look for what the mode does not use."""
        for option, mode in (("tail_ms", "half_duplex"), ("preroll_ms", "vad")):
            if options.mode != mode:
                message = f"`{option}` is for mode {mode}, and the mode is {options.mode}"
                yield Ineffective(option, message, ("mode",), f"say `mode: {mode}`")

    def __init__(self, options: MuteGateOptions, ctx: StageContext) -> None:
        super().__init__(options, ctx)
        self._switch = options.mode != "closed"
        self._talk = Talk()
        self._echo = Echo()
        self._voice = VoiceMode()
        self._mode: GateMode = self._talk
        self._is_open: bool | None = None
        self._fade = _Fade()
        self._held: deque[AudioFrame] = deque()
        self._listening: list[Callable[[], None]] = []
        self._set()

    @classmethod
    def examine_surroundings(
        cls, options: MuteGateOptions, around: Surroundings
    ) -> Iterator[Finding]:
        """Return what its mode lacks before it, and that nothing opens it."""
        kinds = [kind for kinds in around.before.values() for kind in kinds]
        strangers = any(not kind.__module__.startswith("rtpipe_") for kind in kinds)
        if options.mode == "vad" and not strangers and all(kind.kind != "vad" for kind in kinds):
            message, help = "mode vad: no `vad` before it says what is speech", "put one before it"
            yield Finding("wrong", message, "mode", help, above="vad")
        for id, calls in around.before.items():
            if options.mode == "half_duplex" and any(issubclass(call, Peer) for call in calls):
                message = f"behind `{id}` it would silence the answers while they are spoken"
                help = f"put it above `{id}`, where the visitor's voice passes"
                yield Finding("wrong", message, "mode", help)
        yield from cls._never_open(options, around)

    @staticmethod
    def _never_open(options: MuteGateOptions, around: Surroundings) -> Iterator[Finding]:
        opened = bool(options.open_on) or bool(around.called & {"open", "toggle"})
        if options.mode == "push_to_talk" and "talk" not in around.called:
            yield Finding(
                "odd", "nothing in this file opens it", "mode", "a route does: `do: mute_gate.talk`"
            )
        elif not opened and options.mode == "closed":
            help = "name the event that does (`open_on:`), or let a route `do: mute_gate.open`"
            yield Finding("odd", "nothing in this file opens it", "mode", help)
        elif not opened and (options.close_on or "close" in around.called):
            option = "close_on" if options.close_on else ""
            help = "name the event that does (`open_on:`), or let a route `do: mute_gate.open`"
            yield Finding("odd", "nothing in this file opens it again", option, help)

    async def open(self) -> None:
        """Listen to what opens and closes it."""
        self.ctx.on(Echo.LISTENS_TO, self._echo.hear)  # whatever the mode: it may change
        self._listen()

    def change(self, options: MuteGateOptions) -> None:
        """Go by another mode or other times from the next frame on.

        Out of mode vad, what is held goes out with the next frame. A mode that is another one
        decides again, whatever `close` has said before.
        """
        before, self.options = self.options, options
        if options.mode != before.mode:
            self._switch = options.mode != "closed"
            self._voice.reset()
        self._set()
        self._listen()

    def _set(self) -> None:
        options = self.options
        self._talk.always = options.mode != "push_to_talk"
        self._echo.tail_ms = options.tail_ms
        self._voice.preroll_ms = options.preroll_ms
        self._fade.take(options.ramp_ms)
        modes: dict[str, GateMode] = {"half_duplex": self._echo, "vad": self._voice}
        self._mode = modes.get(options.mode, self._talk)

    def _listen(self) -> None:
        for end in self._listening:
            end()
        self._listening = []
        if self.options.open_on:
            self._listening.append(self.ctx.on(self.options.open_on, lambda _: self.open_gate()))
        if self.options.close_on:
            self._listening.append(self.ctx.on(self.options.close_on, lambda _: self.close_gate()))

    @action(name="open")
    def open_gate(self) -> None:
        """Let the mode decide again; in mode closed: open."""
        self._switch = True

    @action(name="close")
    def close_gate(self) -> None:
        """Close, whatever the mode says."""
        self._switch = False

    @action
    def toggle(self) -> None:
        """Close what `open` opened, open what `close` closed."""
        self._switch = not self._switch

    @action
    def talk(self) -> None:
        """Open, in mode push_to_talk: the button is pressed."""
        self._talk.talking = True

    @action
    def release(self) -> None:
        """Close, in mode push_to_talk: the button is let go."""
        self._talk.talking = False

    def why_not(self, action: str) -> str:
        """See `Stage.why_not`."""
        if action == "open" and self._switch:
            named = self.options.mode in {"open", "closed"}
            return "it is open" if named else f"mode {self.options.mode} decides already"
        if action == "close" and not self._switch:
            return "it is closed already"
        if action in {"talk", "release"}:
            if self.options.mode != "push_to_talk":
                return "it is not in mode push_to_talk"
            if self._talk.talking is (action == "talk"):
                return "the button is pressed" if self._talk.talking else "no button is pressed"
        return ""

    def reset(self) -> None:
        """Forget the audio that is held and the voice that was heard; the switch stays."""
        self._held.clear()
        self._voice.reset()

    def process(self, frame: AudioFrame) -> AudioFrame | list[AudioFrame]:
        """Return the frame, or in mode vad those of the frames before that are due."""
        if self._mode is not self._voice:
            return [*self.finish(), self._gated(frame)] if self._held else self._gated(frame)
        self._voice.hear(frame)
        self._held.append(frame)
        decided = (frame.pts or 0) + frame.samples - self._voice.preroll(frame.sample_rate)
        due: list[AudioFrame] = []
        while self._held and (self._held[0].pts or 0) + self._held[0].samples <= decided:
            due.append(self._gated(self._held.popleft()))
        return due

    def finish(self) -> list[AudioFrame]:
        """Return what is held: no sample is lost to the preroll."""
        due = [self._gated(frame) for frame in self._held]
        self._held.clear()
        return due

    def _gated(self, frame: AudioFrame) -> AudioFrame:
        offset, rate = 0, frame.sample_rate
        for count, wanted in self._mode.pieces(frame.pts or 0, frame.samples, rate):
            is_open = wanted and self._switch
            if is_open is not self._is_open:
                at_ms = ((frame.pts or 0) + offset) * 1000 / rate
                self._turn(rate, at_ms, is_open=is_open)
            if not (is_open and self._fade.is_open):
                self._fade.apply(audio.pcm(frame)[offset : offset + count], is_open=is_open)
            offset += count
        return frame

    def _turn(self, sample_rate: int, at_ms: float, *, is_open: bool) -> None:
        if self._is_open is None:
            self._fade.start(sample_rate, is_open=is_open)
        self._is_open = is_open
        self.ctx.publish((GateOpened if is_open else GateClosed)(at_ms=round(at_ms)))


class _Fade:
    """Goes between silence and sound in a straight line, the same however the stream is cut."""

    def __init__(self) -> None:
        self.is_open = False
        self._ramp_ms = 0.0
        self._rate = 0
        self._level = 0
        self._full = 1

    def start(self, sample_rate: int, *, is_open: bool) -> None:
        """Begin open or closed."""
        self.is_open = is_open
        self._rate = sample_rate
        self._full = max(1, round(self._ramp_ms * sample_rate / 1000))
        self._level = self._full if is_open else 0

    def take(self, ramp_ms: float) -> None:
        """Take so long from now on (ms), also for the rest of a way that has begun."""
        self._ramp_ms = ramp_ms
        full = max(1, round(ramp_ms * self._rate / 1000))
        self._level, self._full = round(self._level * full / self._full), full

    def apply(self, samples: NDArray[np.int16], *, is_open: bool) -> None:
        """Fade `samples`, shape (samples, channels), in place."""
        import numpy as np

        target, step = (self._full, 1) if is_open else (0, -1)
        count = min(len(samples), abs(target - self._level))
        if count:
            way = (self._level + step * np.arange(1, count + 1)) / self._full
            faded = samples[:count] * way.astype(np.float32).reshape(-1, 1)
            samples[:count] = np.rint(faded)
            self._level += step * count
        if not is_open:
            samples[count:] = 0
        self.is_open = self._level == self._full
