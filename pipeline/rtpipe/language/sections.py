"""Sections: the top-level keys of a file that plugins add, each checked by its model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe.language.checking import check_document
from rtpipe.language.nodes import Entry, MapNode, ScalarNode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe.stage import Options
    from rtpipe.wording.diagnostics import Findings

WELL_KNOWN = {
    "control": "rtpipe_control",
    "serve": "rtpipe_sessions",
    "tests": "rtpipe_test",
}
"""Sections that people know from the documentation, and the plugin that each belongs to."""
_NO_PART_OF_A_RUN = {"tests"}


def as_mapping(entry: Entry, model: type[Options]) -> Entry:
    """Return a section whose value is a mapping: a bare one stands under the main option.

    What is no mapping and has no main option to fill comes back as it is.
    """
    node = entry.value
    if isinstance(node, ScalarNode) and node.value is None:
        return Entry(entry.key, entry.key_span, MapNode({}, entry.key_span))
    if isinstance(node, MapNode) or model.main is None:
        return entry
    inner = MapNode({model.main: Entry(model.main, node.span, node)}, node.span)
    return Entry(entry.key, entry.key_span, inner)


def report_absent(entry: Entry, findings: Findings) -> None:
    """Report a well-known section whose plugin is not there: an error, if a run needs it."""
    plugin = WELL_KNOWN[entry.key]
    report = findings.warning if entry.key in _NO_PART_OF_A_RUN else findings.error
    report(
        "E022",
        f"the section `{entry.key}` needs the plugin `{plugin}`, which is not installed",
        entry.key_span,
        label="nobody reads it",
        help=f"install `{plugin}`, or remove the section",
        notes=["`rtpipe plugins` lists what is installed"],
    )


def check_sections(
    models: Mapping[str, type[Options]], given: Mapping[str, MapNode], findings: Findings
) -> dict[str, Options | None]:
    """Return what each section says; None for one that the file does not have.

    Args:
        models: The sections there are.
        given: Those of the file, references filled.
        findings: Takes the problems and the secrets met.
    """
    return {
        key: check_document(model, key, given[key], findings) if key in given else None
        for key, model in models.items()
    }
