"""The pages of `rtpipe explain`: one for each code a diagnostic may have."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping

_VALIDATE = "rtpipe validate pipeline.yaml"


@dataclass(frozen=True, slots=True)
class Page:
    """What a code means, and what to do about it.

    Attributes:
        title: In a few words.
        text: In some sentences; what is indented is an example of how it is right.
        files: An example of how it is wrong: files of one folder by their names.
        command: How that is found there.
    """

    title: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    command: str = _VALIDATE

    def wrong(self) -> str:
        """Return the example of how it is wrong, as it may be shown."""
        parts = [self.command.strip()] if self.command != _VALIDATE else []
        for name, text in self.files.items():
            title = f"# {name}\n" if len(self.files) > 1 or parts else ""
            parts.append(f"{title}{text.rstrip()}")
        return "\n\n".join(parts)


@cache
def pages() -> dict[str, Page]:
    """Return every page by its code, in order."""
    text = resources.files("rtpipe.catalogue").joinpath("explain.yaml").read_text("utf-8")
    return {
        code: Page(**{**page, "text": page["text"].strip()})
        for code, page in sorted(YAML(typ="safe", pure=True).load(text).items())
    }
