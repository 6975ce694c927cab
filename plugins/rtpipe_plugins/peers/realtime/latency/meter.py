"""The latency meter: it hears what happens, and publishes what each turn took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe_plugins.peers.realtime.latency.turns import TURN_EVENTS, Latency, TurnMeasured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rtpipe import AudioFrame, Event, StageContext
    from rtpipe_plugins.peers.realtime.transports.transport import Inlet


class LatencyMeter:
    """Measures the turns of a stage.

    Args:
        ctx: The stage's.
    """

    def __init__(self, ctx: StageContext) -> None:
        self._ctx = ctx
        self._latency = Latency(lambda: ctx.published_after("playback.started"))
        self._hangover_s: Callable[[], float | None] = lambda: None

    def begin(self, hangover_s: Callable[[], float | None]) -> None:
        """Listen to the bus.

        Args:
            hangover_s: Returns the silence (s) after which the server takes a turn for finished;
                None while there is no call.
        """
        self._hangover_s = hangover_s
        self._ctx.on(TURN_EVENTS, self._take)
        self._ctx.on("playback.started", lambda event: self._tell(self._latency.played(event)))

    def metered(self, inlet: Inlet) -> Inlet:
        """Return `inlet`, metered: it tells what is taken from it, and when."""
        return _MeteredInlet(inlet, lambda frame: self._latency.sent(frame, self._ctx.now()))

    def arrived(self, frame: AudioFrame, kept_s: float) -> None:
        """Take a frame of the model's that is sent on; see `Latency.arrived`."""
        self._tell(self._latency.arrived(frame, kept_s))

    def answer_begins(self, response_id: str) -> None:
        """The server says that it begins to send the sound of an answer."""
        self._tell(self._latency.answer_begins(response_id, self._ctx.now()))

    def end(self) -> None:
        """Account for the last turn."""
        self._tell(self._latency.finish())

    def _take(self, event: Event) -> None:
        hangover_s = self._hangover_s()
        if event.source == self._ctx.id and hangover_s is not None:
            self._tell(self._latency.take(event, hangover_s))

    def _tell(self, measured: Iterable[TurnMeasured]) -> None:
        for turn in measured:
            self._ctx.publish(turn)


class _MeteredInlet:
    """An inlet that tells what is taken from it."""

    def __init__(self, inlet: Inlet, on_taken: Callable[[AudioFrame], None]) -> None:
        self._inlet = inlet
        self._on_taken = on_taken

    def get_nowait(self) -> AudioFrame | None:
        """See `Inlet.get_nowait`."""
        frame = self._inlet.get_nowait()
        if frame is not None:
            self._on_taken(frame)
        return frame
