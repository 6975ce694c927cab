"""What became of each plugin: the kinds it added, or why it, or one of them, is not there."""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from pathlib import Path

from rtpipe.errors import PluginError

_FRAMEWORK = str(Path(__file__).parents[1])


@dataclass(frozen=True, slots=True)
class PluginFault:
    """Why a plugin, or a kind of it, is not there.

    Attributes:
        message: The exception as one line, `ImportError: No module named 'x'`.
        path: The plugin's own file, where the fault lies in it.
        line: The line in that file, from 1.
        trace: The whole traceback, for `--debug`.
    """

    message: str
    path: Path | None = None
    line: int | None = None
    trace: str = ""


@dataclass(slots=True)
class PluginRecord:
    """What became of one plugin.

    Attributes:
        name: The entry point, the module, or the file's stem.
        origin: Where it comes from, for a person: a distribution or a path.
        kinds: The kinds of stage it added.
        fault: Why it could not be loaded, wholly or in part.
        duplicates: Kinds it wanted to add that another plugin had.
    """

    name: str
    origin: str
    kinds: tuple[str, ...] = ()
    fault: PluginFault | None = None
    duplicates: tuple[str, ...] = ()

    @property
    def error(self) -> str | None:
        """Why it could not be loaded, in one line; None when all is well."""
        return None if self.fault is None else self.fault.message


def fault_of(error: BaseException, plugin: object = None) -> PluginFault:
    """Return what `error` says about a plugin; `plugin` is its module, if it got that far."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, PluginError):
        text = error.message
    trace = "".join(traceback.format_exception(error))
    path, line = _place(error, plugin)
    return PluginFault(" ".join(text.split()), path, line, trace)


def _place(error: BaseException, plugin: object) -> tuple[Path | None, int | None]:
    """Return the innermost line of the plugin's own that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename:
        return Path(error.filename), error.lineno
    own: tuple[Path | None, int | None] = (None, None)
    file = getattr(plugin, "__file__", None)
    for frame in traceback.extract_tb(error.__traceback__):
        foreign = frame.filename == importlib.__file__ or frame.filename.startswith(
            (_FRAMEWORK, "<frozen")
        )
        if frame.filename == file or (own == (None, None) and not foreign):
            own = (Path(frame.filename), frame.lineno)
    return own if own[0] is None or own[0].suffix == ".py" else (None, None)
