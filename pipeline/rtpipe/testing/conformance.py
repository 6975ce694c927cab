"""The conformance kit: does a stage keep the promises that every pipeline relies on?"""

from __future__ import annotations

import asyncio
import threading
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np

from rtpipe.errors import EnvironmentProblem
from rtpipe.examination import Specimen
from rtpipe.stage import Options, Stage
from rtpipe.testing.declaration import declaration_findings
from rtpipe.testing.examining import examination_findings
from rtpipe.testing.promises import Broken
from rtpipe.testing.scenarios import Subject, scenarios
from rtpipe.testing.signals import joined, noise, speech_like
from rtpipe.testing.specimen import specimens_of
from rtpipe.testing.virtual_time import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from rtpipe.audio import AudioFrame

_END_S = 60.0
_THREAD_END_S = 2.0


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
    if not found and options is not None:
        _check(stage_type, given, found)
    elif not found:
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
    for label, scenario in scenarios(Subject(stage_type, options, voice, specimen.tolerance)):
        for finding in _findings(scenario, real_time=specimen.real_time):
            found.setdefault(finding, []).append(f"{of}{label}")


def _voice() -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.concatenate([joined(speech_like(seconds=0.7)), joined(noise(seconds=0.7))])


def _findings(scenario: Callable[[], Coroutine[Any, Any, None]], *, real_time: bool) -> list[str]:
    found: list[str] = []
    threads = set(threading.enumerate())
    with asyncio.Runner(loop_factory=None if real_time else VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(
            lambda _, context: found.append(f"in the background: {_background(context)}")
        )
        runner.run(_watched(scenario, found))
    for thread in set(threading.enumerate()) - threads:
        thread.join(_THREAD_END_S)
        if thread.is_alive():
            found.append(f"the thread {thread.name!r} still runs after close()")
    return found


async def _watched(scenario: Callable[[], Coroutine[Any, Any, None]], found: list[str]) -> None:
    limit = asyncio.timeout(_END_S)
    try:
        async with limit:
            await scenario()
    except EnvironmentProblem:
        raise
    except Broken as broken:
        found.append(str(broken))
    except Exception as error:  # noqa: BLE001 - whatever a stage raises here is a finding
        if limit.expired():
            found.append(f"it did not come to an end within {_END_S:.0f} s")
        else:
            found.append(_raised(error))
    for _ in range(3):
        await asyncio.sleep(0)  # what was cancelled may end
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        found.append(f"the task {_name(task)} still runs after close()")
        task.cancel()


def _raised(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    file = place.filename.rsplit("/", 1)[-1]
    return f"it raised {type(error).__name__}: {error} ({file}:{place.lineno} in {place.name})"


def _background(context: Mapping[str, Any]) -> str:
    error = context.get("exception")
    return _raised(error) if error is not None else str(context.get("message"))


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
