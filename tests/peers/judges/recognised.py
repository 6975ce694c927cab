"""Whether what was heard is what was said: judged by the recogniser, which may mishear a word."""

from __future__ import annotations

from collections import Counter

_ENOUGH = 0.75


def plain(text: str) -> list[str]:
    """Return the words of a text as `helpers.listening.words` spells them."""
    lower = text.lower().replace("é", "e")
    return "".join(c if c.isalnum() else " " for c in lower).split()


def assert_heard(heard: list[str], *texts: str) -> None:
    """Fail unless the recogniser found most words of the texts, each as often as it was said."""
    said = Counter(word for text in texts for word in plain(text))
    found = sum((said & Counter(heard)).values())
    assert found >= _ENOUGH * said.total(), f"{' '.join(heard)!r} is not {' '.join(texts)!r}"
