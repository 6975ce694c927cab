"""Tests of a pipeline, in its file: the section `tests:` and `rtpipe test`.

Here are the hook implementations, and nothing heavy; `running.run_case` is the way in.
"""

from __future__ import annotations

from rtpipe import LazyCommand, hookimpl


@hookimpl
def rtpipe_sections() -> dict[str, str]:
    """Return `tests:`."""
    return {"tests": "rtpipe_test.section:Tests"}


@hookimpl
def rtpipe_commands() -> tuple[LazyCommand, ...]:
    """Return `test`."""
    return (
        LazyCommand(
            "test",
            "Run the tests in pipeline files: whole calls, in no time.",
            "rtpipe_test.command:test",
        ),
    )
