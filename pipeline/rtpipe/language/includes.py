"""What a file brings along: the files it includes, the plugins it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe.language.nodes import ListNode, MapNode, Node, ScalarNode, folder, what
from rtpipe.language.reader import read_file
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
    for node in _as_list(root.get("include")):
        found = _included(node, findings, (*above, here))
        complete = complete and found is not None
        files += found or ()
    return [*files, root] if complete else None


def plugin_names(files: Sequence[MapNode], findings: Findings) -> list[ScalarNode]:
    """Return what the files name under `plugins:`."""
    named: list[ScalarNode] = []
    for file in files:
        for node in _as_list(file.get("plugins")):
            if _text(node, "plugins", findings) is not None:
                assert isinstance(node, ScalarNode)
                named.append(node)
    return named


def _included(node: Node, findings: Findings, above: tuple[Path, ...]) -> list[MapNode] | None:
    """Return the files that one `include:` stands for."""
    name = _text(node, "include", findings)
    if name is None:
        return None
    path = folder(node) / name
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
    tree = read_file(path, findings)
    return None if tree is None else with_includes(tree, findings, above)


def _near(path: Path) -> str | None:
    try:
        names = [file.name for file in path.parent.iterdir() if file.suffix in {".yaml", ".yml"}]
    except OSError:
        return None
    return did_you_mean(path.name, names)


def _as_list(node: Node | None) -> tuple[Node, ...]:
    if node is None or (isinstance(node, ScalarNode) and node.value is None):
        return ()
    return node.items if isinstance(node, ListNode) else (node,)


def _text(node: Node, key: str, findings: Findings) -> str | None:
    if isinstance(node, ScalarNode) and isinstance(node.value, str):
        return node.value
    findings.error(
        "E021",
        f"`{key}` holds paths or names, not {what(node)}",
        node.span,
        help=f"for example `{key}: [base.yaml]`",
    )
    return None
