"""What a file brings along: the files it includes, the plugins it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode, folder, plain, what
from rtpipe.language.reader import read_file
from rtpipe.language.reserved import ReservedReader
from rtpipe.vocabulary import PipelineFile
from rtpipe.wording.diagnostics import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtpipe.wording.diagnostics import Findings


def with_includes(
    root: Node, findings: Findings, above: tuple[Path, ...] = ()
) -> list[MapNode] | None:
    """Return the file and what it includes, what counts less first.

    None, with the reason in the findings, if a part of it is missing.
    """
    if not isinstance(root, MapNode):
        findings.error(
            "E018",
            f"a pipeline file is a mapping, not {what(root)}",
            root.span,
            help="put the list under a key: `stages: [tone, speaker]`"
            if isinstance(root, ListNode)
            else "begin with `{version: 1, stages: [tone, speaker]}`",
        )
        return None
    files: list[MapNode] = []
    complete = True
    here = root.span.path.absolute()
    for node in _named(root, "include", findings):
        found = _included(node, findings, (*above, here))
        complete = complete and found is not None
        files += found or ()
    return [*files, root] if complete else None


def plugin_names(files: Sequence[MapNode], findings: Findings) -> list[ScalarNode]:
    """Return what the files name under `plugins:`."""
    named = [node for file in files for node in _named(file, "plugins", findings)]
    return [node for node in named if isinstance(node, ScalarNode) and isinstance(node.value, str)]


def _included(node: Node, findings: Findings, above: tuple[Path, ...]) -> list[MapNode] | None:
    """Return the files that one `include:` stands for."""
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        return None
    path = folder(node) / node.value
    if path.absolute() in above:
        findings.error(
            "E308", f"{path} includes itself", node.span, help="remove one of the includes"
        )
        return None
    if not path.is_file():
        findings.error(
            "E307",
            f"cannot read the included {path}: no such file",
            node.span,
            label="named here",
            help=_near(path),
            notes=["the path starts from the folder of the file it stands in"],
        )
        return None
    tree = read_file(path, findings, recover=True)
    return None if tree is None else with_includes(tree, findings, above)


def _near(path: Path) -> str | None:
    try:
        names = [file.name for file in path.parent.iterdir() if file.suffix in {".yaml", ".yml"}]
    except OSError:
        return None
    return did_you_mean(path.name, names)


def _named(file: MapNode, key: str, findings: Findings) -> tuple[Node, ...]:
    """Return what stands under `include` or `plugins`; what is no text is reported."""
    entry = file.entries.get(key)
    if entry is None or plain(entry.value) is None:
        return ()
    ReservedReader(findings).check(PipelineFile, MapNode({key: entry}, file.span))
    return entry.value.items if isinstance(entry.value, ListNode) else (entry.value,)
