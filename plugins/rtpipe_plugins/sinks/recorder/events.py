"""What a recorder says on the bus."""

from __future__ import annotations

from dataclasses import dataclass

from rtpipe import Event, Importance


@dataclass(frozen=True, kw_only=True)
class RecorderStarted(Event):
    """The first audio is being written; the recording's time 0 is pipeline second `zero_s`."""

    importance = Importance.INFO
    type: str = "recorder.started"
    path: str
    tracks: tuple[str, ...]
    zero_s: float
    started_at: str


@dataclass(frozen=True, kw_only=True)
class RecorderStartedByAction(RecorderStarted):
    """The same, where an action started it."""

    importance = Importance.NOTICE

    def line(self) -> str:
        """See `Event.line`."""
        return f"records to {self.path}"


@dataclass(frozen=True, kw_only=True)
class RecorderPaused(Event):
    """From now on nothing is written, neither audio nor events; the file's time stands still."""

    importance = Importance.NOTICE
    type: str = "recorder.paused"
    path: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"paused: nothing goes into {self.path}"


@dataclass(frozen=True, kw_only=True)
class RecorderResumed(Event):
    """It records again, in the same file, after `paused_s` of which nothing is in it."""

    importance = Importance.NOTICE
    type: str = "recorder.resumed"
    path: str
    paused_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"goes on in {self.path} after a pause of {self.paused_s:.0f} s"


@dataclass(frozen=True, kw_only=True)
class RecorderSplit(Event):
    """A file is complete because `split` was asked for; the next begins with the next sample."""

    importance = Importance.NOTICE
    type: str = "recorder.split"
    path: str
    duration_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"wrote {self.path} ({self.duration_s:.0f} s) and goes on in another file"


@dataclass(frozen=True, kw_only=True)
class RecorderSegmentStarted(Event):
    """The recording goes on in another file, whose time 0 is second `start_s` of the recording."""

    type: str = "recorder.segment_started"
    path: str
    start_s: float


@dataclass(frozen=True, kw_only=True)
class RecorderFailed(Event):
    """A file cannot be written (a full disk); the recorder tries again until it can."""

    importance = Importance.ERROR
    type: str = "recorder.failed"
    path: str
    error: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"cannot write {self.path}: {self.error}"


@dataclass(frozen=True, kw_only=True)
class RecorderRecovered(Event):
    """It can write again, in a new file; `lost_s` of audio went into none since it failed."""

    importance = Importance.WARNING
    type: str = "recorder.recovered"
    path: str
    lost_s: float

    def line(self) -> str:
        """See `Event.line`."""
        return f"goes on in {self.path}, {self.lost_s} s lost"


@dataclass(frozen=True, kw_only=True)
class RecorderLeftoverKept(Event):
    """A `NAME.part.EXT` that a killed run had left was renamed, to write another."""

    importance = Importance.WARNING
    type: str = "recorder.leftover_kept"
    path: str
    kept: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"what a killed run wrote to {self.path} is kept in {self.kept}"


@dataclass(frozen=True, kw_only=True)
class RecorderTurnRecorded(Event):
    """What somebody said in one turn is in a file of its own; `start_s` in the recording."""

    type: str = "recorder.turn_recorded"
    path: str
    role: str
    start_s: float
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class RecorderStopped(Event):
    """The recording is complete: its files are closed; `duration_s` includes what was lost."""

    importance = Importance.NOTICE
    type: str = "recorder.stopped"
    path: str
    duration_s: float
    segments: int
    lost_s: float

    def line(self) -> str:
        """See `Event.line`."""
        if not self.duration_s:
            return "stopped before anything was recorded"
        lost = f", {self.lost_s} s lost" if self.lost_s else ""
        return f"wrote {self.path} ({self.duration_s:.0f} s){lost}"
