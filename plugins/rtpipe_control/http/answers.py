"""Answers in words: what is refused, and why."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """What is asked for cannot be.

    Args:
        status: The HTTP status.
        error: Why, in a sentence.
        help: What to do instead; "" where nothing is known.
    """

    def __init__(self, status: int, error: str, help: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.help = help
