"""The oracle: what must hold of a pipeline that has ended, whatever was wrong with it.

Pure: it judges an `Account`, which is made by `play` and can be made up by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rtpipe import ExitCode
from rtpipe.link import LinkStatistics

_REFRAMED_MS = 150.0
"""A converter may hold so much back, or fill up to a whole frame."""
_UNTOLD_MS = 1100.0
"""What a damaged file lacks beyond this is told: the length that a file declares may be rounded."""
_CODES = {int(code) for code in ExitCode} - {int(ExitCode.USAGE)}


@dataclass
class Passed:
    """What was seen to pass at a stage: given out, or taken by a sink.

    Attributes:
        frames: How many.
        ms: Their audio.
        rates: Their sample rates.
    """

    frames: int = 0
    ms: float = 0.0
    rates: set[int] = field(default_factory=set)


@dataclass
class LinkAccount:
    """One edge that ends in a queue.

    Attributes:
        name: `feeder -> reader`.
        given: What the feeder gave out.
        statistics: What the link counted.
        reframes: Whether a converter on the edge may change the number of frames.
    """

    name: str
    given: Passed
    statistics: LinkStatistics
    reframes: bool = False


@dataclass
class StageAccount:
    """One stage.

    Attributes:
        name: Its id.
        family: Its kind of kind.
        passed: What passed at it.
        lost: Frames that it counts as lost by itself.
        came: Frames that were handed to it by who feeds it or from its queue; None: not known.
        one_to_one: Whether a frame comes out for each that goes in.
        swallowed: Frames that it kept on purpose.
        added: Frames that it made on purpose.
        due_ms: Audio that was given to it, less what its links lost; None: not known.
        consumed: Frames that a counting sink has taken; None: it does not count.
    """

    name: str
    family: str
    passed: Passed
    lost: int = 0
    came: int | None = None
    one_to_one: bool = False
    swallowed: int = 0
    added: int = 0
    due_ms: float | None = None
    consumed: int | None = None


@dataclass
class FileAccount:
    """What one sink has written.

    Attributes:
        name: The stage.
        samples: In its files, all together.
        taken: Samples that it took.
        fills: Samples of silence by the holes in their time stamps.
        lost: Samples that it said to have lost.
        uncertain: How many of the fills and of the silent samples may be missing.
        slack: By how many samples its format may be off.
        failed: Whether it, or the disk, failed: then there may be less.
        unreadable: What is wrong with a file.
        zeros: Silent samples in its files; None: its format does not keep samples as they are.
        zeros_taken: Silent samples among those that it took.
        wave: Samples as `wave` counts them; None: no WAV.
    """

    name: str
    samples: int = 0
    taken: int = 0
    fills: int = 0
    lost: int = 0
    uncertain: int = 0
    slack: int = 0
    failed: bool = False
    unreadable: str = ""
    zeros: int | None = None
    zeros_taken: int = 0
    wave: int | None = None


@dataclass
class Account:
    """All that is known of a pipeline that has ended.

    Attributes:
        code: What the command would end with.
        error: In words, where it is not 0.
        stray: An exception that is none of rtpipe's.
        failed: Stages that failed for good.
        wronged: Stages that raised, or gave what they must not give.
        named: Stages that events have named as failing.
        ended: How often `pipeline.ended` was told.
        told_dropped_ms: What events told of the links' losses.
        expected_ms: What the source should have given; None: not known.
        missing_ms: What a damaged file lacks of what it says to hold; None: not known.
        damage_told: Whether it was told that the file is damaged.
        left: Tasks that were left running, in words.
        noise: What the event loop logged as an error.
        leaky: Whether a fault leaves tasks.
    """

    code: int = 0
    error: str = ""
    stray: str = ""
    failed: list[str] = field(default_factory=list)
    wronged: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    ended: int = 1
    told_dropped_ms: float | None = None
    expected_ms: float | None = None
    missing_ms: float | None = None
    damage_told: bool = False
    links: list[LinkAccount] = field(default_factory=list)
    stages: list[StageAccount] = field(default_factory=list)
    files: list[FileAccount] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    leaky: bool = False


def complaints(account: Account) -> list[str]:
    """Return what does not hold, in words; nothing if all is well."""
    found = [*_outcome(account), *_told(account)]
    for link in account.links:
        found += _link(link)
    for stage in account.stages:
        found += _stage(stage, account)
    for file in account.files:
        found += _file(file)
    return found


def _outcome(account: Account) -> Iterator[str]:
    if account.stray:
        yield f"stray exception: {account.stray}"
        return
    if account.code not in _CODES:
        yield f"exit code {account.code} is not documented"
    if account.code == 0 and account.failed:
        yield f"exit code 0, but {', '.join(account.failed)} failed"
    if account.code != 0 and not account.failed:
        yield f"exit code {account.code}, but no stage failed: {account.error}"
    if account.code != 0 and not account.error:
        yield f"exit code {account.code} without a word"
    if account.ended != 1:
        yield f"`pipeline.ended` came {account.ended} times"
    if not account.leaky:
        yield from (f"the event loop complains: {text}" for text in account.noise)
    if account.left and not account.leaky:
        yield f"tasks were left: {'; '.join(account.left)}"


def _told(account: Account) -> Iterator[str]:
    if nameless := sorted(account.wronged - account.named):
        yield f"{', '.join(nameless)} went wrong, and no event says so"
    if not account.failed and (account.missing_ms or 0.0) > _UNTOLD_MS and not account.damage_told:
        yield f"{account.missing_ms:.0f} ms of a damaged file are missing, and nothing tells of it"
    dropped_ms = sum(link.statistics.dropped_ms for link in account.links)
    told_ms = account.told_dropped_ms
    if told_ms is not None and abs(told_ms - dropped_ms) > 1e-3:
        yield f"events told of {told_ms:.1f} ms dropped, the links of {dropped_ms:.1f}"


def _link(link: LinkAccount) -> Iterator[str]:
    seen = link.statistics
    gone = seen.frames_dropped + seen.frames_trimmed + seen.frames_flushed
    if seen.frames_in != seen.frames_out + gone + seen.frames_waiting:
        yield (
            f"{link.name}: {seen.frames_in} frames in, {seen.frames_out} out, {gone} dropped, "
            f"{seen.frames_waiting} left"
        )
    offered = seen.frames_in + seen.frames_refused
    if not link.reframes and offered != link.given.frames:
        yield f"{link.name}: {link.given.frames} frames were given, {offered} were offered"


def _stage(stage: StageAccount, account: Account) -> Iterator[str]:
    expected_ms = account.expected_ms if stage.family == "source" else None
    if expected_ms is not None and not account.failed and abs(stage.passed.ms - expected_ms) > 0.1:
        yield f"{stage.name} gave {stage.passed.ms:.1f} ms of {expected_ms:.1f} ms"
    if stage.one_to_one and stage.came is not None:
        went = stage.passed.frames + stage.lost + stage.swallowed - stage.added
        if went != stage.came:
            yield (
                f"{stage.name}: {stage.came} frames came, {stage.passed.frames} went, {stage.lost} "
                f"lost, {stage.swallowed} swallowed, {stage.added} added"
            )
    if stage.family == "sink" and stage.came is not None and stage.passed.frames != stage.came:
        yield f"{stage.name}: {stage.came} frames left its links, {stage.passed.frames} were taken"
    if stage.due_ms is not None and abs(stage.passed.ms - stage.due_ms) > _REFRAMED_MS:
        yield f"{stage.name}: {stage.due_ms:.0f} ms were due, {stage.passed.ms:.0f} ms passed"
    if stage.consumed is not None and stage.passed.frames != stage.consumed + stage.lost:
        yield (
            f"{stage.name}: {stage.passed.frames} frames taken, {stage.consumed} consumed, "
            f"{stage.lost} lost"
        )


def _file(file: FileAccount) -> Iterator[str]:
    if file.unreadable and not file.taken:
        return  # nothing came: some containers without audio are no files for FFmpeg
    if file.unreadable:
        yield f"{file.name}: {file.unreadable}"
        return
    due = file.taken + file.fills - file.lost
    short = due - file.samples > file.slack + file.uncertain
    long = file.samples - due > file.slack
    if long or (short and not file.failed):
        yield (
            f"{file.name}: {file.samples} samples in the file; {file.taken} taken, {file.fills} "
            f"filled in, {file.lost} lost make {due}"
        )
    extra = 0 if file.zeros is None else file.zeros - file.zeros_taken - file.fills
    if extra > file.slack or (-extra > file.slack + file.uncertain and not file.failed):
        what = "silent" if extra > 0 else "heard"
        yield f"{file.name}: {abs(extra)} samples are {what} by mistake"
    if file.wave is not None and file.wave != file.samples:
        yield f"{file.name}: `wave` reads {file.wave} samples, FFmpeg {file.samples}"
