"""What stands under `tests:`: one model for each part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from rtpipe import EventGlob, InputPath, Options
from rtpipe.documents import read_call
from rtpipe_test.moments import When

if TYPE_CHECKING:
    from rtpipe.documents import Section

_MOST_CASES = 500
_LONGEST_S = 3600.0
Range = tuple[float, float]
"""Least and most."""
Seconds = Annotated[float, Field(ge=0, le=_LONGEST_S)]


def _called(text: str) -> str:
    read_call(text)
    return text


def _ordered(between: tuple[When, When]) -> tuple[When, When]:
    first, last = between
    if isinstance(first, (int, float)) and isinstance(last, (int, float)) and first > last:
        raise ValueError(f"ends before it begins: [{first:g}, {last:g}]")
    return between


def _least_first(given: Range) -> Range:
    if given[0] > given[1]:
        raise ValueError(f"the least comes first: [{given[1]:g}, {given[0]:g}]")
    return given


Between = Annotated[tuple[When, When], AfterValidator(_ordered)]
LeastAndMost = Annotated[Range, AfterValidator(_least_first)]


class Step(Options):
    """Something that is done while the pipeline runs: one of `action`, `publish` and `fail`."""

    at: When
    """Seconds after the start, `EVENT`, `EVENT#2` for the second one, or `EVENT + seconds`."""
    action: Annotated[str, AfterValidator(_called)] | None = None
    """An action as `do:` has it: `mute_gate.close`, `realtime.say("Hello")`."""
    publish: dict[str, Any] | None = None
    """An event to publish: its `type`, and its fields."""
    fail: str | None = None
    """The id of a stage that fails at its next frame, once."""

    @model_validator(mode="after")
    def _one(self) -> Step:
        if sum(each is not None for each in (self.action, self.publish, self.fail)) != 1:
            raise ValueError("does one thing: `action`, `publish` or `fail`")
        if self.publish is not None and not isinstance(self.publish.get("type"), str):
            raise ValueError("`publish` needs the event's `type`: `{type: button.pressed}`")
        return self


class Words(Options):
    """What was said, transcript by transcript; a side that is left out is not looked at."""

    visitor: tuple[str, ...] | None = None
    """The visitor's, as the server understood them."""
    desk: tuple[str, ...] | None = None
    """The model's."""


SUBJECTS = {
    "event": frozenset({"where", "source", "times", "between"}),
    "order": frozenset[str](),
    "words": frozenset[str](),
    "sound": frozenset({"between", "level_dbfs", "lasts_s", "tone_hz"}),
    "silence": frozenset({"between"}),
    "golden": frozenset({"of", "tolerance_db"}),
    "drops_ms": frozenset[str](),
    "latency_ms": frozenset[str](),
    "file": frozenset({"lasts_s", "level_dbfs", "holds"}),
    "fails": frozenset[str](),
}
"""What an expectation may be about, and what may stand beside it."""


class Expectation(Options):
    """One thing that must be so: what it is about, and what is expected of that."""

    event: EventGlob | None = None
    """An event that happened, by name or glob."""
    where: dict[str, Any] = Field(default_factory=dict)
    """Fields that the event has; a text with `*` is a glob."""
    source: str | None = None
    """Id of the stage that published it."""
    times: Annotated[int, Field(ge=0)] | None = None
    """How often it happened; left out: at least once."""
    order: tuple[EventGlob, ...] | None = None
    """Events that happened one after another, whatever lay between them."""
    words: Words | None = None
    """What was said, on both sides."""
    sound: str | None = None
    """The id of a stage whose output (a sink's input) is heard; louder than -60 dBFS."""
    silence: str | None = None
    """The id of a stage from which nothing is heard."""
    between: Between | None = None
    """From when to when; moments as in `at`. Left out: the whole run."""
    level_dbfs: LeastAndMost | None = None
    """Least and most level (RMS, dBFS) of what sounds."""
    lasts_s: LeastAndMost | None = None
    """Least and most seconds that sound, or of a file's length."""
    tone_hz: Annotated[float, Field(gt=0, le=24_000)] | None = None
    """The loudest frequency of what sounds, within 2 %."""
    golden: InputPath | None = None
    """A sound file that the output equals; `rtpipe test --update` writes it."""
    of: str | None = None
    """The id of the stage that `golden` is compared with."""
    tolerance_db: Annotated[float, Field(ge=-120, le=0)] = -60.0
    """How far the difference stays below the file's level (dB)."""
    drops_ms: Annotated[float, Field(ge=0)] | None = None
    """The most audio that full queues dropped (ms); what is trimmed to stay on time is none."""
    latency_ms: Annotated[float, Field(ge=0)] | None = None
    """The longest that anybody waited for an answer (ms); somebody must have."""
    file: str | None = None
    """A file that the pipeline wrote, as its stage names it; fields of a date as `*`."""
    holds: str | None = None
    """A text that stands in the file."""
    fails: str | None = None
    """A part of what is said when the pipeline fails; without this it must not."""

    @model_validator(mode="after")
    def _one_subject(self) -> Expectation:
        given = self.model_fields_set
        subjects = [name for name in SUBJECTS if name in given]
        if len(subjects) != 1:
            names = ", ".join(SUBJECTS)
            raise ValueError(f"is about one thing of {names}")
        beside = sorted(given - {subjects[0]} - SUBJECTS[subjects[0]])
        if beside:
            raise ValueError(f"`{beside[0]}` says nothing about `{subjects[0]}`")
        if self.golden is not None and self.of is None:
            raise ValueError("`golden` needs `of`: the id of the stage that it is compared with")
        return self

    @property
    def subject(self) -> str:
        """What it is about."""
        return next(name for name in SUBJECTS if name in self.model_fields_set)


class Case(Options):
    """One test: what is put in the place of what, what is done, what must come of it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What the test shows, in a sentence."""
    play: dict[str, tuple[Seconds | InputPath, ...]] = Field(default_factory=dict)
    """By a source's id what it gives instead, at the pace of speech: seconds of silence, files."""
    answers: InputPath | tuple[dict[str, Any], ...] | None = None
    """The turns of a scripted server in this process, in the place of every `realtime`; or a file
    of them. As `rtpipe serve-realtime --script` takes them."""
    faults: dict[str, Any] = Field(default_factory=dict)
    """What goes wrong at that server: `{hang_up_s: 3}`."""
    profile: str | None = None
    """A profile of the file to put on first."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Variables of the file to set."""
    stages: dict[str, Any] = Field(default_factory=dict)
    """Stages to change by their ids, as in a profile."""
    events: list[Any] | None = None
    """Routes in the place of the file's."""
    for_s: Annotated[float, Field(gt=0, le=_LONGEST_S)] = 600.0
    """When the pipeline is stopped, if it has not ended by itself (s)."""
    do: tuple[Step, ...] = ()
    """What happens while it runs."""
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1)]
    """What must come of it."""


def _distinct(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    names = [case.name for case in cases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two tests are called {twice!r}")
    return cases


Cases = Annotated[tuple[Case, ...], Field(max_length=_MOST_CASES), AfterValidator(_distinct)]


class Tests(Options):
    """Tests of this pipeline; `rtpipe test` runs them, on a clock of their own."""

    __test__ = False  # for pytest: this is none of its own

    main: ClassVar[str | None] = "cases"
    cases: Annotated[
        tuple[Case, ...], Field(max_length=_MOST_CASES), AfterValidator(_distinct)
    ] = ()
    """The tests; `tests:` takes the list itself."""


def cases_of(section: Section) -> tuple[Case, ...]:
    """Return the tests of a file's section."""
    assert isinstance(section.said, Tests)
    return section.said.cases
