"""The pages of `rtpipe explain`: one for each code a diagnostic may have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from rtpipe.diagnostics import Findings
from rtpipe.language.nodes import plain
from rtpipe.language.reader import read_text


@dataclass(frozen=True, slots=True)
class Page:
    """What a code means, and what to do about it."""

    title: str
    text: str


@cache
def pages() -> dict[str, Page]:
    """Return every page by its code, in order."""
    name = "explain.yaml"
    text = resources.files("rtpipe").joinpath(name).read_text("utf-8")
    root = read_text(text, Path(name), Findings())
    assert root is not None
    return {
        code: Page(page["title"], page["text"].strip())
        for code, page in sorted(plain(root).items())
    }
