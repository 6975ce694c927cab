"""The five kinds of stage. Subclass one, name its options model, write its one method."""

from __future__ import annotations

import inspect
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, get_args, get_origin

from pydantic import ConfigDict

from rtpipe.actions import ActionSpec
from rtpipe.errors import StageError
from rtpipe.field_types import Described, Place, changed_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    from rtpipe.audio import AudioFormat, AudioFrame
    from rtpipe.bus import EventHandler
    from rtpipe.clock import Clock
    from rtpipe.events import Event
    from rtpipe.examination import Examined, Finding, Specimen, Surroundings
    from rtpipe.link import Link, QueuePolicy


class Options(Described):
    """A stage's options: unknown keys are refused, values are fixed once read.

    A docstring under an attribute describes it in `rtpipe stages KIND` and in the JSON Schema.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    main: ClassVar[str | None] = None
    """The option that a scalar fills: with `main = "gain_db"`, `- gain: 3`."""


O = TypeVar("O", bound=Options)  # noqa: E741 - the design's letter for a stage's options
Processed: TypeAlias = "AudioFrame | Iterable[AudioFrame] | None"
Tap: TypeAlias = "Callable[[str, Callable[[AudioFrame], None]], Callable[[], None]]"
Send: TypeAlias = "Callable[[AudioFrame], Awaitable[None]]"
"""How a peer gives out a frame; it waits while the queue behind it is full."""


class StageContext:
    """What a stage may ask of the pipeline it runs in.

    Attributes:
        id: The stage's id in the file.
        inputs: Ids of the stages it reads, in the order of `from:`.
        log: A logger under `rtpipe.stage.<id>`.
        clock: The pipeline's time; the only clock a stage may use.
        frame_ms: How much audio a source puts into one frame: 20 where anything in the pipeline
            has a clock or is set off by events, else 1000. A size; whether it is live, `live` says.
        live: Whether what it reads keeps coming at a pace of its own, whether it is read or not.
            A fallback may change that at any time: ask when it matters, keep no answer.
        stopping: Whether a stop was asked for: finish quickly.
        env_names: Environment variables that the files read: not for a process that it starts.
        place: What all instances that stand here share: a key for what must outlast one of them.
    """

    def __init__(
        self,
        id: str,
        clock: Clock,
        publish: Callable[[Event], None],
        subscribe: Callable[[str | Iterable[str], EventHandler], Callable[[], None]],
        inputs: tuple[str, ...] = (),
        tap: Tap | None = None,
        flush_after: Callable[[str], float] | None = None,
        published_after: Callable[[str, str], bool] | None = None,
    ) -> None:
        self.id, self.inputs = id, inputs
        self._tap, self._flush_after = tap, flush_after
        self._published_after = published_after
        self.clock = clock
        self.log = logging.getLogger(f"rtpipe.stage.{id}")
        self.frame_ms = 20
        self._taps: list[Callable[[AudioFrame], None]] | None = None
        self.live = self.stopping = False
        self.env_names: frozenset[str] = frozenset()
        self.place = Place()
        self._publish, self._subscribe = publish, subscribe
        self._subscriptions: tuple[Callable[[], None], ...] = ()

    def now(self) -> float:
        """Return the pipeline's time (s)."""
        return self.clock.now()

    def publish(self, event: Event) -> None:
        """Put a fact on the bus; never blocks. From any thread."""
        self._publish(replace(event, source=event.source or self.id, at=event.at or self.now()))

    def on(self, match: str | Iterable[str], handler: EventHandler) -> Callable[[], None]:
        """Call `handler(event)` at once for all that match until closed; returns what ends it."""
        end = self._subscribe(match, handler)
        self._subscriptions += (end,)
        return end

    def tap(self, id: str, handler: Callable[[AudioFrame], None]) -> None:
        """Call `handler(frame)` for every frame that stage `id` takes, until this one is closed.

        A sink that `tells_taps` says instead what its device plays, when it plays it.
        For what must hear a sink without an edge from it, as an echo canceller its loudspeaker:
        such an edge would be a loop. The frame is shared: the handler must not write into it.

        Raises:
            StageError: There is no such stage, or it has no inlet.
        """
        if self._tap is None:
            raise StageError(f"there is no stage `{id}` to listen to")
        self._subscriptions += (self._tap(id, handler),)

    @property
    def taps(self) -> list[Callable[[AudioFrame], None]]:
        """Handlers of those who listen to what it plays; see `tap` and `tell_taps`."""
        if self._taps is None:  # few are ever listened to
            self._taps = []
        return self._taps

    def listened_as(self, before: StageContext) -> None:
        """Let those who listen to another stage listen to this one; the runtime's business."""
        self._taps = before._taps = before.taps

    def tell_taps(self, frame: AudioFrame) -> None:
        """Hand `frame` to those who `tap` this stage; only from the event loop's thread."""
        for tap in self._taps or ():
            tap(frame)

    def flush_after(self) -> float:
        """Drop what this stage has given out and nobody has played; returns the ms dropped."""
        return 0.0 if self._flush_after is None else self._flush_after(self.id)

    def published_after(self, type: str) -> bool:
        """Return whether a stage that its audio reaches says that it may publish such an event.

        So it is known whether anybody will tell what became of the audio (`playback.started`). A
        fallback may change that at any time: ask when it matters, keep no answer.
        """
        return self._published_after is not None and self._published_after(self.id, type)

    def close(self) -> None:
        """End the subscriptions and taps; the runtime's business."""
        subscriptions, self._subscriptions = self._subscriptions, ()
        for end in reversed(subscriptions):
            end()


class Stage(Generic[O]):
    """What all five kinds share. Subclass one of the five, not this.

    Attributes:
        options: Its options, as the file has them.
        ctx: What it may ask of its pipeline.
    """

    kind: ClassVar[str]
    """The name in the file."""
    accepts: ClassVar[AudioFormat | None] = None
    """What its input must look like; the runtime converts. None: anything."""
    exact_ms: ClassVar[float | None] = None
    """Give it frames of exactly this length. None: any length."""
    publishes: ClassVar[tuple[type[Event] | str, ...]] = ()
    """Event classes, or names and globs, that it may publish."""
    many_inlets: ClassVar[bool] = False
    """Whether `from:` may name several stages."""
    inlet_policy: ClassVar[QueuePolicy | None] = None
    """The default `queue:` of its inlet. None: by what feeds it."""
    tells_taps: ClassVar[bool] = False
    """Whether it calls `ctx.tell_taps` itself. False: every frame that it takes is told."""
    live: ClassVar[frozenset[str]] = frozenset()
    """Options that may change while it runs, by `change`."""
    external: ClassVar[bool] = False
    """Whether it needs a device, a server or a program: what the file's tests do without."""
    options_type: ClassVar[type[Options]] = Options
    """The model of its options: what stands in the brackets, `Sink[MeterOptions]`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            arguments = get_args(base)
            if get_origin(base) is not None and arguments and isinstance(arguments[0], type):
                cls.options_type = arguments[0]

    def __init__(self, options: O, ctx: StageContext) -> None:
        self.options = options
        self.ctx = ctx

    @classmethod
    def accepts_for(cls, options: O) -> AudioFormat | None:  # noqa: ARG003 - for overriding
        """Return what a stage with these options accepts."""
        return cls.accepts

    @classmethod
    def has_clock(cls, options: O) -> bool:  # noqa: ARG003 - for overriding
        """Return whether a stage with these options moves at real-time speed by itself."""
        return False

    @classmethod
    def claims(cls, options: O) -> str | tuple[str, ...] | None:  # noqa: ARG003 - for overriding
        """Return what no other stage may hold or read at once (`device:USB`, `file:/x.wav`)."""
        return None

    @classmethod
    def examine(cls, options: O) -> Iterable[Examined]:  # noqa: ARG003 - for overriding
        """Return what is wrong or missing as far as `stat`, `which` and `find_spec` show it.

        For `rtpipe validate`, and for `run` before it opens. Devices are for a `MachineLook`.
        """
        return ()

    @classmethod
    def examine_surroundings(cls, options: O, around: Surroundings) -> Iterable[Finding]:  # noqa: ARG003
        """Return what keeps it from its work where it stands: what is before it, who calls it."""
        return ()

    @classmethod
    async def probe(cls, options: O) -> AsyncIterator[Finding]:  # noqa: ARG003 - for overriding
        """Yield what shows only by trying: devices, keys, servers. For `rtpipe doctor FILE`.

        What `examine` returns is told, too, unless it was said here.
        """
        return
        yield

    @classmethod
    def specimens(cls, folder: Path) -> Iterable[Specimen]:  # noqa: ARG003 - for overriding
        """Yield what it is tested with, each as a `Specimen`; `folder` is for files it needs."""
        return ()

    @classmethod
    def actions(cls) -> dict[str, ActionSpec]:
        """Return the stage's actions by name."""
        found: dict[str, ActionSpec] = {}
        for method, member in inspect.getmembers(cls, inspect.isfunction):
            marked = getattr(member, "__rtpipe_action__", None)
            if marked is not None:
                name, outcome = marked
                parameters = [*inspect.signature(member).parameters.values()][1:]
                signature = inspect.Signature(parameters)
                found[name] = ActionSpec(name, summary(member), signature, method, outcome)
        return found

    @classmethod
    def change_heard(cls, options: O, to: O) -> str | None:
        """Return what is heard of `change(to)`, in a few words; None: that cannot be done."""
        return "nothing" if changed_fields(options, to) <= cls.live else None

    def change(self, options: O) -> None:
        """Go by other options from the next frame on; only those in `live` differ.

        Called between two frames, on the event loop: be quick. Where it raises, nothing is changed.
        """
        self.options = options

    async def open(self) -> None:
        """Acquire what the stage needs.

        Raises:
            EnvironmentProblem: The surroundings lack something; a `fallback:` may take over.
        """

    async def close(self) -> None:
        """Let go of everything; called once `open` was called, even when it failed."""

    def reset(self) -> None:
        """Forget what is held: the stream jumps (a flush, a restart of what feeds it)."""

    def why_not(self, action: str) -> str:  # noqa: ARG002 - for overriding
        """Return why `action` cannot be done now, in a few words; "": it can.

        For pages and command lines, which ask often: answer at once. What is done all the same is
        the action's own to refuse.
        """
        return ""

    def gauge(self) -> str:
        """Return in a few words how the stage is doing now: `rtt 3 ms, lost 0.0 %`. "": nothing.

        For the status line of `rtpipe run`, which asks ten times a second: answer at once.
        """
        return ""


class Source(Stage[O]):
    """Makes frames; `frames()` yields them until the stream ends."""

    def frames(self) -> AsyncIterator[AudioFrame]:
        """Return the stream; usually written as an async generator, `async def` with `yield`."""
        raise NotImplementedError


class Transform(Stage[O]):
    """Changes frames by `process(frame)`, called inline by whoever feeds it."""

    mutates: ClassVar[bool] = False
    """Whether it writes into the frames it is given; then each is its own."""
    blocking: ClassVar[bool] = False
    """Whether `process` may take long; then it runs in a thread behind an inlet of its own."""

    def process(self, frame: AudioFrame) -> Processed:
        """Return the frame that comes out, several of them, or None."""
        raise NotImplementedError

    def process_at(self, frame: AudioFrame, inlet: int) -> Processed:  # noqa: ARG002 - for overriding
        """Return what comes out for a frame of the `inlet`-th stage named in `from:`.

        For transforms with `many_inlets`, which always have a task of their own.
        """
        return self.process(frame)

    def ended_at(self, inlet: int) -> Processed:  # noqa: ARG002 - for overriding
        """Return what the end of the `inlet`-th of many completes; `finish` follows the last."""
        return None

    def finish(self) -> Processed:
        """Return the last frames: the stream has ended."""
        return None


class Sink(Stage[O]):
    """Takes frames, one at a time, by `consume(frame)`."""

    flushable: ClassVar[bool] = True
    """Whether a flush of a stage before it reaches it; not for what keeps audio (recorder)."""

    async def consume(self, frame: AudioFrame) -> None:
        """Take a frame. Awaiting is how a sink with a clock paces its pipeline."""
        raise NotImplementedError

    async def consume_at(self, frame: AudioFrame, inlet: int) -> None:  # noqa: ARG002 - for overriding
        """Take a frame of the `inlet`-th stage named in `from:`; for sinks with `many_inlets`."""
        await self.consume(frame)

    async def drain(self) -> None:
        """Return when what was consumed has really left: the stream has ended."""


class Peer(Stage[O]):
    """Takes audio in and gives other audio out, at its own pace: a call."""

    async def converse(self, inlet: Link, send: Send) -> None:
        """Read `inlet` until it ends, `await send(frame)` what comes back, return at the end."""
        raise NotImplementedError


class Subscriber(Stage[O]):
    """Hears events: `on_event(event)`, in its own task behind its own bounded queue.

    Or it only brings events into the pipeline (a button, a program), and hears none.
    """

    hears: ClassVar[bool] = True
    """Whether it is handed events. False: it publishes alone, and needs no `on_event`."""

    async def on_event(self, event: Event) -> None:
        """Take an event. Slowness here delays nobody else."""
        raise NotImplementedError


FAMILIES: dict[str, type[Stage[Any]]] = {
    "source": Source,
    "transform": Transform,
    "peer": Peer,
    "sink": Sink,
    "subscriber": Subscriber,
}

FLUSH = ActionSpec(
    "flush", "Drop what is buffered in the stage and after it.", inspect.Signature(), "flush"
)
"""The action that the runtime gives to every stage that carries audio."""


def offered_actions(stage_type: type[Stage[Any]]) -> dict[str, ActionSpec]:
    """Return what a route may do with a stage: its own actions, and `flush`."""
    own = stage_type.actions()
    return own if issubclass(stage_type, Subscriber) else {FLUSH.name: FLUSH, **own}


def family(stage_type: type[Stage[Any]]) -> str:
    """Return which of the five kinds `stage_type` is."""
    for name, base in FAMILIES.items():
        if issubclass(stage_type, base):
            return name
    raise TypeError(f"{stage_type.__name__} is none of {', '.join(FAMILIES)}")


def shape(stage_type: type[Stage[Any]]) -> str:
    """Return the family, a peer counting as a transform: audio in, audio out."""
    return family(stage_type).replace("peer", "transform")


def summary(documented: object) -> str:
    """Return the first paragraph of a docstring on one line; "" where there is none."""
    first = (inspect.getdoc(documented) or "").split("\n\n", 1)[0]
    return " ".join(first.split())
