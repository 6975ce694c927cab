"""What a file brings along: the files it includes, the plugins it names."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from rtpipe.language.bounds import MAX_BYTES, MAX_FILES, MAX_NODES
from rtpipe.language.files import decode, read_bytes
from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode, folder, plain, what
from rtpipe.language.reader import read_text
from rtpipe.language.reserved import ReservedReader
from rtpipe.vocabulary import PipelineFile
from rtpipe.wording.diagnostics import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtpipe.wording.diagnostics import Findings

_MOST_BESIDE = 1000
"""Files of a folder that a help is looked for among."""


class Includes:
    """Finds what files include; all of it together is bounded.

    Args:
        findings: Takes what is wrong.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._files = 0
        self._nodes = 0
        self._characters = 0

    def of(self, root: Node, above: tuple[Path, ...] = ()) -> list[MapNode] | None:
        """Return the file and what it includes, what counts less first.

        None, with the reason in the findings, if a part of it is missing.
        """
        if not isinstance(root, MapNode):
            self._findings.error(
                "E018",
                f"a pipeline file is a mapping, not {what(root)}",
                root.span,
                help="put the list under a key: `stages: [tone, speaker]`"
                if isinstance(root, ListNode)
                else "begin with `{version: 1, stages: [tone, speaker]}`",
            )
            return None
        if not self._fits(root):
            return None
        files: list[MapNode] = []
        complete = True
        here = root.span.path.absolute()
        for node in _named(root, "include", self._findings):
            found = self._included(node, (*above, here))
            complete = complete and found is not None
            files += found or ()
        return [*files, root] if complete else None

    def _fits(self, root: MapNode) -> bool:
        """Count a file; report the first that is too much."""
        if self._is_full:
            return False  # that was reported
        nodes, characters = _size(root)
        self._files += 1
        self._nodes += nodes
        self._characters += characters
        if self._is_full:
            self._findings.error(
                "E013",
                f"with this file the pipeline holds more than {MAX_FILES} files, {MAX_NODES} "
                f"values or {MAX_BYTES // 1024} KiB",
                root.span,
                help="include each file once, or make two pipelines of it",
            )
        return not self._is_full

    @property
    def _is_full(self) -> bool:
        return self._files > MAX_FILES or self._nodes > MAX_NODES or self._characters > MAX_BYTES

    def _included(self, node: Node, above: tuple[Path, ...]) -> list[MapNode] | None:
        """Return the files that one `include:` stands for."""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            return None
        if self._is_full:
            return None
        path = folder(node) / node.value
        if path.absolute() in above:
            self._findings.error(
                "E308", f"{path} includes itself", node.span, help="remove one of the includes"
            )
            return None
        if not os.path.exists(path):  # noqa: PTH110 - a name that no system takes is no file
            self._findings.error(
                "E307",
                f"cannot read the included {path}: no such file",
                node.span,
                label="named here",
                help=_near(path),
                notes=["the path starts from the folder of the file it stands in"],
            )
            return None
        data = read_bytes(path, self._findings, "E307", node.span)
        text = None if data is None else decode(data, path, self._findings)
        tree = None if text is None else read_text(text, path, self._findings, recover=True)
        return None if tree is None else self.of(tree, above)


def _size(node: Node) -> tuple[int, int]:
    """Return how many values and characters there are, aliases unfolded."""
    nodes = characters = 0
    left = [node]
    while left:
        each = left.pop()
        nodes += 1
        if isinstance(each, ListNode):
            left += each.items
        elif isinstance(each, MapNode):
            nodes += len(each.entries)
            characters += sum(map(len, each.entries))
            left += (entry.value for entry in each.entries.values())
        else:
            characters += len(each.raw)
    return nodes, characters


def plugin_names(files: Sequence[MapNode], findings: Findings) -> list[ScalarNode]:
    """Return what the files name under `plugins:`."""
    named = [node for file in files for node in _named(file, "plugins", findings)]
    return [node for node in named if isinstance(node, ScalarNode) and isinstance(node.value, str)]


def _near(path: Path) -> str | None:
    try:
        beside = islice(path.parent.iterdir(), _MOST_BESIDE)
        names = [file.name for file in beside if file.suffix in {".yaml", ".yml"}]
    except (OSError, ValueError):
        return None
    return did_you_mean(path.name, names)


def _named(file: MapNode, key: str, findings: Findings) -> tuple[Node, ...]:
    """Return what stands under `include` or `plugins`; what is no text is reported."""
    entry = file.entries.get(key)
    if entry is None or plain(entry.value) is None:
        return ()
    ReservedReader(findings).check(PipelineFile, MapNode({key: entry}, file.span))
    return entry.value.items if isinstance(entry.value, ListNode) else (entry.value,)
