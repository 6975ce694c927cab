"""Fault isolation: what a plugin's code may raise or return, and where it stands in its file."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from rtpipe.audio import AudioFrame, check_frame
from rtpipe.errors import FormatError, RtpipeError, StageError
from rtpipe.fiber import fibers_coroutine

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtpipe.language.spec import StageSpec
    from rtpipe.stage import Stage

MOST_AT_ONCE = 10_000
"""Frames that one call may give out: an endless generator must not hold the loop."""


class MisuseError(StageError):
    """What a method of a stage gave out is not what such a method gives out.

    Args:
        method: The method's name.
        what: What it gave.
        help: What to do about it.
    """

    def __init__(self, method: str, what: str, *, help: str | None = None) -> None:
        super().__init__(f"`{method}` gave {what}", help=help)
        self.method = method


def contained(error: BaseException) -> Exception:
    """Return what a stage raised as an error that its policy deals with.

    SystemExit, KeyboardInterrupt, GeneratorExit and a CancelledError that nobody asked for would
    end the task, or the loop, of whoever called it.
    """
    if isinstance(error, Exception):
        return error
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    found = StageError(f"raised {text}")
    found.__cause__ = error
    return found


def asked_to_end(error: BaseException) -> bool:
    """Return whether `error` is how the present task is cancelled or closed from outside."""
    if isinstance(error, GeneratorExit):
        return True
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def frames_of(made: object, method: str, given: AudioFrame | None, rate: int) -> list[AudioFrame]:
    """Return the frames that a call gave out.

    Args:
        made: What it returned, where that is not the frame it was given.
        method: What was called.
        given: The frame it was called with, if it was.
        rate: The sample rate (Hz) of what it gave out before; 0 where it has not.

    Raises:
        MisuseError: It is no frame and no finite series of frames, or one of them breaks the rules
            of `rtpipe.audio.check_frame`.
        Exception: A generator raised.
    """
    if made is None:
        return []
    if inspect.iscoroutine(made):
        made.close()
        raise MisuseError(method, "a coroutine", help="write it as `def`, not `async def`")
    if isinstance(made, (str, bytes)) or not isinstance(made, (AudioFrame, Iterable)):
        raise MisuseError(method, f"{_short(made)}, which is no frame")
    frames = [made] if isinstance(made, AudioFrame) else list(islice(made, MOST_AT_ONCE + 1))
    if len(frames) > MOST_AT_ONCE:
        raise MisuseError(method, f"more than {MOST_AT_ONCE} frames at once")
    for frame in frames:
        check_made(frame, method)
        try:
            check_frame(frame)
        except FormatError as error:
            raise MisuseError(method, f"a frame that cannot be used: {error}") from None
        if rate and frame.sample_rate != rate and given and frame.sample_rate != given.sample_rate:
            raise MisuseError(method, f"a frame of {frame.sample_rate} Hz after {rate} Hz")
    return frames


def check_made(frame: object, method: str) -> None:
    """Check that `frame`, which a source or a peer gave out and is not dated yet, is audio.

    Raises:
        MisuseError: It is not.
    """
    if not isinstance(frame, AudioFrame):
        raise MisuseError(method, f"{_short(frame)}, which is no frame")
    if frame.samples <= 0 or frame.sample_rate <= 0:
        raise MisuseError(method, f"a frame without samples or rate: {frame!r}")


def place_of(error: BaseException, stage_type: type[Stage[Any]]) -> str:
    """Return the line of `stage_type`'s file where `error` came from, or the innermost one.

    "" for what rtpipe and its stages raise on purpose: that says enough.
    """
    if isinstance(error, MisuseError):
        code = inspect.unwrap(getattr(stage_type, error.method)).__code__
        return f"{code.co_filename}:{code.co_firstlineno} in {code.co_name}"
    if isinstance(error, RtpipeError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, RtpipeError):
        return ""
    file = getattr(sys.modules.get(stage_type.__module__), "__file__", None)
    place, trace = "", error.__traceback__
    found_own = False
    while trace is not None:
        code = trace.tb_frame.f_code
        own = code.co_filename == file
        if own or not found_own:
            place, found_own = f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}", own
        trace = trace.tb_next
    return place


def stage_error(
    id: str, used: StageSpec, error: Exception, mask: Callable[[str], str]
) -> StageError:
    """Return `error` with the stage's name in front of it and no secret in it.

    Args:
        id: The stage's.
        used: What stands there.
        error: What it raised.
        mask: Takes known secrets out of a text.
    """
    where = id if id == used.kind else f"{id} ({used.kind})"
    if not isinstance(error, RtpipeError):
        place = place_of(error, used.stage_type)
        message = f"{where}: {type(error).__name__}: {error}"
        return StageError(mask(message), help=place and f"it was raised at {place}")
    said = error.message.removeprefix(f"{where}: ")
    return StageError(mask(f"{where}: {said}"), help=error.help, exit_code=error.exit_code)


def place_of_task(task: asyncio.Task[object]) -> str:
    """Return the line at which a task waits, in the outermost function that is not rtpipe's own."""
    waiting: object = task.get_coro()
    place = ""
    while inspect.iscoroutine(waiting) or inspect.isasyncgen(waiting):
        frame = waiting.cr_frame if inspect.iscoroutine(waiting) else waiting.ag_frame
        if frame is not None:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
            if not f"{frame.f_globals.get('__name__')}".startswith("rtpipe."):
                break
        waiting = waiting.cr_await if inspect.iscoroutine(waiting) else waiting.ag_await
        if type(waiting).__name__ == "async_generator_asend":  # a step of an `async for`
            waiting = next(filter(inspect.isasyncgen, gc.get_referents(waiting)), None)
        elif inspect.isgenerator(waiting):
            waiting = fibers_coroutine(waiting)
    return place


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else f'{text[:39]}…'}"
