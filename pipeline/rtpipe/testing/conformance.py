"""The conformance kit: does a stage keep the promises that every pipeline relies on?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe.examination import Specimen
from rtpipe.stage import Options, Stage
from rtpipe.testing.declaration import declaration_findings
from rtpipe.testing.examining import examination_findings
from rtpipe.testing.leftovers import shared_state
from rtpipe.testing.reading import heavy_imports, unread_options
from rtpipe.testing.scenarios import LONG, Subject, scenarios
from rtpipe.testing.signals import joined, noise, speech_like
from rtpipe.testing.specimen import specimens_of
from rtpipe.testing.trial import findings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtpipe.audio import AudioFrame


def check_stage(
    stage_type: type[Stage[Any]],
    options: Mapping[str, Any] | Options | None = None,
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
        options: As in the file, or the options model itself. None: each of its `specimens`, which
            say the rest, too; its defaults where it has none.
        frames: s16 mono 48 kHz frames to use instead of a voice and a pause, 1.4 s together.
        tolerance: The largest difference of a sample (full scale 1.0) that the length of the
            frames may make to what a transform gives out; None where it may change anything.
        real_time: Run on asyncio's own loop: for a device, a server, a subprocess.

    Raises:
        AssertionError: Promises are broken; the message lists all that were found.
        EnvironmentProblem: The stage cannot be opened here.
        pydantic.ValidationError: The options are wrong.
    """
    found: dict[str, list[str]] = {
        each: ["declaration"] for each in declaration_findings(stage_type)
    }
    given = Specimen(options or {}, frames, tolerance, real_time)
    declared = not found
    found |= {each: ["declaration"] for each in heavy_imports(stage_type)}
    if declared and options is not None:
        _check(stage_type, given, found)
    elif declared:
        with specimens_of(stage_type, given) as specimens:
            for specimen in specimens:
                _check(stage_type, specimen, found)
    if found:
        lines = [f"\n  - {finding}  [{'; '.join(at)}]" for finding, at in found.items()]
        raise AssertionError(f"{stage_type.__name__} breaks the contract:{''.join(lines)}")


def _check(stage_type: type[Stage[Any]], specimen: Specimen, found: dict[str, list[str]]) -> None:
    """Add what is wrong with a stage, and where that was seen."""
    options = specimen.options
    if not isinstance(options, Options):
        options = stage_type.options_type.model_validate(dict(options))
    of = f"{specimen.label}: " if specimen.label else ""
    for finding in examination_findings(stage_type, options):
        found.setdefault(finding, []).append(f"{of}examination")
    voice = joined(specimen.frames) if specimen.frames is not None else _voice()
    subject = Subject(stage_type, options, voice, specimen.tolerance)
    shared = shared_state(stage_type)
    told = len(found)
    waits = specimen.real_time and stage_type.has_clock(options)
    for label, scenario in scenarios(subject):
        if label == LONG and (waits or len(found) > told):
            continue
        for finding in findings_of(stage_type, label, scenario, real_time=specimen.real_time):
            # What any frame brings about is no matter of lengths or formats: without that hint.
            known = next((each for each in found if finding.startswith(f"{each}: ")), finding)
            found.setdefault(known, []).append(f"{of}{label}")
    if len(found) == told:  # else it may not have come that far
        for finding in unread_options(stage_type, subject.read):
            found.setdefault(finding, []).append(f"{of}options")
    for name, was in shared_state(stage_type).items():
        if was != shared.get(name):
            said = f"all its instances share `{name}`, since it belongs to the class"
            found.setdefault(f"{said}: make it in __init__() or open()", []).append(f"{of}class")


def _voice() -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.concatenate([joined(speech_like(seconds=0.7)), joined(noise(seconds=0.7))])
