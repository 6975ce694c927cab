"""What a stage raised, or where it hangs, in a sentence that names the mistake and its remedy."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from rtpipe.errors import FormatError, RtpipeError
from rtpipe.running.faults import MisuseError

if TYPE_CHECKING:
    from rtpipe.stage import Stage

_METHODS = (
    "open",
    "close",
    "frames",
    "process",
    "process_at",
    "finish",
    "consume",
    "consume_at",
    "drain",
    "converse",
    "on_event",
    "reset",
    "gauge",
    "why_not",
)
_WHEN_IT_RAISES = {
    "close": "close() is called even when open() failed half-way, and may be called twice: "
    "let go of what there is",
    "finish": "finish() is called even when no frame came",
    "reset": "reset() may come at any time, and twice",
    "on_event": "events of any type may come: look at `event.type` before its fields",
    "drain": "drain() is called even when no frame came",
    "gauge": "gauge() is asked at any time, even before the first frame",
    "why_not": "why_not() is asked at any time, even before the first frame",
}
_WHEN_IT_HANGS = {
    "open": "open() must return once the stage is ready: what goes on belongs into a task",
    "close": "close() must end what it waits for: cancel it first",
    "frames": "let CancelledError and GeneratorExit pass, and wait for nothing afterwards",
    "consume": "consume() must return when the frame was taken",
    "consume_at": "consume_at() must return when the frame was taken",
    "drain": "drain() must return when what was consumed has left; the stream has ended",
    "converse": "converse() must return when its inlet has ended: `async for frame in inlet` does",
    "on_event": "on_event() must return when the event was taken",
}
_NOT_HERE = (
    "where the surroundings lack something, open() raises EnvironmentProblem, so that a "
    "`fallback:` can take over"
)
_MAKES_FRAMES = "`audio.like`, `audio.from_pcm` and `audio.from_bytes` make one"
_KEEPS_RULES = "pts counts samples; `audio.like` and `audio.from_pcm` keep the rules"
_ANY_LENGTH = "a frame may have any length: `frame.samples` tells it"
_IN_A_STREAM = {
    "frames of odd lengths": _ANY_LENGTH,
    "frames of a second": _ANY_LENGTH,
    "frames of one sample": _ANY_LENGTH,
    "frames of another length": _ANY_LENGTH,
    "an empty stream": "a stream may end before its first frame",
    "a hole in the stream": "time may jump: `frame.pts` tells where a frame lies",
}


def raised(error: BaseException, stage_type: type[Stage[Any]], label: str = "") -> str:
    """Return what to say of an exception that came out of a stage in the scenario `label`."""
    method = _method(error, stage_type)
    text = " ".join(str(error).split())
    if isinstance(error, MisuseError):
        return f"{text}: {_MAKES_FRAMES}"
    if isinstance(error, FormatError) and not method:
        return f"a frame that it gives out breaks the rules of links: {text}; {_KEEPS_RULES}"
    said = f"it raised {type(error).__name__}: {text}".rstrip(": ")
    if (stack := traceback.extract_tb(error.__traceback__)) and method:
        file = stack[-1].filename.rsplit("/", 1)[-1]
        said += f" ({file}:{stack[-1].lineno} in {stack[-1].name})"
    remedy = _remedy(error, method, stage_type, label)
    return f"{said}: {remedy}" if remedy else said


def _remedy(error: BaseException, method: str, stage_type: type[Stage[Any]], label: str) -> str:
    if method == "open" and isinstance(error, (OSError, ImportError)):
        return _NOT_HERE
    if isinstance(error, RtpipeError):
        return error.help or ""
    if "ignored GeneratorExit" in str(error):
        return "let GeneratorExit pass, for frames() is closed by it"
    if getattr(stage_type, "blocking", False) and "event loop" in str(error):
        return "a blocking process() runs in a thread: of the context, call only `ctx.publish`"
    if method in _WHEN_IT_RAISES:
        return _WHEN_IT_RAISES[method]
    if any(spec.method == method for spec in stage_type.actions().values()):
        return "an action that cannot be carried out now raises StageError, with why"
    if label.startswith("input of ") and stage_type.accepts is None:
        return "say in `accepts` what it takes, and the runtime converts"
    return _IN_A_STREAM.get(label, _ANY_LENGTH if label.startswith("input of ") else "")


def hangs(cancelled: BaseException | None, stage_type: type[Stage[Any]], limit_s: float) -> str:
    """Return what to say of a stage that had not ended after `limit_s` (s) and was cancelled."""
    method = "" if cancelled is None else _method(cancelled, stage_type)
    said = f"it did not come to an end within {limit_s:.0f} s"
    return f"{said}: {_WHEN_IT_HANGS[method]}" if method in _WHEN_IT_HANGS else said


def _method(error: BaseException, stage_type: type[Stage[Any]]) -> str:
    """Return the innermost method of the stage's own that `error` came through; "" for none."""
    own = {
        code: name
        for name in (*_METHODS, *(spec.method for spec in stage_type.actions().values()))
        if (code := getattr(getattr(stage_type, name, None), "__code__", None)) is not None
    }
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        found = own.get(frame.f_code, found)
    return found
