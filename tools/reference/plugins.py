"""The page for people who write plugins: the hooks, and the names to import."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import rtpipe
import rtpipe.testing
from rtpipe import hookspecs
from rtpipe.running.runtime import Pipeline
from rtpipe.stage import summary
from tools.reference.markdown import fenced, table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


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
    for module in (rtpipe, rtpipe.testing):
        yield f"## `{module.__name__}`"
        yield table(
            ("Name", ""), [(f"`{name}`", _said_of(module, name)) for name in module.__all__]
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


def _said_of(module: ModuleType, name: str) -> str:
    """Return what a public name is: its docstring, or the one below its assignment."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        return summary(value)
    return _attribute_docs().get(name, "")


def _attribute_docs() -> dict[str, str]:
    """Return the docstrings below the assignments in the framework's modules."""
    found: dict[str, str] = {}
    for path in sorted(Path(rtpipe.__file__).parent.glob("*.py")):
        body = ast.parse(path.read_text("utf-8")).body
        for node, below in itertools.pairwise(body):
            target = (
                node.targets[0]
                if isinstance(node, ast.Assign)
                else node.target
                if isinstance(node, ast.AnnAssign)
                else None
            )
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
                found[target.id] = " ".join(str(text.value).split())
    return found
