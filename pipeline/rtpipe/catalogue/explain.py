"""The pages of `rtpipe explain`: one for each code a diagnostic may have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from ruamel.yaml import YAML


@dataclass(frozen=True, slots=True)
class Page:
    """What a code means, and what to do about it."""

    title: str
    text: str


@cache
def pages() -> dict[str, Page]:
    """Return every page by its code, in order."""
    text = resources.files("rtpipe.catalogue").joinpath("explain.yaml").read_text("utf-8")
    return {
        code: Page(page["title"], page["text"].strip())
        for code, page in sorted(YAML(typ="safe", pure=True).load(text).items())
    }
