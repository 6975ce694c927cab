"""The terminal that rtpipe runs on, key by key."""

from __future__ import annotations

import codecs
import errno
import os
import re
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtpipe import EnvironmentProblem, Finding
from rtpipe_plugins.subscribers.key.keyboard import Stroke
from rtpipe_plugins.subscribers.key.names import name_of_character, name_of_sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

_TERMINAL = "/dev/tty"
_LOCAL = 3
"""Where the local modes stand in what `tcgetattr` returns."""
_BY_LINE = termios.ICANON | termios.ECHO
_SENT = re.compile(r"\x1b(?:\[|O)([0-9;]*[A-Za-z~])|.", re.DOTALL)
"""A key's sequence, or a character."""


class Terminal:
    """Reads single keys from the controlling terminal; it says when one goes down, not when up.

    Only the echo and the waiting for Enter are turned off: Ctrl-C goes on working.
    """

    def __init__(self) -> None:
        self.down: set[str] = set()  # it does not tell
        self._file: int | None = None
        self._before: Any = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def look(self) -> Iterator[Finding]:
        """See `Keyboard.look`."""
        try:
            os.close(_opened())
        except EnvironmentProblem as problem:
            yield Finding("missing", problem.message, "device", problem.help)

    def open(self) -> int:
        """See `Keyboard.open`."""
        file = _opened()
        try:
            self._before = termios.tcgetattr(file)
            self._file = file
            self.keep()
        except (OSError, termios.error) as error:  # it went away meanwhile
            self._file = None
            os.close(file)
            raise EnvironmentProblem(f"the terminal is gone: {error}") from None
        self._decoder.reset()
        return file

    def read(self) -> list[Stroke]:
        """See `Keyboard.read`."""
        assert self._file is not None
        _must_be_ours(self._file)
        try:
            data = os.read(self._file, 1024)
        except BlockingIOError:
            return []
        if not data:
            raise OSError(errno.EIO, "the terminal is closed")
        strokes: list[Stroke] = []
        for sent in _SENT.finditer(self._decoder.decode(data)):
            name = name_of_sequence(sent[1]) if sent[1] else name_of_character(sent[0])
            strokes += [Stroke(name, down=True)] if name is not None else []
        return strokes

    def keep(self) -> None:
        """See `Keyboard.keep`: after Ctrl-Z and `fg` the terminal has the shell's modes."""
        assert self._file is not None
        _must_be_ours(self._file)
        try:
            modes = termios.tcgetattr(self._file)
            if modes[_LOCAL] & _BY_LINE:
                modes[_LOCAL] &= ~_BY_LINE
                termios.tcsetattr(self._file, termios.TCSANOW, modes)
        except termios.error as error:
            raise OSError(*error.args) from None

    def close(self) -> None:
        """Leave the terminal as it was; what was typed and not read is forgotten."""
        if self._file is None:
            return
        with suppress(OSError, termios.error):  # it is gone
            if _in_foreground(self._file):  # else the shell has its own modes by now
                termios.tcflush(self._file, termios.TCIFLUSH)
                termios.tcsetattr(self._file, termios.TCSANOW, self._before)
        os.close(self._file)
        self._file = None


def _opened() -> int:
    """Return the controlling terminal, opened.

    Raises:
        EnvironmentProblem: There is none, or others have it.
    """
    try:
        file = os.open(_TERMINAL, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        raise EnvironmentProblem(
            "there is no terminal to read keys from",
            help="run it on one, or name an input device: `key: {device: /dev/input/event3}`",
        ) from None
    if not _in_foreground(file):
        os.close(file)
        raise EnvironmentProblem(
            "the terminal is another's: rtpipe runs in its background",
            help="run it without `&`, or bring it back with `fg`",
        )
    return file


def _must_be_ours(file: int) -> None:
    """Raise OSError where the terminal is the shell's: the kernel would stop us for touching it."""
    if not _in_foreground(file):
        raise OSError(errno.EIO, "rtpipe runs in the background")


def _in_foreground(file: int) -> bool:
    try:
        return os.tcgetpgrp(file) == os.getpgrp()
    except OSError:
        return False
