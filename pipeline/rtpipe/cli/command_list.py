"""The list of commands in `rtpipe --help`, by what somebody wants; what `rtpipe` alone says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

GROUPS = {
    "Pipelines": "new run test validate print graph batch replay",
    "What there is": "stages events plugins devices explain",
    "What runs": "ps top ctl events tap reload",
    "This machine": "doctor service trust forget serve-realtime",
    "Editors and shells": "schema lsp completion",
}
"""The commands that are known here, in order; `events` has two uses."""
OTHERS = "Commands of other plugins"
_TO_TRY = (
    ("new", "rtpipe new kiosk desk", "a kiosk that talks: here, offline, at once"),
    ("doctor", "rtpipe doctor", "what this machine has: sound, key, network"),
    ("stages", "rtpipe stages", "what can stand in a pipeline"),
    ("events", "rtpipe events", "what can happen in one"),
    ("run", "rtpipe run -x 'tone duration_s=2 ! speaker'", "a sound"),
)
_MOST_TO_TRY = 3


def grouped(
    own: Iterable[tuple[str, str]], added: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the sections of the list, each with its commands and what they do.

    Args:
        own: The names of our own commands, each with its summary.
        added: Those of plugins, which may have the name of one of ours.
    """
    ours, theirs = dict(own), dict(added)
    for title, names in GROUPS.items():
        rows = []
        for name in names.split():
            if name in ours:
                rows.append((name, ours.pop(name)))
            elif name in theirs:
                rows.append((name, theirs.pop(name)))
        if rows:
            yield title, rows
    rest = [*ours.items(), *sorted(theirs.items())]
    if rest:
        yield OTHERS, rest


def greeting(known: Container[str]) -> str:
    """Return what `rtpipe` alone says: three things to try, and where more is told.

    Args:
        known: The names of all commands.
    """
    tried = [(typed, does) for name, typed, does in _TO_TRY if name in known][:_MOST_TO_TRY]
    width = max(len(typed) for typed, _ in tried)
    lines = [f"  {typed:{width}}  {does}" for typed, does in tried]
    return "\n".join(
        [
            "A YAML file becomes a live audio pipeline. Three things to try:",
            "",
            *lines,
            "",
            "`rtpipe --help` lists all commands, `rtpipe COMMAND --help` explains one.",
        ]
    )
