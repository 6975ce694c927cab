"""The page about the codes of diagnostics, from the pages of `rtpipe explain`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rtpipe.catalogue.explain import pages
from tools.reference.markdown import fenced, table

if TYPE_CHECKING:
    from collections.abc import Iterator


def diagnostics_page() -> Iterator[str]:
    """Yield the paragraphs about every code of a diagnostic."""
    yield "# Diagnostics"
    yield (
        "What `rtpipe validate` and `rtpipe run` may find in a file. In the terminal: "
        "`rtpipe explain E102`."
    )
    yield table(
        ("Code", ""),
        [(f"[{code}](#{code.lower()})", page.title) for code, page in pages().items()],
    )
    for code, page in pages().items():
        yield f"## {code}"
        yield f"**{page.title}.**"
        yield _with_fences(page.text)
        yield "Wrong, for example:"
        yield fenced(page.wrong(), "text")


def _with_fences(text: str) -> str:
    """Return a page of `rtpipe explain` with its indented examples between fences."""
    parts: list[str] = []
    for paragraph in text.split("\n\n"):
        indented = all(line.startswith("  ") for line in paragraph.splitlines())
        if indented and parts and parts[-1].startswith("```"):
            parts[-1] = f"{parts[-1][:-4]}\n\n{textwrap.dedent(paragraph)}\n```"
        else:
            parts.append(fenced(textwrap.dedent(paragraph), "text") if indented else paragraph)
    return "\n\n".join(parts)
