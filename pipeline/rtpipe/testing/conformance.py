"""The conformance kit: does a stage keep the promises that every pipeline relies on?"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import re
import statistics
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe import audio
from rtpipe.audio import ANY, AudioFormat, AudioFrame, check_frame
from rtpipe.bus import Pattern
from rtpipe.convert import Converter
from rtpipe.errors import EnvironmentProblem, RtpipeError
from rtpipe.events import Event, event_type
from rtpipe.stage import FAMILIES, Options, Peer, Sink, Source, Stage, Subscriber, Transform
from rtpipe.testing.signals import cut, joined, noise, speech_like
from rtpipe.testing.single_stage import Bench, Step
from rtpipe.testing.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESERVED = frozenset(
    "id from queue enabled on_error fallback label match where do".split()  # noqa: SIM905 - words
)
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_START_S = 10  # no stream of the kit begins at 0: a stage must not count for itself
_END_S = 60.0
_SIZES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("20 ms", (960,)),
    ("200 ms", (9600,)),
    ("one sample", (1,)),
    ("odd numbers of samples", (1, 7, 441, 959, 961, 1023, 4801)),
)
_FORMATS = (
    AudioFormat(48_000, "stereo", "s16"),
    AudioFormat(44_100, "mono", "s16"),
    AudioFormat(8_000, "mono", "s16"),
    AudioFormat(48_000, "stereo", "fltp"),
)


class _Broken(Exception):  # noqa: N818 - a finding on its way up
    """A promise that was not kept."""


def check_stage(
    stage_type: type[Stage[Any]],
    options: Mapping[str, Any] | Options = {},  # noqa: B006 - never written to
    *,
    frames: Sequence[AudioFrame] | None = None,
    tolerance: float | None = 2 / 32768,
    real_time: bool = False,
) -> None:
    """Check a stage against the contract of its kind; for plugin authors' tests.

    Opens the stage many times, so what it opens must bear that (a file sink: `overwrite: true`).
    Call it from a plain test function: it runs event loops of its own.

    Args:
        stage_type: A stage of any of the five kinds.
        options: As in the file, or the options model itself.
        frames: s16 mono 48 kHz frames to use instead of a second of a voice and a pause.
        tolerance: The largest difference of a sample (full scale 1.0) that the length of the
            frames may make to what a transform gives out; None where it may change anything.
        real_time: Run on asyncio's own loop: for a device, a server, a subprocess.

    Raises:
        AssertionError: Promises are broken; the message lists all that were found.
        EnvironmentProblem: The stage cannot be opened here.
    """
    trial = _Trial(stage_type, options, frames, tolerance, real_time)
    trial.check("its declaration", trial.declaration)
    if not trial.findings:
        for label, scenario in trial.scenarios():
            trial.check(label, scenario)
    if trial.findings:
        findings = "".join(f"\n  - {finding}" for finding in trial.findings)
        raise AssertionError(f"{stage_type.__name__} breaks the contract:{findings}")


@dataclass
class _Trial:
    stage_type: type[Stage[Any]]
    options: Mapping[str, Any] | Options
    frames: Sequence[AudioFrame] | None
    tolerance: float | None
    real_time: bool
    findings: list[str] = field(default_factory=list)
