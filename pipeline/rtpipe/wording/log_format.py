"""How what is said stands on stderr: as text, with the journal's priorities, or as JSON lines."""

from __future__ import annotations

import enum
import json
import logging
import os
import sys
from datetime import UTC, datetime

import click

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (25, 5), (logging.INFO, 6))
"""Levels of Python's logging, the highest first, and syslog's priorities."""
_NAMES = {3: "error", 4: "warning", 5: "notice", 6: "info", 7: "debug"}


class LogFormat(enum.Enum):
    """How a line is dressed."""

    TEXT = "text"
    JOURNAL = "journal"
    """Text, and each line begins with its priority, `<3>`: see sd-daemon(3)."""
    JSON = "json"
    """An object a line: `time`, `level`, `stage`, `event`, `message`."""

    @classmethod
    def of_stderr(cls) -> LogFormat:
        """Return how to write text to stderr: it may be the journal's."""
        try:
            status = os.fstat(sys.stderr.fileno())
        except (AttributeError, OSError, ValueError):
            return cls.TEXT
        ours = f"{status.st_dev}:{status.st_ino}"
        return cls.JOURNAL if os.environ.get("JOURNAL_STREAM") == ours else cls.TEXT

    def dressed(
        self, text: str, level: int, *, message: str | None = None, stage: str = "", event: str = ""
    ) -> str:
        """Return `text` as it is to be written, the line feed at its end included.

        Args:
            text: What a person reads, with colours.
            level: Of Python's logging; 25 is a notice.
            message: What JSON says in its place; None: the text without its colours.
            stage: Who says it; "" for nobody in particular.
            event: The type of the event that it tells of.
        """
        if self is LogFormat.TEXT:
            return f"{text}\n"
        priority = next((number for least, number in _PRIORITIES if level >= least), 7)
        if self is LogFormat.JOURNAL:
            lines = click.unstyle(text).splitlines() or [""]
            return "".join(f"<{priority}>{line}\n" for line in lines)
        said = {
            "time": datetime.now(UTC).astimezone().isoformat(timespec="milliseconds"),
            "level": _NAMES[priority],
            "stage": stage,
            "event": event,
            "message": click.unstyle(text).strip() if message is None else message,
        }
        return f"{json.dumps(said, ensure_ascii=False)}\n"
