"""What speech-to-speech asks of NLTK: where sentences end. The real one downloads its rules."""

from __future__ import annotations

import re
from types import SimpleNamespace

data = SimpleNamespace(find=lambda _: True)


def sent_tokenize(text: str, language: str = "english") -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+", text) if sentence]
