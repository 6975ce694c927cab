"""The page for people who write plugins: the hooks, and the names to import."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from rtpipe import hookspecs
from rtpipe.running.runtime import Pipeline
from tools.reference.markdown import fenced, table

if TYPE_CHECKING:
    from collections.abc import Iterator


def hooks_page() -> Iterator[str]:
    """Yield the paragraphs about the hooks, and the names a plugin may import."""
    yield "# For plugins"
    yield (
        "A plugin is a module with `@hookimpl` functions. It is found through the entry-point "
        "group `rtpipe`, in a folder `plugins/` beside the pipeline file, through `plugins:` in "
        "that file, or with `--plugins-dir`; commands that only look need the folder to be "
        "[trusted](../how-to/trust.md). [Write a stage](../how-to/write-a-stage.md) goes through "
        "it step by step."
    )
    yield "## Hooks"
    yield inspect.getdoc(hookspecs) or ""
    for name, hook in inspect.getmembers(hookspecs, inspect.isfunction):
        if name.startswith("rtpipe_"):
            yield f"### {name}"
            signature = str(inspect.signature(hook)).replace("'", "")
            yield fenced(f"{name}{signature}", "text")
            yield inspect.getdoc(hook) or ""
    yield "## `Pipeline`"
    yield (
        "What `rtpipe_running` is given, to be used from the event loop's thread. "
        "[Extend a running pipeline](../how-to/extend-a-running-pipeline.md) shows a whole plugin."
    )
    yield table(("Name", ""), list(_offered()))
    yield "## Names"
    yield (
        "Every name that a plugin may import, with what it promises and how stable it is, is in "
        "[the reference](api.md)."
    )


def _offered() -> Iterator[tuple[str, str]]:
    """Yield what a pipeline offers: its attributes, as its docstring says them, and its methods."""
    told = (inspect.getdoc(Pipeline) or "").partition("Attributes:\n")[2]
    for name, about in re.findall(r"^    (\w+): ((?:.|\n {8})*)", told, re.MULTILINE):
        yield f"`{name}`", " ".join(about.split())
    for name, method in inspect.getmembers(Pipeline, inspect.isfunction):
        if not name.startswith("_"):
            signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(method)))
            signature = re.sub(r"\(self(, )?", "(", signature)
            told = re.split(r"\n\n(?:Returns|Raises):", inspect.getdoc(method) or "")[0]
            yield f"`{name}{signature}`", " ".join(told.split())
