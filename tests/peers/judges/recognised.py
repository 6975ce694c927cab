"""Whether what was heard is what was said: judged by a recogniser, which may mishear a word."""

from __future__ import annotations

from collections import Counter

ENOUGH = 0.75
_NUMBERS = {"ten": "10", "six": "6", "three": "3"}  # as the recogniser writes them, or does not


def plain(text: str) -> list[str]:
    """Return the words of a text as `helpers.listening.words` spells them."""
    lower = text.lower().replace("é", "e")
    return "".join(c if c.isalnum() else " " for c in lower).split()


def share_heard(heard: list[str], *texts: str) -> float:
    """Return the share of the words of the texts that was heard, each as often as it was said."""
    said = _counted([word for text in texts for word in plain(text)])
    return sum((said & _counted(heard)).values()) / said.total()


def assert_heard(heard: list[str], *texts: str, enough: float = ENOUGH) -> None:
    """Fail unless most of the words of the texts were heard."""
    share = share_heard(heard, *texts)
    assert share >= enough, f"{share:.0%} of {' '.join(texts)!r} in {' '.join(heard)!r}"


def _counted(words: list[str]) -> Counter[str]:
    return Counter(_NUMBERS.get(word, word) for word in words)
